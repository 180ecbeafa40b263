"""Findings of an audit log verification."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """Kind of a fault."""

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
    """One fault with its place in the log."""

    fault: Fault
    seq: int | None
    """The faulty event, or the first of a range that contains it; None where it is unknown."""
    text: str
    until: int | None = None
    """Last event of the range; None for a single event."""
