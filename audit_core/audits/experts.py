"""Experts of a mixture: where the routers send tokens, beside what each expert does to the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from audit_core.audit import Audit, Example
from audit_core.capability import MEANS, ROUTING, Capability, components_of
from audit_core.component import Component, Kind
from audit_core.effect import Controls, check_task, get_metric, measure_effect
from audit_core.errors import NotMeasured, Refused
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.intervention import Intervention, PromptSide, Replacement, intervene
from audit_core.judging.faithfulness import PAIR_UNIT
from audit_core.judging.verdict import State, classify
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, MetricName, Request
from audit_core.routing import (
    LayerRouting,
    RoutedToken,
    count_pairs,
    measure_layers,
    read_slots,
    read_weights,
    trace_prompt,
)
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio, bootstrap_ratios, rank_agreement
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.subject import Means, Progress, Routing, Subject, no_partial

FAMILIES = (Replacement.ZERO, Replacement.MEAN, Replacement.RESAMPLE)
_SPLIT = (Replacement.REWEIGHTED, Replacement.ROUTER_MASK)
PAIRS = 3
"""Pairs of experts tested together per layer: those chosen together most often."""
NOT_ROUTED = "not routed"
_READINGS = {State.SUPPORTED: "above δ", State.NEGLIGIBLE: "within δ", State.REVERSED: "below −δ"}


@dataclass(frozen=True)
class ExpertsRequest(Request):
    """Request: the prompts, and whether experts are ablated at every position or at the answer position only."""

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    at_answer: Annotated[
        bool, Ask("At the answer only", "Ablate experts at the answer position, not at every one.")
    ] = False
    delta: Annotated[float, Ask("Smallest effect", "Fraction of the clean–corrupted gap that matters.")] = 0.10
    metric: MetricName = "logit_difference"
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return FAMILIES

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset((Kind.EXPERT,))


@dataclass(frozen=True)
class MaskSplit:
    """What masking an expert in the router does, in three parts that add up; in the metric's unit, positive if masking lowers it."""

    output_removed: Causal[Estimate]
    """The expert's output is missing; all weights as they were."""
    survivors_reweighted: Causal[Estimate]
    """The other chosen experts get the weights that the router gives them without it."""
    newcomer: Causal[Estimate]
    """The expert that enters in its place."""
    whole: Causal[Estimate]


@dataclass(frozen=True, kw_only=True)
class ExpertRow:
    """One expert: what it received, and its effect."""

    component: str
    slots: int
    """Tokens sent to it on the clean runs, at the scope."""
    n_tokens: int
    load: Observational[Estimate]
    """Share of the layer's choices."""
    weight: Observational[Estimate]
    """Mean weight of its output over all tokens; 0 where it was not chosen."""
    effects: Causal[dict[str, Estimate]]
    """Loss of the metric per replacement, in its unit; empty if no token was sent to it."""
    fractions: Causal[dict[str, Estimate]]
    """The same as a fraction of the clean – corrupted gap; empty without a gap."""
    split: MaskSplit | None
    reading: str
    """not routed | above δ | below −δ | within δ | unresolved: by the intervals under zero and resample. Not a verdict."""


@dataclass(frozen=True, kw_only=True)
class JointEffect:
    """Several experts of one layer ablated together."""

    components: tuple[str, ...]
    tokens_together: int
    """Tokens that were sent to all of them; for a whole layer, to any."""
    effects: Causal[dict[str, Estimate]]
    fractions: Causal[dict[str, Estimate]]
    interaction: Causal[Estimate | None]
    """Joint effect minus the sum of single effects under zero, in the metric's unit; None for a whole layer."""
    reading: str


@dataclass(frozen=True, kw_only=True)
class ExpertsResult:
    """Routing and effects of every expert."""

    scope: str
    metric: str
    unit: str
    delta: NotEvidence[float]
    n: int
    n_templates: int
    clean: Observational[Estimate]
    corrupted: Observational[Estimate]
    finding: str
    """Effects of the strongest and of the busiest expert, in sentences."""
    experts: tuple[ExpertRow, ...]
    layers: tuple[LayerRouting, ...]
    whole_layers: tuple[JointEffect, ...]
    """All experts of a layer ablated together."""
    pairs: tuple[JointEffect, ...]
    load_agreement: Observational[Estimate | None]
    """Spearman ρ of load and effect under zero over the experts that received tokens."""
    no_agreement: str
    no_fraction: str
    """Why there is no fraction of the gap; empty if there is."""
    tokens: tuple[str, ...]
    """Tokens of the first prompt."""
    trace: tuple[RoutedToken, ...]
    """Where they were sent."""
    backend: str
    """Implementation of the experts that ran."""
    controls: Controls


_PLANTED = {"L0.E5": "above δ", "L0.E3": "within δ", "L0.E4": NOT_ROUTED}
_EXAMPLE = Example(
    {},
    "L0.E5 carries the answer, L0.E3 has the larger weight and does nothing, L0.E4 receives no token.",
    lambda found: _PLANTED.items() <= {row.component: row.reading for row in found.experts}.items(),
    task="lookup",
)


@dataclass(frozen=True)
class ExpertsAudit(Audit):
    name: str = "experts"
    question: str = "Where do the routers send tokens, and what does each expert do?"
    request: type[Request] = ExpertsRequest
    result: type = ExpertsResult
    version: int = 1
    planted: str = "planted-mixture"
    examples: tuple[Example, ...] = (_EXAMPLE,)
    summary: str = (
        "Load and weights of each expert, beside its measured effect and the three parts of masking it in the router."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (components_of(Kind.EXPERT), ROUTING, MEANS)

    def count_work(self, subject: Subject, request: ExpertsRequest) -> int:
        # Experts without tokens are known only during the run; at most all are ablated.
        return subject.count_work(request.prompts, _plan(subject.components(Kind.EXPERT), request))

    def run(
        self,
        subject: Subject,
        request: ExpertsRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> ExpertsResult:
        ROUTING.of(subject)
        if not 0 < request.delta <= 2:
            raise Refused(
                f"A smallest effect of {request.delta:g}.",
                wanted="a fraction of the gap above 0, at most 2.",
                remedy="give 0.1 or another fraction.",
            )
        return _Measurement(subject, request, means, on_progress).finish()


def _plan(parts: Sequence[Component], request: ExpertsRequest) -> list[Intervention]:
    parts = [_limit(part, request) for part in parts]
    return [intervene([part], replacement) for part in parts for replacement in (*FAMILIES, *_SPLIT)]


def _limit(part: Component, request: ExpertsRequest) -> Component:
    return replace(part, position=-1) if request.at_answer else part


class _Measurement:
    """One run of the audit: routing first, then every intervention in one effect."""

    def __init__(self, subject: Subject, request: ExpertsRequest, means: Means | None, on_progress: Progress) -> None:
        assert isinstance(subject, Routing)
        self.subject, self.request, self.templates = subject, request, request.prompts.templates
        self.n_experts = subject.geometry.n_experts
        self.parts = subject.components(Kind.EXPERT)
        self.routing = subject.read_routing(request.prompts)
        self.corrupted = subject.read_routing(request.prompts, side=PromptSide.CORRUPTED)
        self.slots = {
            part: read_slots(self.routing, part.layer, self.n_experts, last_only=request.at_answer)[part.index]
            for part in self.parts
        }
        self.sent = [part for part in self.parts if self.slots[part].sum()]
        self.pairs = [pair for layer in self.routing[0].layers for pair in self._choose_pairs(layer)]
        self.groups = [tuple(p for p in self.sent if p.layer == layer) for layer in self.routing[0].layers]
        self.runs = self._list_runs()
        self.effect = measure_effect(
            subject,
            request.prompts,
            list(self.runs.values()),
            get_metric(request.metric),
            means=means,
            seed=request.seed,
            on_progress=on_progress,
        )
        self.lost = dict(zip(self.runs, self.effect.support, strict=True))
        self.no_fraction = ""
        try:
            check_task(self.effect)
        except NotMeasured as error:
            self.no_fraction = error.detail

    def _count_pairs(self, layer: int) -> NDArray[np.int64]:
        return count_pairs(self.routing, layer, self.n_experts, last_only=self.request.at_answer)

    def _choose_pairs(self, layer: int) -> list[tuple[Component, ...]]:
        counts = np.triu(self._count_pairs(layer))
        order = np.argsort(-counts, axis=None, kind="stable")[:PAIRS]
        found = [np.unravel_index(at, counts.shape) for at in order if counts.flat[at]]
        pairs = [tuple(Component(layer, Kind.EXPERT, int(i)) for i in pair) for pair in found]
        return [pair for pair in pairs if set(pair) <= set(self.sent)]

    def _list_runs(self) -> dict[tuple[tuple[Component, ...], Replacement], Intervention]:
        """Every set of experts and replacement, once."""
        wanted: dict[tuple[tuple[Component, ...], Replacement], None] = {}
        for part in self.sent:
            for replacement in (*FAMILIES, *_SPLIT):
                wanted[(part,), replacement] = None
        for group in (*self.pairs, *self.groups):
            for replacement in (Replacement.ZERO, Replacement.RESAMPLE):
                if group:
                    wanted[group, replacement] = None
        limit = self.request
        return {key: intervene([_limit(part, limit) for part in key[0]], key[1]) for key in wanted}

    def finish(self) -> ExpertsResult:
        request, unit = self.request, self.effect.unit
        rows = tuple(self._read_expert(part) for part in self.parts)
        agreement, why = self._compare_load()
        pair = request.prompts.pairs[0]
        mixture = getattr(self.subject, "mixture", None)
        return ExpertsResult(
            scope="answer position" if request.at_answer else "all positions",
            metric=self.effect.metric,
            unit=unit,
            delta=request.delta,
            n=len(request.prompts),
            n_templates=len(set(self.templates)),
            clean=self._average(self.effect.clean),
            corrupted=self._average(self.effect.corrupted),
            finding=_describe(rows),
            experts=rows,
            layers=measure_layers(self.routing, self.corrupted, self.templates, self.n_experts, seed=request.seed),
            whole_layers=tuple(self._read_group(group, is_pair=False) for group in self.groups if group),
            pairs=tuple(self._read_group(group, is_pair=True) for group in self.pairs),
            load_agreement=agreement,
            no_agreement=why,
            no_fraction=self.no_fraction,
            tokens=tuple(self.subject.tokenizer.piece(token) for token in pair.clean_ids),
            trace=trace_prompt(self.routing[0]),
            backend=mixture.backend if mixture is not None else "",
            controls=self.effect.controls,
        )

    def _average(self, values: NDArray[np.float64]) -> Estimate:
        return bootstrap_mean(values, self.templates, unit=self.effect.unit, seed=self.request.seed)

    def _fraction(self, values: NDArray[np.float64], level: float = LEVEL) -> Estimate:
        return bootstrap_ratio(
            values, self.effect.gap, self.templates, unit=PAIR_UNIT, seed=self.request.seed, level=level
        )

    def _read_effects(self, group: tuple[Component, ...]) -> tuple[dict[str, Estimate], dict[str, Estimate], str]:
        """Effects, fractions and reading of a set, over the families that were run."""
        found = {family: self.lost[group, family] for family in FAMILIES if (group, family) in self.lost}
        effects = {family.value: self._average(values) for family, values in found.items()}
        if self.no_fraction:
            return effects, {}, "unresolved"
        fractions = {family.value: self._fraction(values) for family, values in found.items()}
        states = {
            classify(
                self._fraction(found[family]), self.request.delta, narrow=self._fraction(found[family], 2 * LEVEL - 1)
            )
            for family in (Replacement.ZERO, Replacement.RESAMPLE)
        }
        agreed = states.pop() if len(states) == 1 else State.INCONCLUSIVE
        return effects, fractions, _READINGS.get(agreed, "unresolved")

    def _read_expert(self, part: Component) -> ExpertRow:
        seed, at_answer = self.request.seed, self.request.at_answer
        layer = read_slots(self.routing, part.layer, self.n_experts, last_only=at_answer)
        weights = read_weights(self.routing, part.layer, self.n_experts, last_only=at_answer)[part.index]
        n_tokens = np.array([1.0 if at_answer else len(pair.clean_ids) for pair in self.request.prompts.pairs])
        effects: dict[str, Estimate] = {}
        fractions: dict[str, Estimate] = {}
        reading, split = NOT_ROUTED, None
        if part in self.sent:
            effects, fractions, reading = self._read_effects((part,))
            split = self._split(part)
        return ExpertRow(
            component=str(_limit(part, self.request)),
            slots=int(self.slots[part].sum()),
            n_tokens=int(n_tokens.sum()),
            load=bootstrap_ratio(self.slots[part], layer.sum(0), self.templates, unit="share of choices", seed=seed),
            weight=bootstrap_ratio(weights, n_tokens, self.templates, unit="of weight per token", seed=seed),
            effects=effects,
            fractions=fractions,
            split=split,
            reading=reading,
        )

    def _split(self, part: Component) -> MaskSplit:
        removed, reweighted, masked = (self.lost[(part,), replacement] for replacement in (Replacement.ZERO, *_SPLIT))
        parts = np.stack([removed, reweighted - removed, masked - reweighted, masked])
        ones = np.ones(parts.shape[1])
        return MaskSplit(*bootstrap_ratios(parts, ones, self.templates, unit=self.effect.unit, seed=self.request.seed))

    def _read_group(self, group: tuple[Component, ...], *, is_pair: bool) -> JointEffect:
        effects, fractions, reading = self._read_effects(group)
        alone = sum(self.lost[(part,), Replacement.ZERO] for part in group)
        together = self.lost[group, Replacement.ZERO] - alone
        layer = group[0].layer
        slots = sum(self.slots[part].sum() for part in self.groups[self.routing[0].layers.index(layer)])
        counts = self._count_pairs(layer)
        return JointEffect(
            components=tuple(str(_limit(part, self.request)) for part in group),
            tokens_together=int(counts[group[0].index, group[1].index])
            if is_pair
            else round(slots / self.routing[0].index.shape[-1]),
            effects=effects,
            fractions=fractions,
            interaction=self._average(together) if is_pair else None,
            reading=reading,
        )

    def _compare_load(self) -> tuple[Estimate | None, str]:
        try:
            if len(self.sent) < 3:
                raise NotMeasured(
                    "low_power", f"{len(self.sent)} experts received tokens; 3 needed for a rank correlation."
                )
            loads = np.stack([self.slots[part] for part in self.sent])
            lost = np.stack([self.lost[(part,), Replacement.ZERO] for part in self.sent])
            return rank_agreement(loads, lost, self.templates, seed=self.request.seed), ""
        except NotMeasured as error:
            return None, error.detail


def _describe(rows: Sequence[ExpertRow]) -> str:
    """Effects of the strongest and of the busiest expert."""
    measured = [row for row in rows if row.fractions]
    if not measured:
        return "No expert has an effect as a fraction of the gap on these prompts."
    zero = Replacement.ZERO.value
    strongest = max(measured, key=lambda row: abs(row.fractions[zero].value))
    busiest = max(measured, key=lambda row: row.load.value)
    text = f"Removing {strongest.component} {_say(strongest.fractions[zero])} of the clean–corrupted gap."
    if busiest is not strongest:
        text += (
            f" Removing {busiest.component}, which receives {busiest.load.value:.0%} of its layer's choices, "
            f"{_say(busiest.fractions[zero])}."
        )
    return text


def _say(fraction: Estimate) -> str:
    """`takes away 0.50 [0.41, 0.60]`; a negative fraction is added."""
    numbers = [n for n in (fraction.value, fraction.low, fraction.high) if n is not None]
    if fraction.value < 0:
        numbers = [-fraction.value, *(-n for n in numbers[:0:-1])]
    value, *ends = (f"{round(number, 2) + 0.0:.2f}" for number in numbers)
    verb = "takes away" if fraction.value >= 0 else "adds"
    return f"{verb} {value}" + (f" [{', '.join(ends)}]" if ends else "")


PLUGIN = ExpertsAudit()
