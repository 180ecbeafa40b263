"""Effects of source tokens: each replaced alone, all together, and each hidden from cross-attention."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component, Kind
from audit_core.effect import Controls, Effect, Metric, join_controls, measure_effect
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import CrossAttention, Means, Progress, Subject

Array = NDArray[np.float64]
FAMILIES = (Replacement.RESAMPLE, Replacement.MEAN, Replacement.ZERO)
"""Tokens of other prompts at the same place; the mean over prompts there; and a neutral one, the padding token."""


@dataclass(frozen=True, eq=False)
class SourceEffects:
    """The metric per prompt under every replacement; in the metric's unit."""

    clean: Array
    """Shape (prompt,)."""
    corrupted: Array
    without: Mapping[Replacement, tuple[Array, ...]]
    """One token replaced; per prompt, shape (source position,)."""
    empty: Mapping[Replacement, Array]
    """Every source token replaced; shape (prompt,)."""
    hidden: tuple[Array, ...]
    """One token hidden from all heads of cross-attention at the answer position; per prompt, shape (source position,)."""
    norms: Mapping[Replacement, tuple[Array, ...]]
    """Norm of the final residual stream with one token replaced, as `without`."""
    usual_norms: Array
    """The same in the clean and the corrupted runs; shape (2, prompt)."""
    controls: Controls
    unit: str
    min_gap: float


def measure_source(
    subject: Subject,
    prompts: TokenisedPrompts,
    borrowed: TokenisedPrompts,
    metric: Metric,
    *,
    means: Means | None,
    seed: int,
    on_progress: Progress,
) -> SourceEffects:
    """Measure every source token of every prompt.

    Args:
        borrowed: the same prompts with tokens of others as their other run; see `borrow_tokens`.

    Raises:
        PromptRefused: a prompt has no source and target.
    """
    assert isinstance(subject, CrossAttention)
    n = len(prompts)
    clean, corrupted, usual = np.empty(n), np.empty(n), np.empty((2, n))
    without: dict[Replacement, list[Array]] = {family: [np.empty(0)] * n for family in FAMILIES}
    norms: dict[Replacement, list[Array]] = {family: [np.empty(0)] * n for family in FAMILIES}
    empty = {family: np.empty(n) for family in FAMILIES}
    hidden = [np.empty(0)] * n
    controls: list[Controls] = []
    shapes = _group(subject, prompts)
    for step, (middle, places) in enumerate(shapes.items()):
        for is_borrowed, families in ((False, FAMILIES[1:]), (True, FAMILIES[:1])):
            chosen = (borrowed if is_borrowed else prompts).take(places)
            runs = [run for family in families for run in _replace_each(middle, family)]
            if not is_borrowed:
                runs += hide_each(subject, middle)
            effect = measure_effect(subject, chosen, runs, metric, means=means, seed=seed)
            controls.append(effect.controls)
            rows, lengths = iter(effect.patched), iter(_read_norms(effect))
            for family in families:
                values = np.stack([next(rows) for _ in range(middle)])
                sizes = np.stack([next(lengths) for _ in range(middle)])
                for column, at in enumerate(places):
                    without[family][at], norms[family][at] = values[:, column], sizes[:, column]
                empty[family][places] = next(rows)
                next(lengths)
            if not is_borrowed:
                clean[places], corrupted[places] = effect.clean, effect.corrupted
                usual[:, places] = np.full((2, len(places)), np.nan) if effect.norms is None else effect.norms[:2]
                values = np.stack(list(rows))
                for column, at in enumerate(places):
                    hidden[at] = values[:, column]
        on_progress(step + 1, len(shapes))
    return SourceEffects(
        clean, corrupted, {f: tuple(rows) for f, rows in without.items()}, empty, tuple(hidden),
        {f: tuple(rows) for f, rows in norms.items()}, usual, join_controls(controls), metric.unit, metric.min_gap,
    )  # fmt: skip


def hide_each(subject: Subject, middle: int, heads: Sequence[Component] | None = None) -> list[Intervention]:
    """Hide each source token from the answer position, in all heads of cross-attention or in some."""
    chosen = subject.components(Kind.CROSS_HEAD) if heads is None else heads
    return [
        intervene([Component(h.layer, Kind.CROSS_EDGE, h.index, -1, at) for h in chosen], Replacement.ZERO)
        for at in range(middle)
    ]


def _replace_each(middle: int, family: Replacement) -> list[Intervention]:
    """Each source token alone, then all of them."""
    each = [intervene([Component(0, Kind.SOURCE, 0, at)], family) for at in range(middle)]
    return [*each, intervene([Component(0, Kind.SOURCE)], family)]


def _read_norms(effect: Effect) -> Array:
    return np.full_like(effect.patched, np.nan) if effect.norms is None else effect.norms[2:]


def _group(subject: CrossAttention, prompts: TokenisedPrompts) -> dict[int, list[int]]:
    """Prompts by length of their source."""
    found: dict[int, list[int]] = {}
    for at, pair in enumerate(prompts.pairs):
        found.setdefault(subject.find_source(pair), []).append(at)
    return found
