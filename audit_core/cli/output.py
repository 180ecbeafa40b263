"""What the command line writes: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import sys
from typing import Any


def show_fetch(stage: str, done: int, total: int) -> None:
    """A moving line on a terminal; one line a stage in a log file."""
    if sys.stderr.isatty():
        say(f"{stage} {done / total:.0%}   " if total else stage, end="\r")
    elif done == 0:
        say(f"{stage} …")


def show_progress(done: int, total: int) -> None:
    if sys.stderr.isatty():
        say(f"{done / total:.0%}", end="\r")


def tell_json(document: Any) -> int:
    # NaN is not JSON: a number that is not one must fail here, not in a reader's parser.
    tell(json.dumps(document, ensure_ascii=False, allow_nan=False))
    return 0


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")


def say(text: str, end: str = "\n") -> None:
    sys.stderr.write(text + end)
    sys.stderr.flush()
