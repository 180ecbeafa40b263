"""The monitors that ship, made by `data/monitors/make.py`."""

from __future__ import annotations

from functools import cache

from audit_core.data_folder import DATA, read_record
from audit_core.errors import Refused
from audit_core.monitors.checking import MonitorCheck
from audit_core.monitors.monitor import Monitor
from audit_core.monitors.store import load_monitor

SHIPPED = {"default-prose-to-code": "default", "planted-unread": "planted-strict", "planted-vote": "planted-strict"}
"""Name of the file → name that opens its model."""
MAX_CHECK_BYTES = 1 << 18


@cache
def load_shipped_monitor(name: str) -> Monitor:
    """A shipped monitor; its model need not be loaded.

    Raises:
        Refused: none has this name.
        IntegrityError: its contents are not those that its digest names.
    """
    if name not in SHIPPED:
        raise Refused(f"No monitor {name[:60]!r}.", wanted=", ".join(SHIPPED) + ".", remedy="name one of them.")
    return load_monitor(DATA / "monitors" / f"{name}.safetensors")


@cache
def load_shipped_check(name: str) -> MonitorCheck | None:
    """The recorded check of a shipped monitor on other texts, made by `data/monitors/check.py`; None without one of this very file.

    Raises:
        IntegrityError: the record does not parse.
    """
    path = DATA / "monitors" / f"{name}.check.json"
    if not path.exists():
        return None
    found = read_record(path, MonitorCheck, max_bytes=MAX_CHECK_BYTES)
    return found if found.monitor == load_shipped_monitor(name).sha256 else None
