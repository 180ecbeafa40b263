"""Source tokens of an encoder–decoder: which the decoder consults, beside which its answer relies on."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from audit_core.audit import Audit, Example, Verdicts
from audit_core.capability import CROSS_ATTENTION, MEANS, Capability
from audit_core.claim import Claim, Universe
from audit_core.component import Component, Kind
from audit_core.effect import Controls, get_metric
from audit_core.errors import NotMeasured
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.intervention import Replacement
from audit_core.judging.faithfulness import CircuitEffect
from audit_core.judging.null import DRAWS
from audit_core.judging.trial import Judgement, NullFinding, Trial, judge_trial
from audit_core.judging.verdict import REASONS, State
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, MetricName, Request
from audit_core.source_tokens import (
    SourceEffects,
    SourceToken,
    borrow_tokens,
    choose_places,
    list_changed_slots,
    measure_source,
)
from audit_core.source_tokens.effects import FAMILIES
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio, correlate_ranks
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.subject import Means, Progress, Subject, no_partial

SHARE = "share of cross-attention"
OF_GAP = "fraction of the gap to a source that is replaced whole"
NO_RANGE = "the neurons of this kind of model cannot be kept in range here, and a token replaced by zero or by a mean is one that no text has."
_NAMES = {
    SourceToken.CONSULTED: "the most consulted source token",
    SourceToken.CHANGED: "the source token that differs between clean and corrupted",
    SourceToken.NEXT: "the second most consulted source token",
}


@dataclass(frozen=True)
class SourceTokensRequest(Request):
    """Request: the prompts, and the source token that is judged."""

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    token: Annotated[SourceToken, Ask("Source token", "The token of each prompt that is judged.")] = (
        SourceToken.CONSULTED
    )
    delta: Annotated[float, Ask("Smallest effect", "Fraction of the gap that matters.")] = 0.10
    metric: MetricName = "logit_difference"
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return FAMILIES

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset((Kind.SOURCE,))


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """One source token of the first prompt."""

    position: int
    token: str
    consulted: Observational[Estimate]
    """Mean over heads of cross-attention from the answer position."""
    replaced: Causal[dict[str, Estimate]]
    """Loss of the metric per replacement; without `resample` where every prompt of the template has the same token."""
    hidden: Causal[Estimate]
    """Loss of the metric when no head of cross-attention sees it from the answer position."""


@dataclass(frozen=True, kw_only=True)
class SourceTokensResult:
    """The judged token, and every token of the first prompt.

    Fields with a default are missing in results that were stored by version 1.
    """

    token: str
    metric: str
    unit: str
    delta: NotEvidence[float]
    n: int
    n_templates: int
    clean: Observational[Estimate]
    corrupted: Observational[Estimate]
    finding: str
    state: str
    reason: str | None
    consulted: Observational[Estimate]
    relied: Causal[dict[str, Estimate]]
    """Loss per replacement, as a fraction of the gap; empty if it could not be judged."""
    hidden: Causal[Estimate | None]
    """Loss when it is hidden from cross-attention at the answer position, as a fraction of the gap."""
    not_measured: dict[str, str]
    null: Causal[NullFinding | None]
    agreement: Observational[Estimate | None]
    """Mean over prompts of Spearman ρ between attention and loss over their source tokens."""
    tokens: tuple[SourceRow, ...]
    controls: Controls
    no_range: str = ""
    """Why no later neuron was kept in its usual range (`judging/usual_range.py`)."""


def _know(state: State) -> Verdicts:
    return Verdicts(lambda found: [found.state], state.value, frozenset({State.INCONCLUSIVE.value}))


_EXAMPLES = (
    Example(
        {"token": "consulted"},
        "Two heads attend to a word that nothing reads: the most consulted token is negligible.",
        lambda found: found.state == State.NEGLIGIBLE,
        task="source-lookup",
        verdicts=_know(State.NEGLIGIBLE),
    ),
    Example(
        {"token": "changed"},
        "The answer is taken from the place beside this token, which is consulted least: it is supported.",
        lambda found: found.state == State.SUPPORTED,
        task="source-lookup",
        verdicts=_know(State.SUPPORTED),
    ),
)


@dataclass(frozen=True)
class SourceTokensAudit(Audit):
    name: str = "source_tokens"
    question: str = "Which source tokens does the decoder consult, and which does its answer rely on?"
    request: type[Request] = SourceTokensRequest
    result: type = SourceTokensResult
    version: int = 2
    summary: str = (
        "Cross-attention from the answer position is read. Each source token is replaced and hidden, and the loss of the "
        "metric is measured and judged against other tokens of the same source."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    planted: str = "planted-encoder-decoder"
    examples: tuple[Example, ...] = _EXAMPLES
    demands: tuple[Capability[Any], ...] = (CROSS_ATTENTION, MEANS)

    def count_work(self, subject: Subject, request: SourceTokensRequest) -> int:
        source = CROSS_ATTENTION.of(subject)
        return sum(len(pair.clean_ids) * 4 * source.find_source(pair) for pair in request.prompts.pairs)

    def run(
        self,
        subject: Subject,
        request: SourceTokensRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> SourceTokensResult:
        source = CROSS_ATTENTION.of(subject)
        attention = source.read_cross_attention(request.prompts)
        places = choose_places(request.prompts, attention, request.token, source)
        borrowed = borrow_tokens(request.prompts, source, seed=request.seed)
        effects = measure_source(
            subject, request.prompts, borrowed, get_metric(request.metric), means=means, seed=request.seed,
            on_progress=on_progress,
        )  # fmt: skip
        changed = [
            list_changed_slots(pair, len(rows)) for pair, rows in zip(borrowed.pairs, effects.hidden, strict=True)
        ]
        looks = [rows.mean((0, 1)).astype(float) for rows in attention]
        return _Reading(request, effects, places, changed, looks).finish()


@dataclass(frozen=True, eq=False)
class _Reading:
    """Estimates and the verdict from the measured runs."""

    request: SourceTokensRequest
    effects: SourceEffects
    places: tuple[int, ...]
    changed: Sequence[Sequence[int]]
    """Source positions of each prompt at which another token was found."""
    looks: Sequence[NDArray[np.float64]]

    def finish(self) -> SourceTokensResult:
        request, effects, templates = self.request, self.effects, self.request.prompts.templates
        judged = judge_trial(self.make_trial(), seed=request.seed)
        consulted = np.array([row[at] for row, at in zip(self.looks, self.places, strict=True)])
        shares = bootstrap_mean(consulted, templates, unit=SHARE, seed=request.seed)
        hidden = self.measure_hidden(judged)
        return SourceTokensResult(
            token=request.token.value,
            metric=request.metric,
            unit=effects.unit,
            delta=request.delta,
            n=len(request.prompts),
            n_templates=len(set(templates)),
            clean=self.average(effects.clean),
            corrupted=self.average(effects.corrupted),
            finding=_describe(request, judged, shares),
            state=judged.verdict.state.value,
            reason=judged.verdict.reason,
            consulted=shares,
            relied={family.value: one for family, one in judged.families.items()},
            hidden=hidden,
            not_measured={family.value: why for family, why in judged.not_measured.items()} | self.explain_missing(),
            null=judged.null,
            agreement=self.compare(),
            tokens=self.read_tokens(),
            controls=effects.controls,
            no_range=NO_RANGE,
        )

    def average(self, values: NDArray[np.float64]) -> Estimate:
        return bootstrap_mean(values, self.request.prompts.templates, unit=self.effects.unit, seed=self.request.seed)

    @property
    def can_resample(self) -> bool:
        """Whether every prompt has another token to put at the judged place."""
        return all(at in slots for at, slots in zip(self.places, self.changed, strict=True))

    def explain_missing(self) -> dict[str, str]:
        fixed = "every prompt of its template has the same token there"
        return {} if self.can_resample else {Replacement.RESAMPLE.value: fixed}

    def make_trial(self) -> Trial:
        """The runs of the judged token in the form that the product's rule reads; drawn are other tokens of each source."""
        effects, clusters = self.effects, self.request.prompts.templates
        families = FAMILIES if self.can_resample else FAMILIES[1:]
        found = {}
        for family in families:
            without, empty = self.take(effects.without[family]), effects.empty[family]
            # A necessary claim does not read what the token does alone.
            found[family] = CircuitEffect(effects.clean, without, empty, empty, clusters, effects.min_gap)
        claim = Claim(
            _NAMES[self.request.token], (Component(0, Kind.SOURCE),), Universe.SOURCES, metric=self.request.metric,
            ablation=families[0], delta=self.request.delta,
        )  # fmt: skip
        null, design, n_sets = self.draw_null(families[0])
        return Trial(
            claim, effects.corrupted, found, effects.corrupted, self.measure_shifts(families), null, design, n_sets,
            clusters, effects.unit,
        )  # fmt: skip

    def take(self, rows: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Value at each prompt's judged place; shape (prompt,)."""
        return np.array([row[at] for row, at in zip(rows, self.places, strict=True)])

    def measure_shifts(self, families: Sequence[Replacement]) -> Mapping[Replacement, NDArray[np.float64]]:
        usual = self.effects.usual_norms
        centre, spread = float(usual.mean()), float(usual.std())
        if not spread > 1e-5 * centre:
            return {}
        return {family: (self.take(self.effects.norms[family]) - centre) / spread for family in families}

    def draw_null(self, family: Replacement) -> tuple[NDArray[np.float64], str, int]:
        """The metric with another token of each source replaced instead, shape (draw, prompt); and how many draws exist."""
        rng = np.random.default_rng(self.request.seed)
        rows = self.effects.without[family]
        others = []
        for at, (row, slots) in enumerate(zip(rows, self.changed, strict=True)):
            there = slots if family is Replacement.RESAMPLE else range(len(row))
            others.append([slot for slot in there if slot != self.places[at]])
        if not all(others):
            return np.empty((0, len(rows))), "no draws: a source has no other token to replace", 0
        drawn = np.array(
            [[row[rng.choice(slots)] for row, slots in zip(rows, others, strict=True)] for _ in range(DRAWS)]
        )
        n_sets = min(DRAWS, math.prod(len(slots) for slots in others))
        return drawn, f"{DRAWS} draws of one other token of each source, replaced in the same way", n_sets

    def measure_hidden(self, judged: Judgement) -> Estimate | None:
        """Loss when the token is hidden, over the gap of the primary replacement."""
        primary = FAMILIES[0] if self.can_resample else FAMILIES[1]
        if primary not in judged.families:
            return None
        lost, gap = (
            self.effects.clean - self.take(self.effects.hidden),
            self.effects.clean - self.effects.empty[primary],
        )
        return bootstrap_ratio(lost, gap, self.request.prompts.templates, unit=OF_GAP, seed=self.request.seed)

    def compare(self) -> Estimate | None:
        try:
            rows = [
                correlate_ranks(look, np.abs(clean - row))
                for look, clean, row in zip(self.looks, self.effects.clean, self.effects.without[Replacement.ZERO])
            ]
        except NotMeasured:
            return None
        return bootstrap_mean(
            np.array(rows), self.request.prompts.templates, unit="mean Spearman ρ over source tokens",
            seed=self.request.seed,
        )  # fmt: skip

    def read_tokens(self) -> tuple[SourceRow, ...]:
        """Every source token of the first prompt."""
        pair, effects, unit = self.request.prompts.pairs[0], self.effects, self.effects.unit
        rows = []
        for at, share in enumerate(self.looks[0]):
            lost = {
                family.value: _one(effects.clean[0] - effects.without[family][0][at], unit)
                for family in FAMILIES
                if family is not Replacement.RESAMPLE or at in self.changed[0]
            }
            hidden = _one(effects.clean[0] - effects.hidden[0][at], unit)
            rows.append(
                SourceRow(
                    position=at, token=pair.pieces[at], consulted=_one(share, SHARE), replaced=lost, hidden=hidden
                )
            )
        return tuple(rows)


def _one(value: float, unit: str) -> Estimate:
    """A number of one prompt, which has no interval."""
    return Estimate(float(value), None, None, 1, unit, None)


def _describe(request: SourceTokensRequest, judged: Judgement, consulted: Estimate) -> str:
    """Finding about the judged token: attention and reliance in sentences of their own."""
    name, verdict = _NAMES[request.token], judged.verdict
    looked = f"The decoder gives {name} {format_estimate(consulted)}."
    if not judged.families:
        return f"{looked} {verdict.sentence}"
    number = format_estimate(next(iter(judged.families.values())))
    delta = f"{request.delta:g}"
    said = {
        State.SUPPORTED: f"On these prompts the answer relies on it: replacing it costs {number}, more than {delta}.",
        State.NEGLIGIBLE: f"Replacing it costs less than {delta} of the gap: {number}.",
        State.REVERSED: f"It acts against the answer: replacing it gains more than {delta} of the gap: {number}.",
        State.INCONCLUSIVE: f"Inconclusive: {REASONS.get(verdict.reason or '', '')}; replacing it costs {number}.",
    }[verdict.state]
    return f"{looked} {said}"


PLUGIN = SourceTokensAudit()
