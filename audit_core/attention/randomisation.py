"""Whether a view of attention depends on the weights that produce the answer: it against itself, with weights shuffled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from audit_core.attention.agreement import Agreement, compare_heads, compare_tokens
from audit_core.attention.view_table import ViewTable, read_views
from audit_core.effect import MIN_ACCURACY, Metric
from audit_core.errors import ModelRefused, NotMeasured
from audit_core.evidence.kind import Causal, Observational
from audit_core.intervention import CLEAN_RUN
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.subject import Progress, Subject

BOUND = 0.5
"""A view depends on the weights if the interval of its rank correlation with itself stays below this (methods 2.13)."""
MOVED_UNIT = "share of attention moved"
KEPT_UNIT = "fraction of the trained logit difference"


class Dependence(StrEnum):
    """What shuffling the weights says of a view."""

    DEPENDS = "depends"
    """On the weights: another picture without them."""
    FAILS = "fails"
    """By construction: nothing that it is made of can change."""
    NOT_SHOWN = "not_shown"
    """The picture is much the same, or its interval too wide to say."""


@dataclass(frozen=True)
class ViewRandomised:
    """One view on the trained model against the same view on the model with shuffled weights."""

    agreement: Agreement
    finding: str
    """One of `Dependence`."""
    sentence: str


@dataclass(frozen=True)
class Randomisation:
    """What is left of the answer, and of each view, once weights are shuffled from one layer up."""

    layer: int
    """First shuffled layer: its patterns, and those below, are made before any shuffled weight is met."""
    model: str
    """Title under which the shuffled model ran."""
    trained: Observational[Estimate]
    """Logit difference before."""
    shuffled: Causal[Estimate]
    """Logit difference after: the positive control."""
    kept: Causal[Estimate | None]
    """The second as a fraction of the first; None where the first has no sure sign."""
    accuracy: Causal[Estimate]
    """Share of prompts on which the shuffled model prefers the answer; a coin has one half."""
    has_collapsed: bool
    """Whether the shuffled model no longer does the task: the whole interval of what is kept lies below one half, or that
    of the share lies below the bar of the task."""
    moved_below: Causal[Estimate]
    """Mean total variation of the answer position's patterns at layers up to `layer`: zero by construction."""
    moved_above: Causal[Estimate | None]
    """The same at later layers; None where there are none."""
    sentence: str
    views: tuple[ViewRandomised, ...]


def randomise_views(
    subject: Subject,
    prompts: TokenisedPrompts,
    table: ViewTable,
    metric: Metric,
    said: NDArray,
    layers: Sequence[int],
    steps: Iterator[Progress],
    *,
    seed: int,
) -> tuple[tuple[Randomisation, ...], tuple[str, ...]]:
    """The same views on models with shuffled weights, of which one is held at a time.

    Args:
        table: the views of the trained model.
        said: metric of the trained model's clean runs, shape (prompt,).
        layers: from which weights are shuffled, one model each.
        steps: one progress per layer.

    Returns:
        What was found, and what could not be tested.
    """
    found: list[Randomisation] = []
    missing: list[str] = []
    for layer in layers:
        try:
            other = subject.randomised(layer, seed=seed)
        except ModelRefused as error:
            return tuple(found), (*missing, f"Weight randomisation: {error}")
        shuffled = read_views(other, prompts, on_progress=next(steps))
        after = metric.read(other.run(prompts, (CLEAN_RUN,)), prompts.pairs)[0]
        views = [(a, a.view in table.of_patterns) for a in _compare_tables(table, shuffled, prompts, seed)]
        missing += [f"From layer {layer}: {text}" for text in shuffled.missing if text not in table.missing]
        title, moved = other.identity.model, table.measure_moved(shuffled)
        # Before the next is loaded, which is as large.
        del other
        found.append(read_randomisation(layer, title, (said, after), moved, views, prompts.templates, seed=seed))
    return tuple(found), tuple(missing)


def _compare_tables(
    table: ViewTable, shuffled: ViewTable, prompts: TokenisedPrompts, seed: int
) -> tuple[Agreement, ...]:
    """Each view with itself on another model."""
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
    said: tuple[NDArray, NDArray],
    moved: NDArray,
    views: Sequence[tuple[Agreement, bool]],
    clusters: Sequence[str],
    *,
    seed: int,
) -> Randomisation:
    """Put what was measured on both models side by side.

    Args:
        said: logit difference of the trained and of the shuffled model, each shape (prompt,).
        moved: total variation of the answer position's patterns, mean over heads; shape (layer, prompt).
        views: each with whether it is made of patterns alone.

    Source: Adebayo et al. 2018, arXiv:1810.03292; methods 2.13.
    """

    def average(values: NDArray, unit: str) -> Estimate:
        return bootstrap_mean(np.asarray(values, float), clusters, unit=unit, seed=seed)

    try:
        kept: Estimate | None = bootstrap_ratio(said[1], said[0], clusters, unit=KEPT_UNIT, seed=seed)
    except NotMeasured:
        kept = None
    accuracy = average(said[1] > 0, "share of prompts")
    collapsed = any(
        e is not None and e.high is not None and e.high < bar for e, bar in ((kept, BOUND), (accuracy, MIN_ACCURACY))
    )
    below = average(moved[: layer + 1].mean(0), MOVED_UNIT)
    is_last = layer + 1 == len(moved)
    return Randomisation(
        layer,
        model,
        average(said[0], "logits"),
        average(said[1], "logits"),
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
            "Fails weight randomisation by construction: it is made of patterns, and none lies behind a shuffled weight.",
        )
    if found is not None and found.high is not None and found.high < BOUND and collapsed:
        return ViewRandomised(agreement, Dependence.DEPENDS.value, f"Depends on the weights from layer {layer} up.")
    why = (
        "the answer itself was not shown to collapse"
        if not collapsed
        else f"its interval does not stay below {BOUND:g}"
    )
    return ViewRandomised(
        agreement, Dependence.NOT_SHOWN.value, f"Pattern view: not shown to depend on the weights; {why}."
    )
