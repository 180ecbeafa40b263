"""Whether every signed decision that a later one names is still in the pack: deleting one shows, unless nobody signed after it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from audit_core.verifier.statement import Statement
from audit_core.verifier.trust import show

DECISIONS_COMPLETE, DECISIONS_MISSING = "DECISIONS_COMPLETE", "DECISIONS_MISSING"
DECISIONS_NOT_NAMED, DECISIONS_NONE = "DECISIONS_NOT_NAMED", "DECISIONS_NONE"
_LATER_NOT_KNOWN = "decisions made after this copy are not known"


@dataclass(frozen=True)
class DecisionsFinding:
    """What the decisions in a pack say of one another."""

    result: str
    """DECISIONS_COMPLETE | DECISIONS_MISSING | DECISIONS_NOT_NAMED (one was signed before this was recorded) | DECISIONS_NONE"""
    detail: str
    present: tuple[str, ...] = ()
    """SHA-256 of each decision in the pack, counted or not; one that is there twice is named once."""
    missing: tuple[str, ...] = ()
    """For each decision that is named and not there, a sentence that says whose signature names it."""
    silent: tuple[str, ...] = ()
    """Who signed without naming the decisions they saw, each with the role."""


def check_decisions(statements: Sequence[Statement], counted: Collection[str] | None) -> DecisionsFinding:
    """Hold the decisions that signatures name against those that are in the pack.

    Args:
        statements: every decision in the pack.
        counted: members whose signature a trust file counts; only their lists are believed, since anybody could add one that
            names what never was. None where no signature was checked: then every list is read.
    """
    present = tuple(sorted({one.sha256 for one in statements}))
    deciders = [one for one in statements if counted is None or one.member in counted]
    missing: dict[str, str] = {}
    for one in deciders:
        for digest in sorted(set(one.predicate.get("decisions_seen", ())) - set(present)):
            said = f"{_name_decider(one)} signed after a decision that is not in this pack: sha256 {digest}"
            missing.setdefault(digest, said)
    silent = tuple(sorted({_name_decider(one) for one in deciders if "decisions_seen" not in one.predicate}))
    result, detail = _describe_decisions(
        present, tuple(missing.values()), silent, _count_decisions(statements, counted)
    )
    return DecisionsFinding(result, detail, present, tuple(missing.values()), silent)


def _describe_decisions(
    present: Sequence[str], missing: Sequence[str], silent: Sequence[str], how_many: str
) -> tuple[str, str]:
    if missing:
        return DECISIONS_MISSING, "; ".join(missing)
    if not present:
        return DECISIONS_NONE, f"no decision in this pack; {_LATER_NOT_KNOWN}"
    if silent:
        said = f"{', '.join(silent)} did not name the decisions they saw, so that an earlier one could be gone"
        return DECISIONS_NOT_NAMED, f"{how_many}; {said}; {_LATER_NOT_KNOWN}"
    return DECISIONS_COMPLETE, f"{how_many}; every decision that these name is there; {_LATER_NOT_KNOWN}"


def _count_decisions(statements: Sequence[Statement], counted: Collection[str] | None) -> str:
    total = len({one.sha256 for one in statements})
    if counted is None:
        return f"{total} in this pack, and no signature was checked"
    return (
        f"{total} in this pack, {len({one.sha256 for one in statements if one.member in counted})} by keys that count"
    )


def _name_decider(statement: Statement) -> str:
    return f"{show(statement.predicate['person'])} ({statement.predicate['role']})"
