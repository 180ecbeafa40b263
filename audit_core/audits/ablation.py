"""Live ablation of a set of components: metric before and after, sufficiency of the set, and next tokens."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from audit_core.audit import Audit, Example
from audit_core.capability import HEADS, Capability
from audit_core.claim import Universe
from audit_core.component import Kind
from audit_core.controls import Controls
from audit_core.effect import Effect, check_task, get_metric, measure_effect
from audit_core.errors import NotMeasured, Refused
from audit_core.evidence.kind import Causal, Observational
from audit_core.intervention import (
    Direction,
    Intervention,
    Replacement,
    describe_replacement,
    intervene,
)
from audit_core.judging.faithfulness import PAIR_UNIT, UNIT, list_universe, needs_means
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.request import AnyAblation, Components, Everything, Factor, MetricName, Request, RunDirection
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.subject import Means, Progress, Subject, no_partial

TOP_TOKENS = 10


@dataclass(frozen=True)
class AblationRequest(Request):
    """Request: components replaced together, replacement, and prompts."""

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    components: Components
    replacement: AnyAblation = Replacement.RESAMPLE
    direction: RunDirection = Direction.NOISING
    factor: Factor = 1.0
    universe: Everything = Universe.HEADS
    metric: MetricName = "logit_difference"
    seed: int = 0


@dataclass(frozen=True)
class TokenRow:
    """One candidate for the next token."""

    token: str
    before: Observational[float]
    """Probability without the intervention."""
    after: Causal[float]
    """Probability under it."""


@dataclass(frozen=True, kw_only=True)
class AblationResult:
    """The joint effect of one set of components."""

    components: tuple[str, ...]
    sentence: str
    """What was replaced and kept, in a sentence."""
    finding: str
    """The measured change, in a sentence."""
    conditions: tuple[tuple[str, str], ...]
    """The six conditions of every number here."""
    n: int
    unit: str
    clean: Observational[Estimate]
    corrupted: Observational[Estimate]
    after: Causal[Estimate]
    """The metric under the intervention."""
    support: Causal[Estimate]
    """Support of the set for the answer, in `unit`."""
    fraction: Causal[Estimate | None]
    """The same as a fraction of the clean – corrupted gap."""
    alone: Causal[Estimate | None]
    """Noising: the metric when everything else in the universe is replaced; None for `scale` and denoising."""
    rest: str
    """What is replaced to measure `alone`."""
    kept: Causal[Estimate | None]
    """`alone` as a fraction: 0 for the empty circuit, 1 for the whole model."""
    no_fraction: str
    """Why there is no fraction; empty if there is."""
    next_tokens: tuple[TokenRow, ...]
    """One prompt only: the most probable tokens before and after, including answer and foil."""
    controls: Controls


_EXAMPLES = (
    Example(
        {"components": "L1.H0"},
        "Resampling L1.H0 moves its 10 logits from answer to foil: 20.",
        lambda found: abs(found.support.value - 20) < 0.1,
    ),
)


@dataclass(frozen=True)
class AblationAudit(Audit):
    name: str = "ablation"
    question: str = "What is the joint effect of these components?"
    request: type[Request] = AblationRequest
    result: type = AblationResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    demands: tuple[Capability[Any], ...] = (HEADS,)
    counts_as: tuple[str, ...] = ("causal_results",)

    def count_work(self, subject: Subject, request: AblationRequest) -> int:
        return subject.count_work(request.prompts, plan_ablation(subject, request))

    def run(
        self,
        subject: Subject,
        request: AblationRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> AblationResult:
        if not request.components:
            raise Refused(
                "No component selected.", wanted="at least one.", remedy="select one on the map or by its address."
            )
        _check_differs(request)
        metric, plan = get_metric(request.metric), plan_ablation(subject, request)
        effect = measure_effect(
            subject,
            request.prompts,
            plan,
            metric,
            means=means,
            seed=request.seed,
            next_tokens=len(request.prompts) == 1,
            on_progress=on_progress,
        )
        clusters, seed, unit = request.prompts.templates, request.seed, effect.unit

        def average(values: NDArray[np.float64]) -> Estimate:
            return bootstrap_mean(values, clusters, unit=unit, seed=seed)

        fraction, kept, no_fraction = _normalise(effect, request)
        return AblationResult(
            components=tuple(str(c) for c in request.components),
            sentence=describe_ablation(request),
            finding=_describe_finding(request, effect, fraction),
            conditions=_conditions(request),
            n=len(request.prompts),
            unit=unit,
            clean=average(effect.clean),
            corrupted=average(effect.corrupted),
            after=average(effect.patched[0]),
            support=average(effect.support[0]),
            fraction=fraction,
            alone=average(effect.patched[1]) if len(plan) > 1 else None,
            rest="all other heads and MLPs replaced"
            if widen_universe(request) is Universe.HEADS_MLPS
            else "all other heads replaced and MLPs kept",
            kept=kept,
            no_fraction=no_fraction,
            next_tokens=_next_tokens(subject, request, effect),
            controls=effect.controls,
        )


def _check_differs(request: AblationRequest) -> None:
    """Refuse resampling at positions where both runs have equal activations.

    Raises:
        Refused: all selected positions are before the first token that differs in any pair.
    """
    places = [c.position for c in request.components]
    if request.replacement is not Replacement.RESAMPLE or any(at is None for at in places):
        return

    def is_before(pair: TokenPair) -> bool:
        n = len(pair.clean_ids)
        return all((at + n if at < 0 else at) < pair.first_changed for at in places if at is not None)

    if all(is_before(pair) for pair in request.prompts.pairs):
        raise Refused(
            "Both prompts are equal up to the selected positions, and so are their activations.",
            wanted="a position at or after the first token that differs.",
            remedy="choose a later position, or another replacement.",
        )


def plan_ablation(subject: Subject, request: AblationRequest) -> list[Intervention]:
    """Replace the set and, if `alone` is defined, everything else and the whole universe."""
    first = intervene(request.components, request.replacement, direction=request.direction, factor=request.factor)
    whole = all(c.kind in (Kind.HEAD, Kind.MLP) and c.position is None for c in request.components)
    if request.direction is Direction.DENOISING or request.replacement is Replacement.SCALE or not whole:
        return [first]
    everything, inside = list_universe(subject, widen_universe(request)), set(request.components)
    others = [c for c in everything if c not in inside]
    return [first, intervene(others, request.replacement), intervene(everything, request.replacement)]


def widen_universe(request: AblationRequest) -> Universe:
    """Universe of `alone`: for a circuit with an MLP it includes the other MLPs."""
    return Universe.HEADS_MLPS if any(c.kind is Kind.MLP for c in request.components) else request.universe


def _normalise(effect: Effect, request: AblationRequest) -> tuple[Estimate | None, Estimate | None, str]:
    clusters, seed = request.prompts.templates, request.seed
    try:
        check_task(effect)
        fraction = bootstrap_ratio(effect.support[0], effect.gap, clusters, unit=PAIR_UNIT, seed=seed)
    except NotMeasured as error:
        return None, None, error.detail
    if len(effect.patched) < 3:
        return fraction, None, ""
    empty = effect.patched[2]
    if not (effect.clean - empty).mean() >= effect.min_gap:
        return fraction, None, "ablating everything hardly lowers the metric, so there is no gap to take a fraction of."
    try:
        kept = bootstrap_ratio(effect.patched[1] - empty, effect.clean - empty, clusters, unit=UNIT, seed=seed)
    except NotMeasured as error:
        return fraction, None, error.detail
    return fraction, kept, ""


def _next_tokens(subject: Subject, request: AblationRequest, effect: Effect) -> tuple[TokenRow, ...]:
    if effect.vocabulary is None:
        return ()
    base = 0 if request.direction is Direction.NOISING else 1
    before, after = softmax(effect.vocabulary[[base, 2]].astype(float), axis=-1)
    pair = request.prompts.pairs[0]
    answer_ids = (*pair.contrast.answer_ids[:3], *pair.contrast.foil_ids[:3])
    shown = {*answer_ids, *np.argsort(-before)[:TOP_TOKENS].tolist(), *np.argsort(-after)[:3].tolist()}
    order = sorted(shown, key=lambda token: -before[token])
    return tuple(TokenRow(subject.tokenizer.piece(t), float(before[t]), float(after[t])) for t in order)


def describe_ablation(request: AblationRequest) -> str:
    """Sentence: what is replaced, by what, on which run, and what is kept."""
    names = ", ".join(map(str, request.components[:6])) + (
        f" and {len(request.components) - 6} more" if len(request.components) > 6 else ""
    )
    how = describe_replacement(request.replacement)
    if request.replacement is Replacement.SCALE:
        how = f"multiplied by {request.factor:g}"
    side = "clean" if request.direction is Direction.NOISING else "corrupted"
    verb = "is" if len(request.components) == 1 else "are"
    return f"On the {side} prompt {names} {verb} {how}; everything else in the model is recomputed."


def _describe_finding(request: AblationRequest, effect: Effect, fraction: Estimate | None) -> str:
    noising = request.direction is Direction.NOISING
    before, after = (effect.clean if noising else effect.corrupted).mean(), effect.patched[0].mean()
    n, unit = len(request.prompts), effect.unit
    if n == 1:
        prompt = request.prompts.pairs[0].prompt
        subject, ending = (
            f"the preference for {prompt.answer!r} over {prompt.foil!r}",
            "One prompt: no interval and no verdict.",
        )
    else:
        subject, ending = "the mean preference for the answer over the foil", f"n = {n} prompts."
    verb = "stayed at" if abs(after - before) < 0.005 else "fell from" if after < before else "rose from"
    change = f"{before:+.2f}" if verb == "stayed at" else f"{before:+.2f} to {after:+.2f}"
    share = "" if fraction is None else f", {format_estimate(fraction)}"
    return f"Under this intervention {subject} {verb} {change} {unit}{share}. {ending}"


def _conditions(request: AblationRequest) -> tuple[tuple[str, str], ...]:
    kinds = sorted({c.kind.value for c in request.components})
    positions = "all" if all(c.position is None for c in request.components) else "as listed"
    ablation = request.replacement.value
    if request.replacement is Replacement.SCALE:
        ablation += f" × {request.factor:g}"
    elif needs_means([request.replacement]):
        ablation += f" over both runs of {len(request.reference)} prompts, those of equal length"
    return (
        ("granularity", "edges" if kinds == ["edge"] else "nodes"),
        ("component type", " and ".join(kinds)),
        ("ablation", ablation),
        ("positions", positions),
        ("direction", request.direction.value),
        ("set", "circuit replaced"),
    )


PLUGIN = AblationAudit()
