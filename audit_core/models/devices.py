"""Names of the devices that can compute a model, and the one for which the environment asks."""

from __future__ import annotations

import os

CPU = "cpu"
DEVICES = (CPU, "cuda", "mps")
"""Never one of several by number: a scheduler shows each process the one that it may use."""
DEVICE_VARIABLE = "AUDIT_DEVICE"
"""Environment variable with the device of models for which none is named, such as those of the dashboard."""


def read_device() -> str:
    """The device for which the environment asks; the CPU if it asks for none."""
    return os.environ.get(DEVICE_VARIABLE, "").strip() or CPU
