"""Recorded results of the audit of rationales: the planted models, and a run of the default model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from audit_core.data_folder import DATA, read_record
from audit_core.models.known import find_known
from audit_core.prompts.prompt_set import PromptSet, load_prompts
from audit_core.rationale.known_models import KnownTable
from audit_core.rationale.results import RationaleResult
from audit_core.registry import get_plugin
from audit_core.story import MeasuredWith

FOLDER = DATA / "rationale"
QUESTIONS, RUN, KNOWN = FOLDER / "chains.jsonl", FOLDER / "default.json", FOLDER / "known.json"
MAX_BYTES = 2 << 20


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
    found: RecordedRationale = read_record(RUN, RecordedRationale, max_bytes=MAX_BYTES)
    return found


@cache
def load_known_models() -> RecordedKnown:
    """The shipped table of planted models and metrics; raises as `load_recorded_rationale`."""
    found: RecordedKnown = read_record(KNOWN, RecordedKnown, max_bytes=MAX_BYTES)
    return found
