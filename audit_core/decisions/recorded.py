"""Recorded runs of the audit of decisions on the shipped file."""

from __future__ import annotations

from functools import cache

from audit_core.data_folder import ShippedRun, find_shipped_run
from audit_core.decisions.results import DecisionsResult
from audit_core.decisions.shipped import FOLDER, PLANTED

RECORDED = (PLANTED, "default")
"""Models with a recorded run, by the names they are opened by."""
RecordedDecisions = ShippedRun[DecisionsResult]


@cache
def find_recorded(model: str) -> RecordedDecisions | None:
    """The recorded run of a model, by the name it is opened by; None if there is none."""
    found: RecordedDecisions | None = find_shipped_run(FOLDER, model, RECORDED, RecordedDecisions)
    return found
