"""Heads of an encoder–decoder on both sides: where cross-attention looks, beside what every head does to the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from audit_core.audit import Audit, Example, Verdicts
from audit_core.audits.source_tokens import SHARE
from audit_core.capability import CROSS_ATTENTION, MEANS, Capability, components_of
from audit_core.claim import Claim, Universe
from audit_core.component import KINDS, Component, Kind, format_components
from audit_core.effect import Controls, Effect, check_task, get_metric, join_controls, measure_effect
from audit_core.errors import ComponentRefused, NotMeasured
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.intervention import Direction, Intervention, Replacement, intervene
from audit_core.judging.faithfulness import PAIR_UNIT, list_universe, plan_circuit
from audit_core.judging.null import draw_null, plan_removals
from audit_core.judging.trial import (
    FAMILIES,
    Judgement,
    NullFinding,
    TrialPlan,
    judge_trial,
    measure_null_draws,
    read_trial,
)
from audit_core.judging.verdict import State, classify
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, MetricName, Request
from audit_core.source_tokens import SourceToken, choose_places
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio, rank_agreement
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.subject import Floats, Means, Progress, Subject, no_partial

HEADS = (Kind.ENCODER_HEAD, Kind.DECODER_HEAD, Kind.CROSS_HEAD)
NOT_NAMED = "Empty: the head of cross-attention that attends most to the token."


@dataclass(frozen=True)
class BothSidesRequest(Request):
    """Request: the prompts, the source token that attention is read at, and the heads that are judged."""

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    token: Annotated[SourceToken, Ask("Source token", "The token at which attention is read.")] = SourceToken.CHANGED
    components: Annotated[tuple[Component, ...], Ask("Judged heads", NOT_NAMED)] = ()
    delta: Annotated[float, Ask("Smallest effect", "Fraction of the gap that matters.")] = 0.10
    metric: MetricName = "logit_difference"
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return FAMILIES

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset((*HEADS, Kind.SOURCE))


@dataclass(frozen=True, kw_only=True)
class SideHeadRow:
    """One head."""

    component: str
    kind: str
    consulted: Observational[Estimate | None]
    """Attention from the answer position to the source token; None for self-attention."""
    effects: Causal[dict[str, Estimate]]
    """Loss of the metric per replacement of its output, in the metric's unit."""
    fractions: Causal[dict[str, Estimate]]
    """The same as a fraction of the clean – corrupted gap; empty without a gap."""
    hidden: Causal[Estimate | None]
    """Loss of the metric when this head alone does not see the token; None for self-attention."""
    reading: str
    """supported | negligible | reversed | inconclusive: by the intervals of all replacements. Not a verdict."""


@dataclass(frozen=True, kw_only=True)
class BothSidesResult:
    """Every head, and the verdict on the judged ones."""

    token: str
    metric: str
    unit: str
    delta: NotEvidence[float]
    n: int
    n_templates: int
    clean: Observational[Estimate]
    corrupted: Observational[Estimate]
    judged: tuple[str, ...]
    finding: str
    state: str
    reason: str | None
    families: Causal[dict[str, Estimate]]
    """Loss per replacement of the judged heads, as a fraction of the gap to all heads of their kind."""
    not_measured: dict[str, str]
    null: Causal[NullFinding | None]
    heads: tuple[SideHeadRow, ...]
    agreement: Observational[Estimate | None]
    """Spearman ρ of attention to the token and loss under zero, over heads of cross-attention."""
    no_fraction: str
    """Why there is no fraction of the gap; empty if there is."""
    controls: Controls


def _know(state: State) -> Verdicts:
    return Verdicts(lambda found: [found.state], state.value, frozenset({State.INCONCLUSIVE.value}))


_EXAMPLES = (
    Example(
        {"components": "L0.XH1"},
        "This head of cross-attention carries the answer: it is supported.",
        lambda found: found.state == State.SUPPORTED,
        task="source-lookup",
        verdicts=_know(State.SUPPORTED),
    ),
    Example(
        {"components": "L0.XH0"},
        "This head attends most to the decoy, and nothing reads what it writes: it is negligible.",
        lambda found: found.state == State.NEGLIGIBLE,
        task="source-lookup",
        verdicts=_know(State.NEGLIGIBLE),
    ),
)


@dataclass(frozen=True)
class BothSidesAudit(Audit):
    name: str = "both_sides"
    question: str = "What does each head of the encoder and of the decoder do?"
    request: type[Request] = BothSidesRequest
    result: type = BothSidesResult
    version: int = 1
    summary: str = (
        "Every head of the encoder, of the decoder and of cross-attention is replaced in three ways. Heads of cross-attention "
        "are shown with their attention to one source token, and the named heads are judged."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    planted: str = "planted-encoder-decoder"
    examples: tuple[Example, ...] = _EXAMPLES
    demands: tuple[Capability[Any], ...] = (CROSS_ATTENTION, components_of(Kind.CROSS_HEAD), MEANS)

    def count_work(self, subject: Subject, request: BothSidesRequest) -> int:
        parts = [part for kind in HEADS for part in subject.components(kind)]
        return subject.count_work(request.prompts, _ablate_each(parts))

    def run(
        self,
        subject: Subject,
        request: BothSidesRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> BothSidesResult:
        return _Measurement(subject, request, means, on_progress).finish()


def _ablate_each(parts: Sequence[Component]) -> list[Intervention]:
    return [intervene([part], family) for part in parts for family in FAMILIES]


class _Measurement:
    """One run of the audit."""

    def __init__(self, subject: Subject, request: BothSidesRequest, means: Means | None, on_progress: Progress) -> None:
        source = CROSS_ATTENTION.of(subject)
        self.subject, self.request, self.means = subject, request, means
        self.templates, self.metric = request.prompts.templates, get_metric(request.metric)
        attention = source.read_cross_attention(request.prompts)
        self.places = choose_places(request.prompts, attention, request.token, source)
        self.looks = _read_looks(attention, self.places)
        self.parts = [part for kind in HEADS for part in subject.components(kind)]
        self.cross = list(subject.components(Kind.CROSS_HEAD))
        self.judged = request.components or (self.cross[int(self.looks.mean(1).argmax())],)
        self.plan = self._plan_trial()
        runs = _ablate_each(self.parts)
        own = self.plan.list_runs()
        effect = measure_effect(
            subject,
            request.prompts,
            [*runs, *own],
            self.metric,
            means=means,
            seed=request.seed,
            on_progress=on_progress,
        )
        self.effect = effect
        self.lost = effect.support[: len(runs)].reshape(len(self.parts), len(FAMILIES), -1)
        self.trial_effect = _take_runs(effect, len(runs))
        self.hidden, controls = self._hide()
        self.controls = join_controls([effect.controls, *controls])
        self.no_fraction = ""
        try:
            check_task(effect)
        except NotMeasured as error:
            self.no_fraction = error.detail

    def _plan_trial(self) -> TrialPlan:
        """The runs of the product's rule for the judged heads; the universe is all heads of their kind."""
        kinds = {part.kind for part in self.judged}
        if len(kinds) != 1 or not kinds <= set(HEADS) or not set(self.judged) <= set(self.parts):
            raise ComponentRefused(
                f"Judged together: {format_components(self.judged)[:80]}.",
                wanted="heads of one kind that this model has, at all positions, such as L0.XH1 L1.XH0.",
                remedy="name heads of the list, all of the encoder, of the decoder or of cross-attention.",
            )
        request, subject = self.request, self.subject
        universe = Universe(KINDS[kinds.pop()].plural)
        self.claim = Claim("judged heads", self.judged, universe, metric=request.metric, delta=request.delta)
        widths = [subject.geometry.d_head] * len(self.judged)
        null = draw_null(
            self.claim.components, list_universe(subject, universe), widths, can_use_directions=True, seed=request.seed
        )
        sizes = (
            MEANS.of(subject)
            .activation_change_rms(request.prompts, self.claim.components, self.claim.ablation, means=self.means)
            .tolist()
            if null.directions
            else ()
        )
        return TrialPlan(
            {family: plan_circuit(subject, self.claim.components, universe, family) for family in FAMILIES},
            # The positive control: with the whole source replaced, the pair's other run must come out.
            intervene(subject.components(Kind.SOURCE), Replacement.RESAMPLE),
            intervene(self.claim.components, Replacement.RESAMPLE, direction=Direction.DENOISING),
            null,
            plan_removals(null, self.claim.ablation, sizes),
        )

    def _hide(self) -> tuple[NDArray[np.float64], list[Controls]]:
        """Loss when one head of cross-attention does not see the token; shape (cross head, prompt)."""
        lost, controls = np.empty((len(self.cross), len(self.places))), []
        for place in sorted(set(self.places)):
            rows = [at for at, own in enumerate(self.places) if own == place]
            runs = [
                intervene([Component(head.layer, Kind.CROSS_EDGE, head.index, -1, place)], Replacement.ZERO)
                for head in self.cross
            ]
            effect = measure_effect(
                self.subject, self.request.prompts.take(rows), runs, self.metric, seed=self.request.seed
            )
            lost[:, rows] = effect.support
            controls.append(effect.controls)
        return lost, controls

    def judge(self) -> Judgement:
        request = self.request
        trial = read_trial(self.claim, self.plan, self.trial_effect)
        found = judge_trial(trial, seed=request.seed)
        if found.needs_null_draws and self.plan.draws:
            trial = measure_null_draws(
                self.subject, request.prompts, trial, self.plan, self.metric, means=self.means, seed=request.seed
            )
            found = judge_trial(trial, seed=request.seed)
        return found

    def finish(self) -> BothSidesResult:
        judged, effect, request = self.judge(), self.effect, self.request
        return BothSidesResult(
            token=request.token.value,
            metric=effect.metric,
            unit=effect.unit,
            delta=request.delta,
            n=len(request.prompts),
            n_templates=len(set(self.templates)),
            clean=self._average(effect.clean, effect.unit),
            corrupted=self._average(effect.corrupted, effect.unit),
            judged=tuple(map(str, self.claim.components)),
            finding=judged.verdict.sentence,
            state=judged.verdict.state.value,
            reason=judged.verdict.reason,
            families={family.value: one for family, one in judged.families.items()},
            not_measured={family.value: why for family, why in judged.not_measured.items()},
            null=judged.null,
            heads=tuple(self._read_head(at) for at in range(len(self.parts))),
            agreement=self._compare(),
            no_fraction=self.no_fraction,
            controls=self.controls,
        )

    def _average(self, values: NDArray, unit: str) -> Estimate:
        return bootstrap_mean(np.asarray(values, float), self.templates, unit=unit, seed=self.request.seed)

    def _fraction(self, values: NDArray[np.float64], level: float = LEVEL) -> Estimate:
        return bootstrap_ratio(
            values, self.effect.gap, self.templates, unit=PAIR_UNIT, seed=self.request.seed, level=level
        )

    def _read_head(self, at: int) -> SideHeadRow:
        part, lost = self.parts[at], dict(zip(FAMILIES, self.lost[at], strict=True))
        fractions, reading = {}, "inconclusive"
        if not self.no_fraction:
            fractions = {family.value: self._fraction(values) for family, values in lost.items()}
            states = {
                classify(self._fraction(v), self.request.delta, narrow=self._fraction(v, 2 * LEVEL - 1))
                for v in lost.values()
            }
            reading = states.pop().value if len(states) == 1 else "inconclusive"
        is_cross = part.kind is Kind.CROSS_HEAD
        row = self.cross.index(part) if is_cross else 0
        return SideHeadRow(
            component=str(part),
            kind=part.kind.value,
            consulted=self._average(self.looks[row], SHARE) if is_cross else None,
            effects={family.value: self._average(values, self.effect.unit) for family, values in lost.items()},
            fractions=fractions,
            hidden=self._average(self.hidden[row], self.effect.unit) if is_cross else None,
            reading=reading,
        )

    def _compare(self) -> Estimate | None:
        zero = FAMILIES.index(Replacement.ZERO)
        rows = [at for at, part in enumerate(self.parts) if part.kind is Kind.CROSS_HEAD]
        try:
            return rank_agreement(self.looks, self.lost[rows, zero], self.templates, seed=self.request.seed)
        except NotMeasured:
            return None


def _read_looks(attention: Sequence[Floats], places: Sequence[int]) -> NDArray[np.float64]:
    """Attention of each head of cross-attention to the token; shape (cross head, prompt)."""
    return np.stack([rows[:, :, at].ravel() for rows, at in zip(attention, places, strict=True)], -1).astype(float)


def _take_runs(effect: Effect, first: int) -> Effect:
    """The effect without its first interventions."""
    norms = None if effect.norms is None else np.delete(effect.norms, range(2, 2 + first), axis=0)
    return Effect(
        effect.prompts, effect.interventions[first:], effect.metric, effect.unit, effect.min_gap, effect.clean,
        effect.corrupted, effect.patched[first:].copy(), None, effect.controls, norms,
    )  # fmt: skip


PLUGIN = BothSidesAudit()
