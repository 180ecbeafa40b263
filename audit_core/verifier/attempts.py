"""Attempts at a claim as numbered by the log, so that an omitted attempt is detected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Attempt:
    """One confirmatory run that was started, whatever its outcome."""

    claim_id: str
    run_id: str
    number: Any
    """Number from the log; an integer from 1 if the log is valid."""
    seq: int
    prereg_digest: Any
    outcome: str | None
    """None: no end is recorded."""


def list_attempts(entries: Iterable[Mapping[str, Any]], claim_ids: Sequence[str]) -> tuple[Attempt, ...]:
    """Return the attempts in the order of the log."""
    started, ended = [], {}
    for entry in entries:
        if entry["action"] == "run.started" and entry["payload"].get("claim_id") in claim_ids:
            started.append(entry)
        elif entry["action"] == "run.ended":
            ended[entry["object_id"]] = str(entry["payload"].get("outcome"))
    return tuple(
        Attempt(
            entry["payload"]["claim_id"],
            entry["object_id"],
            entry["payload"].get("attempt_no"),
            entry["seq"],
            entry["payload"].get("prereg_digest"),
            ended.get(entry["object_id"]),
        )
        for entry in started
    )


def count_attempts(attempts: Iterable[Attempt]) -> dict[str, int]:
    """Return the counts for `attempts` in `pack.json`."""
    outcomes = [attempt.outcome for attempt in attempts]
    completed, abandoned = outcomes.count("done"), outcomes.count(None) + outcomes.count("abandoned")
    return {
        "total": len(outcomes),
        "completed": completed,
        "failed": len(outcomes) - completed - abandoned,
        "abandoned": abandoned,
    }


def find_gap(attempts: Sequence[Attempt], claim_id: str, exported: Any) -> str | None:
    """Return why the attempts at a claim are incomplete, or None.

    Args:
        exported: number of attempts at this claim in the signed export event.
    """
    numbers = [attempt.number for attempt in attempts if attempt.claim_id == claim_id]
    if numbers != list(range(1, len(numbers) + 1)) or any(type(number) is not int for number in numbers):
        return f"attempts at {claim_id} are numbered {numbers[:12]!a}, not from 1 on without a gap"
    if type(exported) is not int or exported != len(numbers):
        return f"{len(numbers)} attempts at {claim_id} are shown, and the export was logged with {ascii(exported)[:20]}"
    return None


def read_exported(entries: Sequence[Mapping[str, Any]], pack_id: str) -> dict[str, Any]:
    """Return the attempts by claim from this pack's export event; empty if that is not the last event."""
    last = entries[-1] if entries else None
    if last is None or last["action"] != "pack.exported" or last["object_id"] != pack_id:
        return {}
    claims = last["payload"].get("claims")
    if not isinstance(claims, dict) or not all(isinstance(row, dict) for row in claims.values()):
        return {}
    return {claim_id: row.get("attempts") for claim_id, row in claims.items()}
