"""Names of models that were opened in this installation; a link can open these without confirmation."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

FILE = "opened_models.jsonl"
MAX_BYTES = 1 << 20
"""Maximum bytes read from the file, about ten thousand names."""
MAX_NAME = 1000


def note_opened(home: Path, name: str) -> None:
    """Record an opened model; a write error is ignored, and a page then asks for confirmation again."""
    spelled = _spell(name)
    if len(spelled) > MAX_NAME or spelled in list_opened(home):
        return
    with suppress(OSError):
        # One short line per write call, so that lines of two processes do not interleave.
        handle = os.open(home / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, json.dumps({"name": spelled}).encode() + b"\n")
        finally:
            os.close(handle)


def was_opened(home: Path, name: str) -> bool:
    """Whether a model of this name was loaded in this installation."""
    return _spell(name) in list_opened(home)


def list_opened(home: Path) -> frozenset[str]:
    """Every recorded name; unreadable lines are skipped."""
    try:
        with (home / FILE).open("rb") as file:
            lines = file.read(MAX_BYTES).splitlines()
    except OSError:
        return frozenset()
    return frozenset(name for line in lines if (name := _read(line)))


def _read(line: bytes) -> str:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    name = record.get("name") if isinstance(record, dict) else None
    return name if isinstance(name, str) else ""


def _spell(name: str) -> str:
    """Resolve a path, so that a relative path depends on the working folder; other names stay unchanged."""
    if name.startswith((".", "/", "~")) or "\\" in name or name.count("/") > 1:
        return os.path.abspath(os.path.expanduser(name))
    return name
