"""Decisions about a pack that this installation recorded, compared with those in a copy of the pack."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

NOT_CONSULTED = "desk not consulted: decisions made after this copy are not known"


@dataclass(frozen=True)
class KnownDecision:
    """One decision about a pack that this installation recorded."""

    sha256: str
    """Of its signed envelope."""
    role: str
    person: str
    decision: str
    """approve, reject or approve_with_conditions."""
    at: str


@dataclass(frozen=True)
class DeskRecord:
    """Every decision about one pack that this installation's desk or log recorded."""

    decisions: tuple[KnownDecision, ...]

    def find_missing(self, present: Collection[str]) -> tuple[KnownDecision, ...]:
        """Decisions that a copy of the pack lacks.

        Args:
            present: SHA-256 of each signed envelope in the copy.
        """
        return tuple(one for one in self.decisions if one.sha256 not in present)


def describe_record(record: DeskRecord | None, present: Collection[str]) -> str:
    """Summarize the comparison in one sentence for the gate's output."""
    if record is None:
        return NOT_CONSULTED
    count = f"desk consulted: {len(record.decisions)} decision{'s' * (len(record.decisions) != 1)}"
    missing = record.find_missing(present)
    if not missing:
        return f"{count}, all in the pack"
    return f"{count}, {len(missing)} not in the pack: {name_decisions(missing)}"


def name_decisions(decisions: Sequence[KnownDecision]) -> str:
    """List decisions with person, role, time and digest."""
    return "; ".join(
        f"{one.decision} by {one.person} ({one.role}, {one.at}, sha256 {one.sha256[:12]})" for one in decisions
    )
