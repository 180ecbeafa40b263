"""Peak memory of this process, counted from where a test begins and not from its highest value of earlier tests."""

from __future__ import annotations

import resource
import sys
from contextlib import suppress
from pathlib import Path

_UNIT = 1 if sys.platform == "darwin" else 1024


def read_peak() -> int:
    """Bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def restart_peak() -> int:
    """Forget what was held at earlier moments, where the system can; returns bytes."""
    with suppress(OSError):
        # "5" resets the high-water mark (proc_pid_clear_refs(5)).
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return read_peak()
