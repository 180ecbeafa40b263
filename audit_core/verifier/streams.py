"""Writing to standard output and standard error in any encoding, without losing results."""

from __future__ import annotations

import sys

CLOSED = ("Standard output is closed.", "an open standard output.", "redirect it to a file, or to /dev/null.")
"""Found, wanted, remedy."""


def prepare_streams() -> bool:
    """Make both streams write characters that their encoding lacks as escapes such as ``\\u6a21``, instead of failing.

    Returns:
        False if standard output is closed, so that no result could be written.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    return sys.stdout is not None


def is_utf8(encoding: str | None) -> bool:
    """Check whether an encoding supports all characters; a stream without an encoding is a text buffer."""
    return encoding is None or encoding.lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig", "cp65001")


def write_result(text: str) -> None:
    """Write to standard output and flush, so that errors are raised here.

    Raises:
        OSError: the write failed, for example on a full disk. A closed pipe, as with `head`, is not an error.
    """
    if sys.stdout is None:
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_output()
    except OSError:
        abandon_output()
        raise


def write_message(text: str) -> None:
    """Write to standard error, if it is open."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        sys.stderr = None


def flush_output() -> bool:
    """Flush standard output, such as a parser's help; on failure write a message and return False."""
    try:
        write_result("")
    except OSError as error:
        write_message(f"Standard output: {error.strerror}.\n")
        return False
    return True


def abandon_output() -> None:
    """Discard further output: a failing flush at exit would change the exit code."""
    sys.stdout = None
