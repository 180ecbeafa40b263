"""Transfer: sufficiency of a circuit on held-out templates, with the worst one and its interval."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from audit_core.audit import Example, Finding, Side
from audit_core.capability import HEADS, Capability
from audit_core.circuits.circuit_check import CircuitCheck, Search, WithClaim
from audit_core.circuits.circuit_question import CircuitRunner, Parts, count_run_work
from audit_core.circuits.circuit_search import SearchQuestion, count_order_work, search_elsewhere, share_progress
from audit_core.circuits.completeness import name_parts
from audit_core.circuits.discovery import Order, rank_by_size, require_per_prompt
from audit_core.controls import Controls, join_controls
from audit_core.errors import PromptRefused
from audit_core.evidence.kind import Causal
from audit_core.judging.faithfulness import UNIT
from audit_core.request import Request
from audit_core.stats.estimates import format_estimate
from audit_core.stats.groups import GroupEstimates, estimate_groups
from audit_core.stats.measurement import Conditions, Measurement
from audit_core.subject import Means, Progress, Subject, no_partial


@dataclass(frozen=True)
class TransferRequest(SearchQuestion):
    """Request: a circuit; circuits of its size are found without each template and measured on that template."""


@dataclass(frozen=True)
class HeldOut:
    """One held-out template."""

    template: str
    components: tuple[str, ...]
    """Circuit found on the exploratory prompts of all other templates."""


@dataclass(frozen=True, kw_only=True)
class TransferResult:
    """Sufficiency of circuits on held-out templates, and of the named circuit."""

    folds: tuple[HeldOut, ...]
    sufficiency: Causal[Measurement]
    """Each prompt with everything ablated except the circuit found without its template."""
    necessity: Causal[Measurement]
    """Each prompt with the circuit found without its template ablated."""
    found_elsewhere: Causal[GroupEstimates]
    """Sufficiency per held-out template."""
    named: Causal[GroupEstimates]
    """Sufficiency of the named circuit per template; its discovery prompts are unknown."""
    conditions: Conditions
    """Conditions of both."""
    sentence: str
    controls: Controls


_EXAMPLES = (
    Example(
        {"components": "L1.H0 L1.H3"},
        "The circuit found without a template is the same for all of them.",
        lambda found: {fold.components for fold in found.folds} == {("L1.H0", "L1.H3")},
    ),
)


@dataclass(frozen=True)
class TransferAudit(CircuitCheck):
    name: str = "transfer"
    question: str = "Is it sufficient on held-out templates?"
    request: type[Request] = TransferRequest
    result: type = TransferResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    counts_as: tuple[str, ...] = ("stability_transfer",)
    pace: float = 0.3
    demands: tuple[Capability[Any], ...] = (HEADS,)
    place: int = 40
    search: Search = Search.FIRST
    with_claim: WithClaim = WithClaim.USUAL

    def count_work(self, subject: Subject, request: TransferRequest) -> int:
        return count_order_work(subject, request.method, request.search) + count_run_work(
            subject, request, _count_runs(request)
        )

    def run(
        self,
        subject: Subject,
        request: TransferRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> TransferResult:
        total, looking = self.count_work(subject, request), count_order_work(subject, request.method, request.search)
        order = search_elsewhere(
            subject, request, with_means=means is not None, on_progress=share_progress(on_progress, total, 0, looking)
        )
        found = find_without_each(order, request)
        measuring = share_progress(on_progress, total, looking, total - looking)
        runner = CircuitRunner(subject, request, runs=_count_runs(request), means=means, on_progress=measuring)
        sets = [runner.circuit, *found.values()]
        runner.run(out for chosen in sets for out in (chosen, runner.all_but(chosen)))
        runner.finish()
        # Each prompt is measured with the circuit found without its template.
        rows = [found[template] for template in runner.clusters]
        kept = np.array([runner.kept(chosen)[at] for at, chosen in enumerate(rows)])
        lost = np.array([runner.lost(chosen)[at] for at, chosen in enumerate(rows)])
        by_template, named = (
            estimate_groups(values, runner.scale, runner.clusters, unit=UNIT, min_gap=runner.min_gap)
            for values in (kept, runner.kept(runner.circuit))
        )
        return TransferResult(
            folds=tuple(HeldOut(template, name_parts(chosen)) for template, chosen in found.items()),
            sufficiency=runner.estimate(kept, request.sufficiency_conditions),
            necessity=runner.estimate(lost, request.necessity_conditions),
            found_elsewhere=by_template,
            named=named,
            conditions=request.sufficiency_conditions,
            sentence=_describe(by_template, named),
            controls=runner.controls if order.controls is None else join_controls((order.controls, runner.controls)),
        )

    def list_findings(self, result: TransferResult, components: Collection[str]) -> tuple[Finding, ...]:
        return (Finding(Side.ABOUT_THE_SEARCH, result.sentence),)


def find_without_each(order: Order, request: TransferRequest) -> dict[str, Parts]:
    """For each template of the measured prompts, the circuit found on the exploratory prompts of all others.

    Raises:
        PromptRefused: the exploratory prompts have no other template.
    """
    per_prompt = require_per_prompt(order, request.method)
    explored = np.asarray(request.search.prompts.templates)
    found = {}
    for template in dict.fromkeys(request.prompts.templates):
        others = explored != template
        if not others.any():
            raise PromptRefused(
                f"No exploratory prompt outside template {template!r}.",
                wanted="several templates, so that one can be held out.",
                remedy="add templates.",
            )
        ranks = rank_by_size(per_prompt[:, others].mean(1))
        found[template] = frozenset(order.components[at] for at in ranks[: len(request.components)])
    return found


def _count_runs(request: TransferRequest) -> int:
    return 3 + 2 * len(set(request.prompts.templates))


def _describe(elsewhere: GroupEstimates, named: GroupEstimates) -> str:
    words = (("of circuits found without it", elsewhere), ("of the named circuit", named))
    worst = [
        f"{whose}: {groups.names[groups.worst]}, kept alone {format_estimate(groups.estimates[groups.worst])}"
        for whose, groups in words
        if groups.worst is not None
    ]
    untested = f" Not tested, as they have no gap: {', '.join(named.untested)}." if named.untested else ""
    return f"Worst template {'; '.join(worst) or 'not known'}.{untested}"


PLUGIN = TransferAudit()
