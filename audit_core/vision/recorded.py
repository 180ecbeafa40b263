"""Recorded runs of the audit on the shipped images."""

from __future__ import annotations

from functools import cache

from audit_core.data_folder import ShippedRun, find_shipped_run
from audit_core.vision.results import VisionResult
from audit_core.vision.shipped import FOLDER, MODELS

RecordedVision = ShippedRun[VisionResult]


@cache
def find_recorded(model: str) -> RecordedVision | None:
    """The recorded run of a model, by the name it is opened by; None if there is none."""
    found: RecordedVision | None = find_shipped_run(FOLDER, model, MODELS, RecordedVision)
    return found
