"""Stability: whether a discovery method finds the same circuit on resampled prompts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from audit_core.audit import Example, Finding, Side, decide_side
from audit_core.audits.discover import DiscoverRequest
from audit_core.capability import HEADS, Capability
from audit_core.circuits.circuit_check import AssessedCircuit, CircuitCheck, Search, WithClaim
from audit_core.circuits.circuit_search import count_order_work, find_order
from audit_core.circuits.discovery import rank_by_size, require_per_prompt
from audit_core.controls import Controls
from audit_core.errors import ClaimRefused
from audit_core.evidence.kind import Estimated
from audit_core.prompts.measurable import keep_measurable
from audit_core.request import Ask, Request
from audit_core.stats.bootstrap import draw_weights
from audit_core.stats.measurement import Conditions
from audit_core.subject import Means, Progress, Subject, no_partial

DRAWS = 200
STABLE = 0.8
"""Minimum mean Jaccard index of a stable circuit (methods 1.9); below it, there is no unique circuit."""
CORE = 0.95
"""Share of draws from which a component belongs to the core."""


@dataclass(frozen=True)
class StabilityRequest(DiscoverRequest):
    """Request: method, prompts, and circuit size."""

    settings: ClassVar[Mapping[str, Any]] = {"draws": DRAWS}

    size: Annotated[int, Ask("Size", "Components of the circuit.")] = 10


@dataclass(frozen=True)
class SelectionFrequency:
    """Selection frequency of one component."""

    component: str
    share: Estimated[float]
    """Share of the draws."""


@dataclass(frozen=True, kw_only=True)
class StabilityResult:
    """The circuit found on all prompts, and those found on bootstrap samples."""

    found: tuple[str, ...]
    """Circuit on all prompts, most important first."""
    jaccard: Estimated[float]
    """Mean Jaccard index over pairs of draws: shared components / components in either; 1 if all are equal."""
    jaccard_low: Estimated[float]
    """5th percentile over pairs; a spread, not a confidence interval."""
    jaccard_high: Estimated[float]
    """95th percentile over pairs."""
    shares: tuple[SelectionFrequency, ...]
    """Components found in any draw, most frequent first."""
    core: tuple[str, ...]
    """Components found in at least `CORE` of the draws."""
    draws: int
    n: int
    n_templates: int
    unit: str
    """Conditions of the Jaccard index."""
    conditions: Conditions
    sentence: str
    controls: Controls | None
    """Controls of the discovery; None if it measured nothing."""


_EXAMPLES = (
    Example(
        {"method": "exact", "size": "2"},
        "Every sample of templates gives the same two heads.",
        lambda found: set(found.core) == {"L1.H0", "L1.H3"} and found.jaccard == 1,
        half="exploratory",
    ),
)


@dataclass(frozen=True)
class StabilityAudit(CircuitCheck):
    name: str = "stability"
    question: str = "Is the same circuit found on resampled prompts?"
    request: type[Request] = StabilityRequest
    result: type = StabilityResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    counts_as: tuple[str, ...] = ("stability_transfer",)
    pace: float = 0.5
    demands: tuple[Capability[Any], ...] = (HEADS,)
    place: int = 60
    has_quick_form: bool = True
    search: Search = Search.ALONE
    with_claim: WithClaim = WithClaim.USUAL

    def count_work(self, subject: Subject, request: StabilityRequest) -> int:
        return count_order_work(subject, request.method, request.search)

    def run(
        self,
        subject: Subject,
        request: StabilityRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> StabilityResult:
        order = find_order(subject, request.method, request.search, means=means, on_progress=on_progress)
        per_prompt = require_per_prompt(order, request.method)
        if not 0 < request.size < len(order.components):
            raise ClaimRefused(
                f"A circuit of {request.size}.",
                wanted=f"1 to {len(order.components) - 1} components.",
                remedy="choose a size in this range.",
            )
        weights = draw_weights(request.prompts.templates, seed=request.seed, draws=DRAWS)
        if weights is None:
            raise ClaimRefused(
                "Prompts of one template.",
                wanted="several templates: prompts of one template are not independent.",
                remedy="add templates.",
            )
        sets = [_find(per_prompt @ row, request.size) for row in weights]
        pairs = [len(a & b) / len(a | b) for a, b in combinations(sets, 2)]
        counts = np.bincount(np.concatenate([sorted(chosen) for chosen in sets]), minlength=len(order.components))
        ranked = [at for at in np.argsort(-counts, kind="stable") if counts[at]]
        shares = tuple(SelectionFrequency(str(order.components[at]), float(counts[at] / DRAWS)) for at in ranked)
        mean, core = float(np.mean(pairs)), tuple(k.component for k in shares if k.share >= CORE)
        low, high = np.quantile(pairs, [0.05, 0.95])
        return StabilityResult(
            found=tuple(map(str, order.components[: request.size])),
            jaccard=mean,
            jaccard_low=float(low),
            jaccard_high=float(high),
            shares=shares,
            core=core,
            draws=DRAWS,
            n=len(request.prompts),
            n_templates=len(set(request.prompts.templates)),
            unit="Jaccard index",
            conditions=Conditions(
                "nodes",
                " and ".join(sorted(request.kinds)),
                request.replacement.value,
                "all",
                "noising",
                f"the {request.size} first of {len(order.components)} by {request.method}",
            ),
            sentence=_describe(mean, core, request),
            controls=order.controls,
        )

    def ask(self, assessed: AssessedCircuit) -> Request:
        circuit = assessed.circuit
        explored = keep_measurable(assessed.explored, assessed.explored, circuit.replacements)
        return StabilityRequest(
            explored,
            explored,
            assessed.method,
            circuit.universe,
            circuit.replacement,
            circuit.metric,
            circuit.seed,
            len(circuit.components),
        )

    def list_findings(self, result: StabilityResult, components: Collection[str]) -> tuple[Finding, ...]:
        named = frozenset(components)
        # Stability of a discovered circuit is no evidence for a different one.
        if named == frozenset(result.found):
            return (Finding(decide_side(result.jaccard >= STABLE), result.sentence),)
        shared = sorted(named & frozenset(result.core))
        text = (
            "Discovery finds a different circuit; components of this one in the core of the discovered circuit: "
            f"{', '.join(shared) or 'none'}."
        )
        return (Finding(Side.ABOUT_THE_SEARCH, result.sentence), Finding(Side.UNRESOLVED, text))


def _find(scores: NDArray[np.float64], size: int) -> frozenset[int]:
    return frozenset(rank_by_size(scores)[:size].tolist())


def _describe(mean: float, core: tuple[str, ...], request: StabilityRequest) -> str:
    kept = f"{len(core)} of {request.size} components are in nearly all of them"
    if mean >= STABLE:
        return f"Found again on {DRAWS} samples of the exploratory prompts with a mean Jaccard index of {mean:.2f}; {kept}."
    return (
        f"On {DRAWS} samples of the exploratory prompts the circuits found have a mean Jaccard index of {mean:.2f}, below {STABLE:g}: "
        f'the method finds several circuits, not "the" circuit; {kept}.'
    )


PLUGIN = StabilityAudit()
