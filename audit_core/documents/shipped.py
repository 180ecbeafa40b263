"""The shipped questions: 124, of fictional people and of capitals, written by `data/documents/generate.py`."""

from __future__ import annotations

from audit_core.data_folder import DATA

SHIPPED = "questions.csv"


def read_shipped() -> bytes:
    """The bytes of the file."""
    return (DATA / "documents" / SHIPPED).read_bytes()
