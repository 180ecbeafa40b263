"""Where the shipped files are: prompt sets, circuits, policies, texts, fonts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

DATA = Path(__file__).resolve().parents[1] / "data"


@cache
def load_texts() -> tuple[str, ...]:
    """Sentences of ordinary prose, none of which belongs to a task."""
    return tuple((DATA / "text/plain.txt").read_text(encoding="utf-8").split("\n")[:-1])
