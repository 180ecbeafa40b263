"""Paths of the shipped files: next to the package in a checkout, inside it once installed."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "data"

DATA = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "data"
"""Prompt sets, circuits, policies, references, texts, fonts."""
APP = _PACKAGE.parent / ("assay_dashboard/app.py" if _INSTALLED.is_dir() else "app.py")
"""Files that Streamlit serves; absent if the package was copied without the dashboard."""


@cache
def load_texts() -> tuple[str, ...]:
    """Sentences of ordinary prose, unrelated to any task."""
    return tuple((DATA / "text/plain.txt").read_text(encoding="utf-8").split("\n")[:-1])
