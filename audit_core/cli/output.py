"""Output of the command line: results on standard output, all other output on standard error."""

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
    """Check before a command runs that its result can be written.

    Raises:
        Refused: standard output is closed.
    """
    if not prepare_streams():
        found, wanted, remedy = CLOSED
        raise Refused(found, wanted=wanted, remedy=remedy)


def check_words(words: Sequence[str]) -> None:
    """Refuse arguments that this machine's encoding cannot represent, because log and output could not contain them.

    Raises:
        Refused: with the settings that make Python read them.
    """
    for word in (*words, os.environ.get("AUDIT_HOME", "")):
        if _UNREADABLE.search(word):
            raise Refused(
                f"An argument or folder with characters outside this machine's encoding, "
                f"{sys.getfilesystemencoding()}: {ascii(word)[:120]}.",
                wanted="names in that encoding.",
                remedy="set PYTHONUTF8=1, or LC_ALL=C.UTF-8, and start again; or rename the file.",
            )


def keep_descriptors() -> None:
    """Open the null device in place of a closed standard stream, whose descriptor the run log would otherwise get."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _LAST_STANDARD:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115


def show_fetch(stage: str, done: int, total: int) -> None:
    """Show fetch progress: one updating line on a terminal, one line per stage in a log file."""
    if sys.stderr is not None and sys.stderr.isatty():
        print_status(f"{stage} {done / total:.0%}   " if total else stage, end="\r")
    elif done == 0:
        print_status(f"{stage} …")


def show_progress(done: int, total: int) -> None:
    if sys.stderr is not None and sys.stderr.isatty():
        print_status(f"{done / total:.0%}", end="\r")


def print_json(document: Any) -> int:
    # NaN is not valid JSON, so it must fail here and not in a reader's parser.
    print_json_text(json.dumps(document, ensure_ascii=False, allow_nan=False))
    return 0


def print_json_text(text: str) -> None:
    """Write a JSON text, with JSON escapes for characters that standard output cannot encode."""
    if not is_utf8(getattr(sys.stdout, "encoding", None)):
        text = _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], text)
    print_result(text)


def print_result(text: str) -> None:
    """Write a line of the result.

    Raises:
        Refused: it could not be written, such as on a full disk.
    """
    try:
        write_result(text + "\n")
    except OSError as error:
        raise Refused(
            f"The result could not be written to standard output: {error.strerror}.",
            wanted="a destination with enough space.",
            remedy="redirect the output; the log has the finished run (`python -m audit_core log export`).",
        ) from error


def print_status(text: str, end: str = "\n") -> None:
    write_message(text + end)
