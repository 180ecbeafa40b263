"""Recorded runs of the audit of decisions on the shipped file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from audit_core.data_folder import read_record
from audit_core.decisions.results import DecisionsResult
from audit_core.decisions.shipped import FOLDER, PLANTED

MAX_BYTES = 4 << 20
RECORDED = (PLANTED, "default")
"""Models with a recorded run, by the names they are opened by."""


@dataclass(frozen=True)
class RecordedDecisions:
    """A run on the shipped file that was recorded when this version was made."""

    result: DecisionsResult
    model: str
    """Name that the model was opened by."""
    made_at: str
    code_sha256: str
    weights_sha256: str


@cache
def find_recorded(model: str) -> RecordedDecisions | None:
    """The recorded run of a model, by the name it is opened by; None if there is none."""
    path = FOLDER / f"{model}.run.json"
    if model not in RECORDED or not path.is_file():
        return None
    found: RecordedDecisions = read_record(path, RecordedDecisions, max_bytes=MAX_BYTES)
    return found
