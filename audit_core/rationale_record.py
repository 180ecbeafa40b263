"""Recorded results of the audit of rationales: the planted models, and a run of the default model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from audit_core.data_folder import DATA
from audit_core.errors import IntegrityError
from audit_core.models.known import find_known
from audit_core.prompts.prompt_set import PromptSet, load_prompts
from audit_core.rationale.known_models import KnownTable
from audit_core.rationale.results import RationaleResult
from audit_core.registry import get_plugin
from audit_core.story import MeasuredWith

FOLDER = DATA / "rationale"
QUESTIONS, RUN, KNOWN = FOLDER / "chains.jsonl", FOLDER / "default.json", FOLDER / "known.json"
MAX_BYTES = 2 << 20
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RecordedRationale:
    """One run, with everything that it depends on."""

    model_file_sha256: str
    """Digest of the file that the known model is converted from: identifies it before it is loaded."""
    prompts_sha256: str
    version: int
    """Version of the audit's result; another version is not shown."""
    wall_s: float
    n_threads: int
    measured_with: MeasuredWith
    result: RationaleResult

    def is_about(self, model: str) -> bool:
        """Whether it is the run of this model on the shipped questions, in the form that the audit of today stores."""
        known = find_known(model)
        return (
            known is not None
            and known.member_sha256 == self.model_file_sha256
            and load_questions().sha256 == self.prompts_sha256
            and self.version == get_plugin("audits", "rationale").version
        )


@dataclass(frozen=True, kw_only=True)
class RecordedKnown:
    """What the audit finds on planted chain models."""

    recorded_at: str
    code_sha256: str
    version: int
    table: KnownTable


@cache
def load_questions() -> PromptSet:
    """The shipped questions with steps, written by `data/rationale/make.py`."""
    return load_prompts(QUESTIONS)


@cache
def load_recorded_rationale() -> RecordedRationale:
    """The shipped run of the default model.

    Raises:
        IntegrityError: it is missing, too large, or does not parse.
    """
    return _load(RUN, RecordedRationale)


@cache
def load_known_models() -> RecordedKnown:
    """The shipped table of planted models and metrics; raises as `load_recorded_rationale`."""
    return _load(KNOWN, RecordedKnown)


def _load(file: Path, form: type[T]) -> T:
    if not file.is_file() or file.stat().st_size > MAX_BYTES:
        raise IntegrityError(f"{file.name}: no record of at most {MAX_BYTES:,} bytes ships with this version.")
    try:
        return TypeAdapter(form).validate_json(file.read_bytes())
    except ValueError as error:
        raise IntegrityError(f"{file.name} is not a recorded result: {str(error)[:300]}") from error
