"""Notices as an iCalendar file (RFC 5545): one all-day entry a notice."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from audit_core.findings.notices import Notice
from audit_core.version import VERSION

_LINE_BYTES = 75
"""Longest line without its break, section 3.1."""
_TEXT = str.maketrans({"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"})
"""Section 3.3.11."""


def write_calendar(notices: Sequence[Notice], *, now: datetime, mark: str = "") -> bytes:
    """Return the notices as a calendar.

    Args:
        mark: put before the name and before every title, such as that the records are a sample.
    """
    lines = [
        "BEGIN:VCALENDAR", "VERSION:2.0", f"PRODID:-//Assay//Notices {VERSION}//EN", "CALSCALE:GREGORIAN",
        f"X-WR-CALNAME:{_escape(_mark(mark, 'Assay notices'))}",
        *(line for one in notices for line in _describe(one, now, mark)),
        "END:VCALENDAR",
    ]  # fmt: skip
    return b"".join(_fold(line) for line in lines)


def _describe(one: Notice, now: datetime, mark: str) -> Iterator[str]:
    day = date.fromisoformat(one.day)
    yield "BEGIN:VEVENT"
    yield f"UID:{_escape(one.uid)}"
    yield f"DTSTAMP:{now:%Y%m%dT%H%M%SZ}"
    yield f"LAST-MODIFIED:{datetime.fromisoformat(one.changed_at):%Y%m%dT%H%M%SZ}"
    yield f"DTSTART;VALUE=DATE:{day:%Y%m%d}"
    yield f"DTEND;VALUE=DATE:{day + timedelta(days=1):%Y%m%d}"
    yield "SUMMARY:" + _escape(_mark(mark, f"{one.about} {one.kind}: {one.title}"))
    yield "DESCRIPTION:" + _escape(f"{one.text}\nOwner: {one.who}")
    yield f"CATEGORIES:{_escape(one.kind)}"
    yield "TRANSP:TRANSPARENT"
    yield "END:VEVENT"


def _mark(mark: str, text: str) -> str:
    return f"{mark}: {text}" if mark else text


def _escape(text: str) -> str:
    """Escape a text value; characters that the format forbids become spaces."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    shown = "".join(one if one == "\n" or unicodedata.category(one) not in ("Cc", "Cs") else " " for one in lines)
    return shown.translate(_TEXT)


def _fold(line: str) -> bytes:
    """Return the line with its break, folded between characters, never inside one."""
    folded, length = bytearray(), 0
    for character in line:
        data = character.encode()
        if length + len(data) > _LINE_BYTES:
            folded += b"\r\n "
            length = 1
        folded += data
        length += len(data)
    return bytes(folded) + b"\r\n"
