"""Turns usage statistics of the model libraries off, for every way of starting: the package imports this before anything else."""

from __future__ import annotations

import os
import sys

NO_TELEMETRY = ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "HF_HUB_DISABLE_IMPLICIT_TOKEN")
"""Variables that the libraries read once, when they are imported. The last keeps a stored login of this machine out of requests."""
_HUB = "huggingface_hub.constants"


def turn_off() -> None:
    """Set the variables whatever they were, and the hub library's own constants where it was imported before this package."""
    for name in NO_TELEMETRY:
        os.environ[name] = "1"
    if _HUB in sys.modules:
        constants = sys.modules[_HUB]
        constants.HF_HUB_DISABLE_TELEMETRY = True  # type: ignore[attr-defined]
        constants.HF_HUB_DISABLE_IMPLICIT_TOKEN = True  # type: ignore[attr-defined]


turn_off()
