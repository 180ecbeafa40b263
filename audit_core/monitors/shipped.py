"""The monitors that ship, made by `data/monitors/make.py`."""

from __future__ import annotations

from functools import cache

from audit_core.data_folder import DATA
from audit_core.errors import Refused
from audit_core.monitors.monitor import Monitor
from audit_core.monitors.store import load_monitor

SHIPPED = {"default-prose-to-code": "default", "planted-unread": "planted-strict", "planted-vote": "planted-strict"}
"""Name of the file → name that opens its model."""


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
