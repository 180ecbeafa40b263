"""Balance of a circuit: findings of its audits sorted into for, against and unresolved, without a total score."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.audits.circuit import CircuitResult
from audit_core.audits.claim_test import ClaimTestResult
from audit_core.audits.confirmation import CIRCUIT_QUESTIONS
from audit_core.audits.curve import CurveResult
from audit_core.audits.recomposition import RecompositionResult
from audit_core.audits.rival import SUFFICIENT_HIGH, SUFFICIENT_LOW, RivalResult
from audit_core.audits.specificity import RANDOM_SETS, SpecificityResult
from audit_core.audits.stability import STABLE, StabilityResult
from audit_core.audits.transfer import TransferResult
from audit_core.circuits.completeness import COMPLETE, MINIMAL
from audit_core.claim import Role
from audit_core.component import Component
from audit_core.judging.verdict import State
from audit_core.registry import list_plugins
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.stats.groups import GroupEstimates

LEFT_OVER = 0.20
"""Maximum unexplained share of a sufficient circuit, in either direction (methods 2.1)."""


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


class _Sides:
    def __init__(self, components: Collection[Component]) -> None:
        self.named = frozenset(map(str, components))
        self.good, self.bad, self.unresolved, self.search = list[str](), list[str](), list[str](), list[str]()

    def put(self, is_valid: bool | None, text: str) -> None:
        {True: self.good, False: self.bad, None: self.unresolved}[is_valid].append(text)


def sort_findings(
    components: Collection[Component], results: Mapping[str, Any], verdicts: Mapping[Role, ClaimTestResult]
) -> Balance:
    """Sort the findings about a circuit.

    Args:
        components: components of the circuit.
        results: audit of `CIRCUIT_QUESTIONS` → result; audits that were not run are absent.
        verdicts: role → verdict on the claim that the circuit is necessary, or sufficient.
    """
    sides, audits = _Sides(components), list_plugins("audits")
    for role in Role:
        if role in verdicts:
            _sort_verdict(sides, verdicts[role])
    for audit in CIRCUIT_QUESTIONS:
        if audit in results:
            _SORT[audit](sides, results[audit])
    missing = [f"Is it {role.value}?" for role in Role if role not in verdicts]
    missing += [audits[audit].question for audit in CIRCUIT_QUESTIONS if audit not in results]
    return Balance(tuple(sides.good), tuple(sides.bad), tuple(sides.unresolved), tuple(sides.search), tuple(missing))


def _sort_verdict(sides: _Sides, found: ClaimTestResult) -> None:
    is_valid = {State.SUPPORTED: True, State.NEGLIGIBLE: False, State.REVERSED: False}.get(State(found.state))
    sides.put(is_valid, found.sentence)


def _sort_completeness(sides: _Sides, found: CircuitResult) -> None:
    wide = [gap for gap in found.gaps if not gap.found.is_within(COMPLETE)]
    sure = any(gap.found.is_beyond(COMPLETE) for gap in wide)
    is_complete = False if sure else None if wide else True
    sides.put(is_complete if found.is_decidable else None, found.completeness)
    if found.idle:
        sides.put(
            False if found.is_decidable else None,
            f"Redundant, within ± {MINIMAL:g} for every tested subset: {', '.join(found.idle)}.",
        )
    elif all(score.found.is_beyond(MINIMAL) for score in found.worths):
        sides.put(
            True if found.is_decidable else None,
            f"Each component has a minimality score above {MINIMAL:g}, for the subset with its largest effect.",
        )
    else:
        sides.put(None, "Minimality is unresolved: some components were shown neither to matter nor to be redundant.")
    _sort_templates(sides, found.by_template)


def _sort_templates(sides: _Sides, groups: GroupEstimates) -> None:
    if groups.untested:
        sides.put(None, f"Not tested, as they have no gap: templates {', '.join(groups.untested)}.")
    if groups.worst is None:
        return
    outside = [name for name, e in zip(groups.names, groups.estimates, strict=True) if _is_outside(e)]
    worst = groups.estimates[groups.worst]
    lowest = f"lowest on {groups.names[groups.worst]}, {format_estimate(worst)} kept"
    between = f"{SUFFICIENT_LOW:g} and {SUFFICIENT_HIGH:g}"
    if outside:
        sides.put(False, f"Alone it keeps less or more than {between} of the gap on {', '.join(outside)}; {lowest}.")
    elif all(_is_inside(estimate) for estimate in groups.estimates):
        sides.put(True, f"Alone it keeps between {between} of the gap on every template; {lowest}.")
    else:
        sides.put(None, f"Unresolved: whether it keeps between {between} of the gap on every template; {lowest}.")


def _is_inside(found: Estimate) -> bool:
    low, high = found.low, found.high
    return low is not None and high is not None and low >= SUFFICIENT_LOW and high <= SUFFICIENT_HIGH


def _is_outside(found: Estimate) -> bool:
    low, high = found.low, found.high
    return low is not None and high is not None and (high < SUFFICIENT_LOW or low > SUFFICIENT_HIGH)


def _sort_curve(sides: _Sides, found: CurveResult) -> None:
    named, drawn = found.named.estimate, found.random_of_its_size
    as_near = sum(abs(1 - value) <= abs(1 - named.value) for value in drawn)
    text = (
        f"{as_near} of {len(drawn)} random circuits of its size alone come as close to the whole model; it keeps "
        f"{format_estimate(named)}."
    )
    is_valid = None
    if named.low is not None and named.high is not None:
        furthest = max(abs(1 - named.low), abs(1 - named.high))
        # True: its whole interval is closer than all draws. False: half of the draws are as close.
        if not as_near and all(abs(1 - value) > furthest for value in drawn):
            is_valid = True
        elif 2 * as_near >= len(drawn):
            is_valid = False
    sides.put(is_valid, text)
    near = f"{found.random_as_near} of {len(found.random_areas)} random orders come as close to the whole model"
    sides.search.append(f"Compared with the discovered order, {near}.")


def _sort_transfer(sides: _Sides, found: TransferResult) -> None:
    sides.search.append(found.sentence)


def _sort_alternative(sides: _Sides, found: RivalResult) -> None:
    sides.put(found.has_no_rival, found.sentence)


def _sort_stability(sides: _Sides, found: StabilityResult) -> None:
    # Stability of a discovered circuit is no evidence for a different one.
    if sides.named == frozenset(found.found):
        sides.put(found.jaccard >= STABLE, found.sentence)
        return
    shared = sorted(sides.named & frozenset(found.core))
    sides.search.append(found.sentence)
    sides.put(
        None,
        f"Discovery finds a different circuit; components of this one in the core of the discovered circuit: "
        f"{', '.join(shared) or 'none'}.",
    )


def _sort_specificity(sides: _Sides, found: SpecificityResult) -> None:
    for task in found.tasks:
        sides.put(task.is_apart, task.finding)
    drawn = len(found.random_divergences)
    if found.divergence is not None and drawn:
        text = (
            f"Without it, predictions on unrelated text change by {format_estimate(found.divergence.estimate)}; "
            f"{found.random_as_large} of {drawn} random sets of its shape change them as much."
        )
        sides.put(False if not found.random_as_large and drawn >= RANDOM_SETS else None, text)
    for name, why in found.untested.items():
        sides.put(None, f"{name}: not measured: {why}")


def _sort_recomposition(sides: _Sides, found: RecompositionResult) -> None:
    is_valid = True if found.left_over.is_within(LEFT_OVER) else False if found.left_over.is_beyond(LEFT_OVER) else None
    sides.put(is_valid, f"Unexplained after recomposition: {format_estimate(found.left_over.estimate)}.")


_SORT: dict[str, Callable[[_Sides, Any], None]] = {
    "recomposition": _sort_recomposition,
    "circuit": _sort_completeness,
    "curve": _sort_curve,
    "transfer": _sort_transfer,
    "rival": _sort_alternative,
    "stability": _sort_stability,
    "specificity": _sort_specificity,
}
