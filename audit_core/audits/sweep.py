"""Sweep: measured effect of every component of a kind, one at a time, in the order of an estimate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from audit_core.audit import Audit, Example
from audit_core.capability import HEADS, Capability
from audit_core.component import KINDS, Component, Kind, resid
from audit_core.controls import Controls
from audit_core.effect import Effect, check_task, cut, get_metric, list_runs, measure_in_blocks
from audit_core.errors import ComponentRefused, NotMeasured, PromptRefused, Refused
from audit_core.estimator import EstimateRequest, Estimator
from audit_core.evidence.kind import Causal, Estimated, Observational
from audit_core.intervention import Direction, Intervention, Replacement, intervene
from audit_core.judging.faithfulness import PAIR_UNIT
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.request import AnyAblation, Ask, Factor, MetricName, Request, RunDirection
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratios
from audit_core.stats.estimates import Estimate
from audit_core.stats.multiplicity import adjust_p_values
from audit_core.subject import Means, Progress, Subject, no_partial

if TYPE_CHECKING:
    from audit_core.engine.streamed.price import StreamPrice
    from audit_core.engine.streamed.subject import StreamedSubject

SWEPT = tuple(kind for kind, spec in KINDS.items() if spec.title)
"""Kinds of components that a sweep can ablate; edges and patterns have their own audits."""
_ESTIMATED_METRIC = "logit_difference"
_LEAST_PROMPTS = 8
"""With fewer prompts a sweep takes seconds."""


@dataclass(frozen=True)
class SweepRequest(Request):
    """Request: kind of component, replacement, and prompts."""

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    kind: Annotated[Kind, Ask("Components", "The kind that is swept.", SWEPT)] = Kind.HEAD
    replacement: AnyAblation = Replacement.RESAMPLE
    direction: RunDirection = Direction.NOISING
    factor: Factor = 1.0
    metric: MetricName = "logit_difference"
    seed: int = 0
    screen: Annotated[
        str, Ask("Estimator", "It orders the work and is compared.", shelf="estimators", can_be_empty=True)
    ] = ""
    """Estimator, a key in `estimators/`, that orders the work and is compared with the measured effects; empty for none."""


@dataclass(frozen=True)
class Cell:
    """One component's effect."""

    component: str
    estimate: Causal[Estimate]
    """Support for the answer in the metric's unit; negative acts against it."""
    fraction: Causal[Estimate | None]
    """The same as a fraction of the clean – corrupted gap; None without a gap."""
    adjusted_p: Causal[float | None]
    """Adjusted p-value, Benjamini–Hochberg over all cells; None with too few templates."""


@dataclass(frozen=True)
class EstimatedEffects:
    """Estimated effects of the same components."""

    method: str
    misses: str
    is_signed: bool
    support: Estimated[tuple[Estimate, ...]]
    """Mean over prompts, in logits; for unsigned estimates, of magnitudes; shape (component,)."""


@dataclass(frozen=True)
class SweepPartial:
    """Intermediate result of a sweep."""

    components: tuple[str, ...]
    screened: EstimatedEffects | None
    exact: tuple[Estimate | None, ...]
    """Effect of each component in the metric's unit; None until measured; shape (component,)."""
    unit: str
    n: int


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """Every component of one kind, each edited alone."""

    kind: str
    replacement: str
    direction: str
    metric: str
    unit: str
    n: int
    n_templates: int
    clean: Observational[Estimate]
    corrupted: Observational[Estimate]
    accuracy: Observational[float]
    cells: tuple[Cell, ...]
    per_prompt: Causal[tuple[tuple[float, ...], ...]]
    """Support of each component on each prompt, in `unit`; shape (component, prompt)."""
    layers: Causal[tuple[Estimate, ...]]
    """Per layer, the sum of its components' single effects; in `unit`; shape (layer,)."""
    no_fraction: str
    """Why there is no fraction of the gap; empty if there is."""
    no_marks: str
    """Why no component is marked as different from zero; empty if components are marked."""
    screened: EstimatedEffects | None
    controls: Controls


def find_effect_line(result: SweepResult, delta: float) -> float | None:
    """The smallest effect of interest in the metric's unit: δ of the clean – corrupted gap; None without a gap."""
    return None if result.no_fraction else delta * (result.clean.value - result.corrupted.value)


_EXAMPLES = (
    Example(
        {"kind": "head"},
        "L1.H0 alone acts for the answer and L1.H3 alone against it.",
        lambda found: (
            {cell.component: round(cell.estimate.value) for cell in found.cells if round(cell.estimate.value)}
            == {"L1.H0": 20, "L1.H3": -6}
        ),
    ),
)


@dataclass(frozen=True)
class SweepAudit(Audit):
    name: str = "sweep"
    question: str = "What is the effect of each component alone?"
    request: type[Request] = SweepRequest
    result: type = SweepResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    demands: tuple[Capability[Any], ...] = (HEADS,)
    counts_as: tuple[str, ...] = ("causal_results",)

    def count_work(self, subject: Subject, request: SweepRequest) -> int:
        return subject.count_work(request.prompts, list_single_edits(subject, request))

    def run(
        self,
        subject: Subject,
        request: SweepRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> SweepResult:
        parts = list_cells(subject, request)
        screened = _estimate(subject, request, parts, on_progress)
        effect = _measure(subject, request, parts, screened, means, on_progress, on_partial)
        clusters, seed = request.prompts.templates, request.seed
        support = _average(effect.support, request, effect.unit)
        fractions: tuple[Estimate | None, ...] = (None,) * len(support)
        marks: tuple[float | None, ...] = (None,) * len(support)
        no_fraction = no_marks = ""
        try:
            check_task(effect)
            fractions = bootstrap_ratios(effect.support, effect.gap, clusters, unit=PAIR_UNIT, seed=seed)
        except NotMeasured as error:
            no_fraction = error.detail
        try:
            # Values below numerical noise are not effects, however consistent.
            above_noise = np.where(np.abs(effect.support) > effect.controls.tolerance, effect.support, 0.0)
            marks = tuple(adjust_p_values(above_noise, clusters).tolist())
        except NotMeasured as error:
            no_marks = error.detail
        return SweepResult(
            kind=request.kind.value,
            replacement=request.replacement.value,
            direction=request.direction.value,
            metric=effect.metric,
            unit=effect.unit,
            n=len(request.prompts),
            n_templates=len(set(clusters)),
            clean=bootstrap_mean(effect.clean, clusters, unit=effect.unit, seed=seed),
            corrupted=bootstrap_mean(effect.corrupted, clusters, unit=effect.unit, seed=seed),
            accuracy=effect.accuracy,
            cells=tuple(Cell(str(c), e, f, p) for c, e, f, p in zip(parts, support, fractions, marks, strict=True)),
            per_prompt=tuple(map(tuple, effect.support.tolist())),
            layers=_average(_add_layers(effect.support, parts), request, effect.unit),
            no_fraction=no_fraction,
            no_marks=no_marks,
            screened=screened,
            controls=effect.controls,
        )


def _average(values: NDArray, request: SweepRequest, unit: str) -> tuple[Estimate, ...]:
    """Mean over prompts of each row; shape (row, prompt)."""
    ones = np.ones(len(request.prompts))
    return bootstrap_ratios(values, ones, request.prompts.templates, unit=unit, seed=request.seed)


def _add_layers(support: NDArray[np.float64], parts: Sequence[Component]) -> NDArray[np.float64]:
    """Sum over the components of each layer; shape (component, prompt) → (layer, prompt)."""
    layers = np.array([part.layer for part in parts])
    return np.stack([support[layers == layer].sum(0) for layer in range(layers.max() + 1)])


def _estimate(
    subject: Subject, request: SweepRequest, parts: Sequence[Component], on_progress: Progress
) -> EstimatedEffects | None:
    """Estimated effects; reports progress only to allow cancellation."""
    if not request.screen:
        return None
    if request.metric != _ESTIMATED_METRIC or request.kind is Kind.RESID:
        raise Refused(
            f"Estimates of {request.metric} over {request.kind}.",
            wanted=f"{_ESTIMATED_METRIC}, the only metric of estimators, over whole components.",
            remedy="remove the estimator.",
        )
    method: Estimator = get_plugin("estimators", request.screen)
    estimate_request = EstimateRequest(request.prompts, request.kind, request.replacement, request.direction.side)
    found = method.estimate(subject, estimate_request, on_progress=lambda done, total: on_progress(0, 1))
    assert found.components == tuple(parts)
    return EstimatedEffects(method.name, method.misses, found.is_signed, _average(found.support, request, "logits"))


def _measure(
    subject: Subject,
    request: SweepRequest,
    parts: Sequence[Component],
    screened: EstimatedEffects | None,
    means: Means | None,
    on_progress: Progress,
    on_partial: Callable[[Any], None],
) -> Effect:
    """Measured effects, in blocks if that takes long; largest estimates first."""
    metric = get_metric(request.metric)
    names = tuple(map(str, parts))
    exact: list[Estimate | None] = [None] * len(parts)

    def show(done: NDArray[np.int_], effect: Effect) -> None:
        for i, value in zip(done, _average(effect.support, request, effect.unit), strict=True):
            exact[i] = value
        on_partial(SweepPartial(names, screened, tuple(exact), metric.unit, len(request.prompts)))

    on_partial(SweepPartial(names, screened, tuple(exact), metric.unit, len(request.prompts)))
    is_long = screened is not None and len(request.prompts) >= _LEAST_PROMPTS
    order = np.arange(len(parts))
    if screened is not None:
        order = np.argsort([-abs(estimate.value) for estimate in screened.support], kind="stable")
    return measure_in_blocks(
        subject,
        request.prompts,
        _edit_each(request, parts),
        metric,
        cut(order) if is_long else [order],
        means=means,
        seed=request.seed,
        on_progress=on_progress,
        on_block=show,
    )


def list_single_edits(subject: Subject, request: SweepRequest) -> list[Intervention]:
    """One intervention per component of the kind; for the residual stream, one per position."""
    return _edit_each(request, list_cells(subject, request))


def predict_price(subject: StreamedSubject, request: SweepRequest) -> StreamPrice:
    """Time and memory of a sweep whose layers are read from the files; runs for means come in addition.

    Raises:
        Refused: what the sweep itself refuses.
    """
    edits = list_single_edits(subject, request)
    return subject.predict_price(list_runs(subject, request.prompts, edits, get_metric(request.metric)))


def _edit_each(request: SweepRequest, parts: Sequence[Component]) -> list[Intervention]:
    return [
        intervene([part], request.replacement, direction=request.direction, factor=request.factor) for part in parts
    ]


def list_cells(subject: Subject, request: SweepRequest) -> tuple[Component, ...]:
    """Components of the map, in order.

    Raises:
        ComponentRefused: the model has no accessible component of the kind.
        PromptRefused: prompts have different lengths, so residual positions do not align.
    """
    if not (found := subject.components(request.kind)):
        raise ComponentRefused(
            f"This model has no accessible {request.kind}.", wanted="at least one.", remedy="sweep another kind."
        )
    if request.kind is not Kind.RESID:
        return found
    lengths = {len(pair.clean_ids) for pair in request.prompts.pairs}
    if len(lengths) > 1:
        raise PromptRefused(
            f"Prompts of {min(lengths)} to {max(lengths)} tokens.",
            wanted="prompts of one length, so that positions align.",
            remedy="keep the prompts of one length, or sweep heads or MLPs.",
        )
    # Before the first token that differs both runs are equal, so resampling changes nothing.
    takes_run = request.replacement is Replacement.RESAMPLE
    first = min(pair.first_changed for pair in request.prompts.pairs) if takes_run else 0
    positions = range(first, lengths.pop())
    return tuple(resid(part.layer, at) for part in found for at in positions)


PLUGIN = SweepAudit()
