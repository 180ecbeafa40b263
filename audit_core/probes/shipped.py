"""The shipped labelled texts, written by `data/probes/generate.py`."""

from __future__ import annotations

from audit_core.data_folder import DATA
from audit_core.errors import Refused

SHIPPED = ("number.csv",)
"""96 texts in 12 templates: is the subject singular or plural, with the verb that agrees."""


def read_shipped(name: str = SHIPPED[0]) -> bytes:
    """The bytes of a file.

    Raises:
        Refused: no such file.
    """
    if name not in SHIPPED:
        raise Refused(f"{name[:60]!r} does not ship.", wanted=", ".join(SHIPPED) + ".", remedy="name one of them.")
    return (DATA / "probes" / name).read_bytes()
