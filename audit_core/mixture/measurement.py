"""One run of the audit of experts: routing first, then every intervention in one effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from audit_core.capability import MEANS
from audit_core.component import Component, Kind
from audit_core.effect import check_task, get_metric, measure_effect
from audit_core.errors import NotMeasured
from audit_core.intervention import Direction, Intervention, PromptSide, Replacement, intervene
from audit_core.judging.faithfulness import PAIR_UNIT
from audit_core.judging.verdict import State, classify
from audit_core.mixture.finding import describe_strongest
from audit_core.mixture.results import (
    NOT_ROUTED,
    ExpertRow,
    ExpertsResult,
    ForcedRoute,
    JointEffect,
    MaskSplit,
    ScreenAgreement,
    SharedRow,
    WeightCurve,
)
from audit_core.mixture.weights import check_weighed, plan_weights, read_curve
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, MetricName, Request
from audit_core.routing import count_pairs, measure_layers, read_norms, read_slots, read_weights, trace_prompt
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio, bootstrap_ratios, rank_agreement
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.subject import Means, Progress, Routing, Subject

FAMILIES = (Replacement.ZERO, Replacement.MEAN, Replacement.RESAMPLE)
_SPLIT = (Replacement.REWEIGHTED, Replacement.ROUTER_MASK)
PAIRS = 3
"""Pairs of experts tested together per layer: those chosen together most often."""
NORM_UNIT = "of output length"
_READINGS = {State.SUPPORTED: "above δ", State.NEGLIGIBLE: "within δ", State.REVERSED: "below −δ"}
_RESTORED = "restored"
_Key = tuple[tuple[Component, ...], Any]
"""Set of components, and its replacement, `_RESTORED`, or the factor of its weight."""


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
    force: Annotated[
        tuple[Component, ...],
        Ask("Force the route to", "Experts in the place of the router's choice, such as L0.E5@-1 L0.E6@-1."),
    ] = ()
    weigh: Annotated[
        tuple[Component, ...],
        Ask("Vary the weight of", "Experts, each alone: their weight times 0, 0.5, 1, 1.5 and 2, such as L0.E5."),
    ] = ()

    def describe(self) -> dict[str, Any]:
        """As every request; experts whose weight varies only if there are any, so that earlier descriptions stay."""
        own = super().describe()
        return own if self.weigh else {name: value for name, value in own.items() if name != "weigh"}

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return FAMILIES

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset((Kind.EXPERT,))


def plan_experts(subject: Subject, request: ExpertsRequest) -> list[Intervention]:
    """Every intervention that a run may need; experts without tokens are known only during it."""
    parts = [_limit(part, request) for part in subject.components(Kind.EXPERT)]
    shared = [_limit(part, request) for part in subject.components(Kind.SHARED)]
    return [
        *(intervene([part], replacement) for part in parts for replacement in (*FAMILIES, *_SPLIT)),
        *(intervene([part], replacement) for part in shared for replacement in (*FAMILIES, Replacement.RESAMPLE)),
        *(intervene(group, Replacement.FORCED) for group in list_forced(request)),
        *plan_weights(list_weighed(request)).values(),
    ]


def list_weighed(request: ExpertsRequest) -> list[Component]:
    """The experts whose weight varies, at the scope of the request."""
    return [_limit(part, request) for part in dict.fromkeys(request.weigh)]


def list_forced(request: ExpertsRequest) -> list[tuple[Component, ...]]:
    """The forced experts of each layer."""
    parts = [part if part.position is not None else _limit(part, request) for part in request.force]
    return [tuple(part for part in parts if part.layer == layer) for layer in sorted({part.layer for part in parts})]


def _limit(part: Component, request: ExpertsRequest) -> Component:
    return replace(part, position=-1) if request.at_answer and part.position is None else part


class ExpertMeasurement:
    """One run of the audit: routing first, then every intervention in one effect."""

    def __init__(self, subject: Subject, request: ExpertsRequest, means: Means | None, on_progress: Progress) -> None:
        assert isinstance(subject, Routing)
        self.subject, self.request, self.templates = subject, request, request.prompts.templates
        self.shared = [_limit(part, request) for part in subject.components(Kind.SHARED)]
        self.forced = list_forced(request)
        check_weighed(subject, request.weigh)
        self.weighed = list_weighed(request)
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
            means=_add_shared(means, subject, request) if self.shared else means,
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

    def _list_runs(self) -> dict[_Key, Intervention]:
        """Every set of experts and replacement, once."""
        wanted: dict[_Key, None] = {}
        for part in self.sent:
            for replacement in (*FAMILIES, *_SPLIT):
                wanted[(part,), replacement] = None
        for group in (*self.pairs, *self.groups):
            for replacement in (Replacement.ZERO, Replacement.RESAMPLE):
                if group:
                    wanted[group, replacement] = None
        for part in self.shared:
            wanted |= {((part,), replacement): None for replacement in FAMILIES}
        wanted |= {(group, Replacement.FORCED): None for group in self.forced}
        runs = {key: intervene([_limit(part, self.request) for part in key[0]], key[1]) for key in wanted}
        for part in self.shared:
            restoring = intervene([part], Replacement.RESAMPLE, direction=Direction.DENOISING)
            runs[(part,), _RESTORED] = restoring
        sent = [part for part in self.weighed if replace(part, position=None) in self.sent]
        return runs | {((part,), factor): run for (part, factor), run in plan_weights(sent).items()}

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
            finding=describe_strongest(rows),
            experts=rows,
            layers=measure_layers(
                self.routing,
                self.corrupted,
                self.templates,
                self.n_experts,
                tokens=[pair.clean_ids for pair in request.prompts.pairs],
                seed=request.seed,
            ),
            shared=tuple(self._read_shared(part) for part in self.shared),
            no_shared=getattr(mixture, "why_no_shared", ""),
            forced=tuple(self._read_forced(group) for group in self.forced),
            weighed=tuple(self._read_weights(part) for part in self.weighed),
            whole_layers=tuple(self._read_group(group, is_pair=False) for group in self.groups if group),
            pairs=tuple(self._read_group(group, is_pair=True) for group in self.pairs),
            load_agreement=agreement,
            no_agreement=why,
            screens=self._compare_screens(),
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
            output_norm=self._average_norm(part, weighted=False),
            weighted_norm=self._average_norm(part, weighted=True),
            effects=effects,
            fractions=fractions,
            split=split,
            reading=reading,
        )

    def _norms(self, part: Component, *, weighted: bool) -> NDArray[np.float64]:
        """Summed lengths of what an expert wrote, per prompt."""
        last_only = self.request.at_answer
        return read_norms(self.routing, part.layer, self.n_experts, weighted=weighted, last_only=last_only)[part.index]

    def _average_norm(self, part: Component, *, weighted: bool) -> Estimate | None:
        if part not in self.sent:
            return None
        sums, slots = self._norms(part, weighted=weighted), self.slots[part]
        try:
            return bootstrap_ratio(sums, slots, self.templates, unit=NORM_UNIT, seed=self.request.seed)
        except NotMeasured:
            # Too few templates have tokens for it, so that a draw may have none.
            return Estimate(float(sums.sum() / slots.sum()), None, None, len(sums), NORM_UNIT, None)

    def _read_shared(self, part: Component) -> SharedRow:
        effects, fractions, reading = self._read_effects((part,))
        restored = self._average(self.lost[(part,), _RESTORED])
        return SharedRow(component=str(part), effects=effects, fractions=fractions, restored=restored, reading=reading)

    def _read_forced(self, group: tuple[Component, ...]) -> ForcedRoute:
        lost = self.lost[group, Replacement.FORCED]
        layer = self.routing[0].layers.index(group[0].layer)
        wanted: dict[int | None, set[int]] = {}
        for part in group:
            wanted.setdefault(part.position, set()).add(part.index)
        moved, n_tokens = 0, 0
        for one in self.routing:
            for at, chosen in wanted.items():
                rows = one.index[layer] if at is None else one.index[layer][[at]]
                n_tokens += len(rows)
                moved += sum(set(row.tolist()) != chosen for row in rows)
        return ForcedRoute(
            components=tuple(map(str, group)),
            tokens_moved=moved,
            n_tokens=n_tokens,
            effect=self._average(lost),
            fraction=None if self.no_fraction else self._fraction(lost),
        )

    def _read_weights(self, part: Component) -> WeightCurve:
        runs = {(key[0][0], key[1]): values for key, values in self.lost.items() if isinstance(key[1], float)}
        tolerance, seed = self.effect.controls.tolerance, self.request.seed
        return read_curve(part, runs, self.templates, unit=self.effect.unit, tolerance=tolerance, seed=seed)

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

    def _compare(self, screen: NDArray[np.float64], per: NDArray[np.float64] | None) -> tuple[Estimate | None, str]:
        """Spearman ρ of a screen and the effects under zero; arrays of shape (expert that received tokens, prompt)."""
        try:
            if len(self.sent) < 3:
                raise NotMeasured(
                    "low_power", f"{len(self.sent)} experts received tokens; 3 needed for a rank correlation."
                )
            lost = np.stack([self.lost[(part,), Replacement.ZERO] for part in self.sent])
            return rank_agreement(screen, lost, self.templates, per=per, seed=self.request.seed), ""
        except NotMeasured as error:
            return None, error.detail

    def _compare_load(self) -> tuple[Estimate | None, str]:
        return self._compare(self._stack(self.slots.__getitem__), None)

    def _stack(self, read: Callable[[Component], NDArray[np.float64]]) -> NDArray[np.float64]:
        n = len(self.templates)
        return np.stack([read(part) for part in self.sent]) if self.sent else np.zeros((0, n))

    def _compare_screens(self) -> tuple[ScreenAgreement, ...]:
        last_only = self.request.at_answer
        slots = self._stack(self.slots.__getitem__)
        weights = self._stack(
            lambda part: read_weights(self.routing, part.layer, self.n_experts, last_only=last_only)[part.index]
        )
        norms = self._stack(lambda part: self._norms(part, weighted=False))
        weighted = self._stack(lambda part: self._norms(part, weighted=True))
        screens = (
            ("load", slots, None),
            ("weight", weights, None),
            ("output norm", norms, slots),
            ("weight × norm", weighted, slots),
        )
        return tuple(ScreenAgreement(screen=name, **_name(self._compare(sums, per))) for name, sums, per in screens)


def _name(found: tuple[Estimate | None, str]) -> dict[str, Any]:
    return {"agreement": found[0], "why_not": found[1]}


def _add_shared(means: Means | None, subject: Subject, request: ExpertsRequest) -> Means:
    """Means of the shared paths beside those of the experts; not every mixture has them, so no request asks for them."""
    assert means is not None
    more = MEANS.of(subject).capture_means(request.reference, kinds=[Kind.SHARED]).activations
    return Means({key: {**kinds, **more[key]} for key, kinds in means.activations.items()}, means.n_prompts)
