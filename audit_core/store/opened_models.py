"""Names of the models that people of this installation have opened: a link may open these again without a question."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

FILE = "opened_models.jsonl"
MAX_BYTES = 1 << 20
"""Of the file that are read; some ten thousand names."""
MAX_NAME = 1000


def note_opened(home: Path, name: str) -> None:
    """Remember a model. A record that cannot be written is no reason to refuse a model that is loaded: a page asks once more."""
    spelled = _spell(name)
    if len(spelled) > MAX_NAME or spelled in list_opened(home):
        return
    with suppress(OSError):
        # One short line in one call: two processes cannot mix theirs.
        handle = os.open(home / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, json.dumps({"name": spelled}).encode() + b"\n")
        finally:
            os.close(handle)


def was_opened(home: Path, name: str) -> bool:
    """Whether somebody of this installation has loaded a model of this name, on the page or by a command."""
    return _spell(name) in list_opened(home)


def list_opened(home: Path) -> frozenset[str]:
    """Every name that is remembered; lines that cannot be read are no names."""
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
    """A path in full, so that the same letters in another working folder are another model; any other name as it is."""
    if name.startswith((".", "/", "~")) or "\\" in name or name.count("/") > 1:
        return os.path.abspath(os.path.expanduser(name))
    return name
