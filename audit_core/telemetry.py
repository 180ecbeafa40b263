"""Disables telemetry of the model libraries; imported before everything else."""

from __future__ import annotations

import os
import sys

NO_TELEMETRY = ("HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK", "HF_HUB_DISABLE_IMPLICIT_TOKEN")
"""Variables that the libraries read once, at import. The last keeps stored credentials out of requests."""
_HUB = "huggingface_hub.constants"


def turn_off() -> None:
    """Set the variables, and the constants of the hub library if it is already imported."""
    for name in NO_TELEMETRY:
        os.environ[name] = "1"
    if _HUB in sys.modules:
        constants = sys.modules[_HUB]
        constants.HF_HUB_DISABLE_TELEMETRY = True  # type: ignore[attr-defined]
        constants.HF_HUB_DISABLE_IMPLICIT_TOKEN = True  # type: ignore[attr-defined]


turn_off()
