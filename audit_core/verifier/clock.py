"""Times in documents: RFC 3339 in UTC, ending in Z."""

from __future__ import annotations

import re
from datetime import datetime

TIME_PATTERN = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?Z$"
_TIME = re.compile(TIME_PATTERN.replace("$", r"\Z"))


class NotATime(ValueError):
    """The text is not a time in UTC."""


def read_time(text: str) -> datetime:
    """Parse a time.

    Raises:
        NotATime: another format, another time zone, or an invalid date.
    """
    if not _TIME.match(text):
        raise NotATime(f"{text[:40]!a} is not a time such as 2026-11-21T09:30:00Z")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise NotATime(f"{text[:40]!a}: {error}") from error
