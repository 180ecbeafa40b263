"""Recorded runs of the audit of tabular models on the shipped file."""

from __future__ import annotations

from functools import cache

from audit_core.data_folder import ShippedRun, find_shipped_run
from audit_core.tabular.results import TabularResult
from audit_core.tabular.shipped import FOLDER, MODELS

RecordedTabular = ShippedRun[TabularResult]


@cache
def find_recorded(model: str) -> RecordedTabular | None:
    """The recorded run of a model, by the name it is opened by; None if there is none."""
    found: RecordedTabular | None = find_shipped_run(FOLDER, model, MODELS, RecordedTabular)
    return found
