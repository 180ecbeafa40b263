"""Standard output and standard error, whatever encoding they have: nothing that was found is lost for want of a letter."""

from __future__ import annotations

import sys

CLOSED = ("Standard output is closed.", "a place for the result.", "send it to a file, or to /dev/null.")
"""Found, wanted, remedy."""


def prepare_streams() -> bool:
    """Write letters that a stream's encoding lacks as numbers, as in ``\\u6a21``; an ending of the program for want of a letter is worse.

    Returns:
        False where standard output is closed, so that no result could be written.
    """
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    return sys.stdout is not None


def is_utf8(encoding: str | None) -> bool:
    """Whether every letter can be written as it is; a stream without an encoding holds text and not bytes."""
    return encoding is None or encoding.lower().replace("-", "").replace("_", "") in ("utf8", "utf8sig", "cp65001")


def write_result(text: str) -> None:
    """Write to standard output, and find out now whether it arrived.

    Raises:
        OSError: it did not, such as on a full disk. Where nobody reads any more, as behind `head`, that is no error.
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
    """Write to standard error, if anybody can read it."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        sys.stderr = None


def flush_output() -> bool:
    """Let what others wrote, such as the help of a parser, arrive; False, with a message, where it does not."""
    try:
        write_result("")
    except OSError as error:
        write_message(f"Standard output: {error.strerror}.\n")
        return False
    return True


def abandon_output() -> None:
    """Write nothing more: what is left in the buffer would fail again as the program ends, with a code of its own."""
    sys.stdout = None
