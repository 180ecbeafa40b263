"""Completeness of signed decisions: each decision that a later one references must still be in the pack."""

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
    """Result of comparing the decisions in a pack with the references between them."""

    result: str
    """DECISIONS_COMPLETE | DECISIONS_MISSING | DECISIONS_NOT_NAMED (one was signed before this was recorded) | DECISIONS_NONE"""
    detail: str
    present: tuple[str, ...] = ()
    """SHA-256 of each decision in the pack, counted or not, without repeats."""
    missing: tuple[str, ...] = ()
    """For each missing decision, a sentence that names the signature that references it."""
    silent: tuple[str, ...] = ()
    """People who signed without referencing earlier decisions, each with the role."""


def check_decisions(statements: Sequence[Statement], counted: Collection[str] | None) -> DecisionsFinding:
    """Compare the decisions that signatures reference with those in the pack.

    Args:
        statements: every decision in the pack.
        counted: members whose signature counts under a trust file; only their references are used, since any user could add
            an envelope with invented references. None if no signature was checked: then all references are used.
    """
    present = tuple(sorted({one.sha256 for one in statements}))
    deciders = [one for one in statements if counted is None or one.member in counted]
    missing: dict[str, str] = {}
    for one in deciders:
        for digest in sorted(set(one.predicate.get("decisions_seen", ())) - set(present)):
            sentence = f"{_name_decider(one)} signed after a decision that is not in this pack: sha256 {digest}"
            missing.setdefault(digest, sentence)
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
        sentence = f"{', '.join(silent)} did not reference earlier decisions, so a removed one would not be detected"
        return DECISIONS_NOT_NAMED, f"{how_many}; {sentence}; {_LATER_NOT_KNOWN}"
    return DECISIONS_COMPLETE, f"{how_many}; every decision that they reference is in the pack; {_LATER_NOT_KNOWN}"


def _count_decisions(statements: Sequence[Statement], counted: Collection[str] | None) -> str:
    total = len({one.sha256 for one in statements})
    if counted is None:
        return f"{total} in this pack; no signature was checked"
    return (
        f"{total} in this pack, {len({one.sha256 for one in statements if one.member in counted})} by keys that count"
    )


def _name_decider(statement: Statement) -> str:
    return f"{show(statement.predicate['person'])} ({statement.predicate['role']})"
