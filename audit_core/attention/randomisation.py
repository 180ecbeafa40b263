"""Weight randomisation test: whether a plausibility view depends on the weights that produce the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from audit_core.attention.agreement import Agreement, compare_heads, compare_tokens
from audit_core.attention.view_table import ViewTable, read_views
from audit_core.capability import RANDOMISABLE
from audit_core.effect import MIN_ACCURACY, Metric
from audit_core.errors import ModelRefused, NotMeasured
from audit_core.evidence.kind import Causal, Observational
from audit_core.intervention import CLEAN_RUN
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.subject import Progress, Subject

BOUND = 0.5
"""A view depends on the weights if the interval of its rank correlation before and after is below this (methods 2.13)."""
MOVED_UNIT = "share of attention moved"
KEPT_UNIT = "fraction of the trained logit difference"


class Dependence(StrEnum):
    """Result of weight randomisation for a view."""

    DEPENDS = "depends"
    """Depends on the weights: the view changes without them."""
    FAILS = "fails"
    """Fails by construction: its inputs cannot change."""
    NOT_SHOWN = "not_shown"
    """The view changes little, or its interval is too wide."""


@dataclass(frozen=True)
class ViewRandomised:
    """One view on the trained model, compared with itself on the model with shuffled weights."""

    agreement: Agreement
    finding: str
    """A value of `Dependence`."""
    sentence: str


@dataclass(frozen=True)
class Randomisation:
    """The answer and each view after shuffling weights from one layer up."""

    layer: int
    """First shuffled layer; patterns up to this layer do not depend on shuffled weights."""
    model: str
    """Title of the shuffled model."""
    trained: Observational[Estimate]
    """Logit difference before."""
    shuffled: Causal[Estimate]
    """Logit difference after; the positive control."""
    kept: Causal[Estimate | None]
    """After as a fraction of before; None if the sign of the latter is uncertain."""
    accuracy: Causal[Estimate]
    """Share of prompts on which the shuffled model prefers the answer; 0.5 by chance."""
    has_collapsed: bool
    """Whether the shuffled model no longer does the task: the whole interval of the kept fraction is below 0.5, or that of
    the accuracy is below the minimum of the task."""
    moved_below: Causal[Estimate]
    """Mean total variation of the answer position's patterns at layers up to `layer`: zero by construction."""
    moved_above: Causal[Estimate | None]
    """The same at later layers; None if there are none."""
    sentence: str
    views: tuple[ViewRandomised, ...]


def randomise_views(
    subject: Subject,
    prompts: TokenisedPrompts,
    table: ViewTable,
    metric: Metric,
    before: NDArray,
    layers: Sequence[int],
    steps: Iterator[Progress],
    *,
    seed: int,
) -> tuple[tuple[Randomisation, ...], tuple[str, ...]]:
    """Compute the views on models with shuffled weights; one such model is in memory at a time.

    Args:
        table: the views of the trained model.
        before: metric of the trained model's clean runs, shape (prompt,).
        layers: first shuffled layers, one model each.
        steps: one progress callback per layer.

    Returns:
        Results, and what could not be tested.
    """
    found: list[Randomisation] = []
    missing: list[str] = []
    for layer in layers:
        try:
            other = RANDOMISABLE.of(subject).randomised(layer, seed=seed)
        except ModelRefused as error:
            return tuple(found), (*missing, f"Weight randomisation: {error}")
        shuffled = read_views(other, prompts, on_progress=next(steps))
        after = metric.read(other.run(prompts, (CLEAN_RUN,)), prompts.pairs)[0]
        views = [(a, a.view in table.of_patterns) for a in _compare_tables(table, shuffled, prompts, seed)]
        missing += [f"From layer {layer}: {text}" for text in shuffled.missing if text not in table.missing]
        title, moved = other.identity.model, table.measure_attention_change(shuffled)
        # Free the memory before loading the next model.
        del other
        found.append(read_randomisation(layer, title, (before, after), moved, views, prompts.templates, seed=seed))
    return tuple(found), tuple(missing)


def _compare_tables(
    table: ViewTable, shuffled: ViewTable, prompts: TokenisedPrompts, seed: int
) -> tuple[Agreement, ...]:
    """Compare each view with itself on another model."""
    name, clusters = prompts.name, prompts.templates

    def flat(values: NDArray) -> NDArray:
        return values.reshape(-1, values.shape[-1])

    over_tokens = [
        compare_tokens(view, table.tokens[view], values, name, clusters, seed=seed)
        for view, values in shuffled.tokens.items()
    ]
    over_heads = [
        compare_heads(view, flat(table.heads[view]), flat(values), name, clusters, seed=seed)
        for view, values in shuffled.heads.items()
    ]
    return (*over_tokens, *over_heads)


def read_randomisation(
    layer: int,
    model: str,
    metrics: tuple[NDArray, NDArray],
    moved: NDArray,
    views: Sequence[tuple[Agreement, bool]],
    clusters: Sequence[str],
    *,
    seed: int,
) -> Randomisation:
    """Compare measurements on both models.

    Args:
        metrics: logit difference of the trained and of the shuffled model, each shape (prompt,).
        moved: total variation of the answer position's patterns, mean over heads; shape (layer, prompt).
        views: each with whether it uses patterns only.

    Source: Adebayo et al. 2018, arXiv:1810.03292; methods 2.13.
    """

    def average(values: NDArray, unit: str) -> Estimate:
        return bootstrap_mean(np.asarray(values, float), clusters, unit=unit, seed=seed)

    try:
        kept: Estimate | None = bootstrap_ratio(metrics[1], metrics[0], clusters, unit=KEPT_UNIT, seed=seed)
    except NotMeasured:
        kept = None
    accuracy = average(metrics[1] > 0, "share of prompts")
    collapsed = any(
        e is not None and e.high is not None and e.high < bar for e, bar in ((kept, BOUND), (accuracy, MIN_ACCURACY))
    )
    below = average(moved[: layer + 1].mean(0), MOVED_UNIT)
    is_last = layer + 1 == len(moved)
    return Randomisation(
        layer,
        model,
        average(metrics[0], "logits"),
        average(metrics[1], "logits"),
        kept,
        accuracy,
        collapsed,
        below,
        None if is_last else average(moved[layer + 1 :].mean(0), MOVED_UNIT),
        f"Pattern view: fails weight randomisation by construction for layers at or below the first shuffled one "
        f"(0 to {layer}): {format_estimate(below)}, while the answer "
        + ("collapses." if collapsed else "was not shown to collapse."),
        tuple(_judge(layer, agreement, pure and is_last, collapsed) for agreement, pure in views),
    )


def _judge(layer: int, agreement: Agreement, cannot_change: bool, collapsed: bool) -> ViewRandomised:
    found = agreement.estimate
    if cannot_change:
        return ViewRandomised(
            agreement,
            Dependence.FAILS.value,
            "Fails weight randomisation by construction: it uses patterns only, and no pattern depends on a shuffled weight.",
        )
    if found is not None and found.high is not None and found.high < BOUND and collapsed:
        return ViewRandomised(agreement, Dependence.DEPENDS.value, f"Depends on the weights from layer {layer} up.")
    why = "the answer was not shown to collapse" if not collapsed else f"its interval is not below {BOUND:g}"
    return ViewRandomised(
        agreement, Dependence.NOT_SHOWN.value, f"Pattern view: not shown to depend on the weights; {why}."
    )
