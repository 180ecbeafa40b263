"""What a check of the audit log can find."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What is wrong with a log."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    COLUMN = "column"
    HASH = "hash"
    CHAIN = "chain"
    CLOCK = "clock"
    RUN = "run"
    CHECKPOINT = "checkpoint"
    HELD_CHECKPOINT = "held_checkpoint"
    KEY = "key"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was written."""

    fault: Fault
    seq: int | None
    """The event, or the first of those among which it must be; None where no event can be named."""
    text: str
    until: int | None = None
    """The last of those among which it must be; None where one event is meant."""
