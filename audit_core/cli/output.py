"""What the command line writes: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Sequence
from typing import Any

from audit_core.errors import Refused
from audit_core.verifier.streams import CLOSED, is_utf8, prepare_streams, write_message, write_result

_LAST_STANDARD = 2
_UNREADABLE = re.compile("[\ud800-\udfff]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


def open_output() -> None:
    """Before anything is run: see that its result can be written.

    Raises:
        Refused: standard output is closed.
    """
    if not prepare_streams():
        found, wanted, remedy = CLOSED
        raise Refused(found, wanted=wanted, remedy=remedy)


def check_words(words: Sequence[str]) -> None:
    """Refuse arguments whose letters this machine's encoding does not have: neither log nor output could hold such a name.

    Raises:
        Refused: with what makes Python read them.
    """
    for word in (*words, os.environ.get("AUDIT_HOME", "")):
        if _UNREADABLE.search(word):
            raise Refused(
                f"An argument or folder with letters that are not of this machine's encoding, "
                f"{sys.getfilesystemencoding()}: {ascii(word)[:120]}.",
                wanted="names that Python can read here.",
                remedy="set PYTHONUTF8=1, or LC_ALL=C.UTF-8, and start again; or rename the file.",
            )


def keep_descriptors() -> None:
    """Put the null device where a standard stream is closed: the next file to be opened, such as the run log, would take its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def show_fetch(stage: str, done: int, total: int) -> None:
    """A moving line on a terminal; one line a stage in a log file."""
    if sys.stderr is not None and sys.stderr.isatty():
        print_status(f"{stage} {done / total:.0%}   " if total else stage, end="\r")
    elif done == 0:
        print_status(f"{stage} …")


def show_progress(done: int, total: int) -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        print_status(f"{done / total:.0%}", end="\r")


def print_json(document: Any) -> int:
    # NaN is not JSON: a number that is not one must fail here, not in a reader's parser.
    print_json_text(json.dumps(document, ensure_ascii=False, allow_nan=False))
    return 0


def print_json_text(text: str) -> None:
    """Write a document that is JSON already, with JSON's own form of letters that standard output lacks: it stays the same document."""
    if not is_utf8(getattr(sys.stdout, "encoding", None)):
        text = _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)
    print_result(text)


def print_result(text: str) -> None:
    """Write a line of the result.

    Raises:
        Refused: it did not arrive, such as on a full disk.
    """
    try:
        write_result(text + "\n")
    except OSError as error:
        raise Refused(
            f"The result could not be written to standard output: {error.strerror}.",
            wanted="a place with room for it.",
            remedy="send it elsewhere; what was run is in the log (`python -m audit_core log export`) and need not be run again.",
        ) from error


def print_status(text: str, end: str = "\n") -> None:
    write_message(text + end)
