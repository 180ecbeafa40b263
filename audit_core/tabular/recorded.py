"""Recorded runs of the audit of tabular models on the shipped file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from audit_core.data_folder import read_record
from audit_core.tabular.results import TabularResult
from audit_core.tabular.shipped import FOLDER, MODELS

MAX_BYTES = 4 << 20


@dataclass(frozen=True)
class RecordedTabular:
    """A run on the shipped file that was recorded when this version was made."""

    result: TabularResult
    model: str
    """Name that the model was opened by."""
    made_at: str
    code_sha256: str
    weights_sha256: str


@cache
def find_recorded(model: str) -> RecordedTabular | None:
    """The recorded run of a model, by the name it is opened by; None if there is none."""
    path = FOLDER / f"{model}.run.json"
    if model not in MODELS or not path.is_file():
        return None
    found: RecordedTabular = read_record(path, RecordedTabular, max_bytes=MAX_BYTES)
    return found
