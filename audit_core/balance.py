"""What speaks for a circuit, what against it, and what is not known: the findings of its questions, sorted, never added up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.assessment import CIRCUIT_QUESTIONS
from audit_core.audits.circuit import CircuitResult
from audit_core.audits.claim_test import ClaimTestResult
from audit_core.audits.curve import CurveResult
from audit_core.audits.recomposition import RecompositionResult
from audit_core.audits.rival import RivalResult
from audit_core.audits.specificity import SpecificityResult
from audit_core.audits.stability import STABLE, StabilityResult
from audit_core.audits.transfer import TransferResult
from audit_core.claim import Role
from audit_core.completeness import COMPLETE
from audit_core.groups import GroupEstimates
from audit_core.registry import list_plugins
from audit_core.statistics import format_estimate
from audit_core.verdict import State

LEFT_OVER = 0.20
"""What a sufficient circuit may leave over, either way (methods 2.1)."""


@dataclass(frozen=True)
class Balance:
    """Sentences; they have no weights, and no number is made of them."""

    speaks_for: tuple[str, ...]
    speaks_against: tuple[str, ...]
    unresolved: tuple[str, ...]
    """Asked, and not decided either way."""
    not_asked: tuple[str, ...]
    """Questions without a result."""


class _Sides:
    def __init__(self) -> None:
        self.good, self.bad, self.unresolved = list[str](), list[str](), list[str]()

    def put(self, is_good: bool | None, text: str) -> None:
        {True: self.good, False: self.bad, None: self.unresolved}[is_good].append(text)


def sort_findings(results: Mapping[str, Any], verdicts: Mapping[Role, ClaimTestResult]) -> Balance:
    """Sort what is known.

    Args:
        results: by audit of `CIRCUIT_QUESTIONS`; a question that was not asked is left out.
        verdicts: on the claims that the circuit is needed, and that it is enough.
    """
    sides, audits = _Sides(), list_plugins("audits")
    for role in Role:
        if role in verdicts:
            _sort_verdict(sides, verdicts[role])
    for audit in CIRCUIT_QUESTIONS:
        if audit in results:
            _SORT[audit](sides, results[audit])
    missing = [f"Is it {role.value}?" for role in Role if role not in verdicts]
    missing += [audits[audit].question for audit in CIRCUIT_QUESTIONS if audit not in results]
    return Balance(tuple(sides.good), tuple(sides.bad), tuple(sides.unresolved), tuple(missing))


def _sort_verdict(sides: _Sides, found: ClaimTestResult) -> None:
    is_good = {State.SUPPORTED: True, State.NEGLIGIBLE: False, State.REVERSED: False}.get(State(found.state))
    sides.put(is_good, found.sentence)


def _sort_completeness(sides: _Sides, found: CircuitResult) -> None:
    wide = [gap for gap in found.gaps if not gap.found.is_within(COMPLETE)]
    sure = any(gap.found.is_beyond(COMPLETE) for gap in wide)
    sides.put(False if sure else None if wide else True, found.completeness)
    if found.idle:
        sides.put(False, f"Idle in it, whatever subset tried was taken out: {', '.join(found.idle)}.")
    else:
        sides.put(True, "None of its components is idle beside every subset tried.")
    _sort_templates(sides, found.by_template, "The circuit alone, template by template")


def _sort_templates(sides: _Sides, groups: GroupEstimates, what: str) -> None:
    if groups.worst is None:
        return
    worst = groups.estimates[groups.worst]
    low, high = worst.low, worst.high
    is_good = None
    if low is not None and high is not None:
        is_good = True if low >= 1 - LEFT_OVER else False if high < 1 - LEFT_OVER else None
    sides.put(is_good, f"{what}: worst on {groups.names[groups.worst]}, {format_estimate(worst)} kept.")


def _sort_curve(sides: _Sides, found: CurveResult) -> None:
    count = len(found.random_areas)
    near = f"{found.random_as_near} of {count} random orders come as near to the whole model"
    sides.put(not found.random_as_near, f"Of the order that the search found, {near}.")


def _sort_transfer(sides: _Sides, found: TransferResult) -> None:
    _sort_templates(sides, found.found_elsewhere, "Circuits found without a template, on that template")


def _sort_rival(sides: _Sides, found: RivalResult) -> None:
    sides.put(not found.n_sufficient, found.sentence)


def _sort_stability(sides: _Sides, found: StabilityResult) -> None:
    sides.put(found.jaccard >= STABLE, found.sentence)


def _sort_specificity(sides: _Sides, found: SpecificityResult) -> None:
    for task in found.tasks:
        sides.put(task.is_apart, task.finding)
    if found.divergence is not None and found.random_divergences:
        drawn = f"{found.random_as_large} of {len(found.random_divergences)} random sets of its shape"
        text = f"Unrelated text changes by {format_estimate(found.divergence.estimate)} without it; {drawn} change it as much."
        sides.put(False if not found.random_as_large else None, text)
    for task_name, why in found.untested.items():
        sides.put(None, f"{task_name}: not measured: {why}")


def _sort_recomposition(sides: _Sides, found: RecompositionResult) -> None:
    is_good = True if found.left_over.is_within(LEFT_OVER) else False if found.left_over.is_beyond(LEFT_OVER) else None
    sides.put(is_good, f"Put together again, the parts leave over {format_estimate(found.left_over.estimate)}.")


_SORT: dict[str, Callable[[_Sides, Any], None]] = {
    "recomposition": _sort_recomposition,
    "circuit": _sort_completeness,
    "curve": _sort_curve,
    "transfer": _sort_transfer,
    "rival": _sort_rival,
    "stability": _sort_stability,
    "specificity": _sort_specificity,
}
