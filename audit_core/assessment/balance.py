"""Balance of a circuit: findings of its audits sorted into for, against and unresolved, without a total score."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.audit import Finding, Side
from audit_core.audits.claim_test import PLUGIN as CLAIM_TEST
from audit_core.audits.claim_test import ClaimTestResult
from audit_core.circuits.circuit_check import get_check, list_circuit_questions
from audit_core.claim import Role
from audit_core.component import Component


@dataclass(frozen=True)
class Balance:
    """Findings as sentences, without weights."""

    speaks_for: tuple[str, ...]
    speaks_against: tuple[str, ...]
    unresolved: tuple[str, ...]
    """Tested without a conclusive result."""
    about_the_search: tuple[str, ...]
    """Findings about circuits that a discovery method found, not about the named circuit."""
    not_asked: tuple[str, ...]
    """Audits without a result."""


def sort_findings(
    components: Collection[Component], results: Mapping[str, Any], verdicts: Mapping[Role, ClaimTestResult]
) -> Balance:
    """Sort the findings about a circuit.

    Args:
        components: components of the circuit.
        results: check → result; checks that were not run are absent. See `list_circuit_questions`.
        verdicts: role → verdict on the claim that the circuit is necessary, or sufficient.
    """
    named, checks = frozenset(map(str, components)), [get_check(name) for name in list_circuit_questions()]
    found: list[Finding] = []
    for role in Role:
        if role in verdicts:
            found += CLAIM_TEST.list_findings(verdicts[role], named)
    for check in checks:
        if check.name in results:
            found += check.list_findings(results[check.name], named)
    missing = [f"Is it {role.value}?" for role in Role if role not in verdicts]
    missing += [check.question for check in checks if check.name not in results]
    sides = {side: tuple(one.text for one in found if one.side is side) for side in Side}
    return Balance(
        speaks_for=sides[Side.FOR],
        speaks_against=sides[Side.AGAINST],
        unresolved=sides[Side.UNRESOLVED],
        about_the_search=sides[Side.ABOUT_THE_SEARCH],
        not_asked=tuple(missing),
    )
