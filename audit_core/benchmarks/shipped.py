"""The shipped benchmark of own facts, and its recorded run on the default model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from pydantic import TypeAdapter

from audit_core.benchmarks.artefact import read_artefact
from audit_core.benchmarks.results import BenchmarkResult
from audit_core.data_folder import DATA

OWN_FACTS = "own_facts.jsonl"
_FOLDER = DATA / "benchmarks"


@dataclass(frozen=True)
class RecordedRun:
    """A run that was recorded when this version was made."""

    result: BenchmarkResult
    answers: dict[str, str]
    """The form's answers that it was asked with."""
    model: str
    """Name that the model was opened by."""
    made_at: str
    code_sha256: str
    weights_sha256: str


def read_own_facts() -> bytes:
    """The shipped benchmark file: 60 facts of six categories, in ARC's form."""
    return (_FOLDER / OWN_FACTS).read_bytes()


@cache
def read_recorded() -> RecordedRun:
    """Its recorded run."""
    found = read_artefact(_FOLDER / "own_facts.run.json")
    result: BenchmarkResult = TypeAdapter(BenchmarkResult).validate_python(found["result"])
    identity = found["identity"]
    return RecordedRun(
        result, found["answers"], found["model"], found["made_at"], found["code_sha256"], identity["weights_sha256"]
    )
