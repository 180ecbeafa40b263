"""Entropy of routing, and what it tells about the template: over all tokens, and among occurrences of the same token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import NotMeasured
from audit_core.stats.bootstrap import draw_weights, expanded_tail
from audit_core.stats.estimates import LEVEL, Estimate

SHUFFLES = 199
DRAWS = 500
"""Draws of templates for an interval: information given the token is a sum over thousands of cells in each."""
LEAST_REPEATED = 30
"""Tokens that must occur in two templates or more; with fewer, information given the token is not shown."""
UNIT = "nats"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Information:
    """Mutual information of expert and template in excess of chance, and its rank among shuffled templates."""

    estimate: Estimate
    p: float
    """Share of shuffled templates with at least that information."""


def measure_entropy(slots: Floats, templates: Sequence[str], *, seed: int) -> Estimate:
    """Entropy of the load, nats, with an interval over templates.

    Args:
        slots: shape (expert, prompt).
    """
    return _estimate(lambda weights: _entropy((slots @ weights.T).T), templates, seed)


def measure_information(slots: Floats, templates: Sequence[str], *, seed: int) -> Information | None:
    """Information about the template; None with one template.

    Args:
        slots: shape (expert, prompt).
    """
    names, member = np.unique(np.asarray(templates), return_inverse=True)
    if len(names) < 2:
        return None
    row = np.zeros(slots.shape[1], dtype=int)
    by_group = np.bincount(member, weights=slots.sum(0)).astype(float)
    return _inform(slots.T, row, member, np.arange(slots.shape[1]), len(names), templates, by_group, seed)


def measure_token_information(
    chosen: Sequence[NDArray[np.int64]],
    tokens: Sequence[Sequence[int]],
    templates: Sequence[str],
    n_experts: int,
    *,
    seed: int,
) -> Information:
    """Information about the template among occurrences of the same token: what is left of it if routing reads vocabulary only.

    Templates are shuffled among the prompts that contain a token, so that a prompt keeps its own choices.

    Args:
        chosen: chosen experts of each prompt; shape (pos, choice).
        tokens: tokens of each prompt.

    Raises:
        NotMeasured: fewer than `LEAST_REPEATED` tokens occur in two templates.
    """
    names, member = np.unique(np.asarray(templates), return_inverse=True)
    places, counts = _count_places(chosen, tokens, n_experts)
    _, stratum = np.unique(places[:, 0], return_inverse=True)
    prompt = places[:, 1]
    present = np.zeros((stratum.max() + 1, len(names)), dtype=bool)
    present[stratum, member[prompt]] = True
    repeated = present.sum(1)[stratum] > 1
    n_choices = chosen[0].shape[1]
    n_repeated = int(counts[repeated].sum()) // n_choices
    if n_repeated < LEAST_REPEATED:
        raise NotMeasured("low_power", f"{n_repeated} tokens occur in two templates or more; {LEAST_REPEATED} needed.")
    _, row = np.unique(stratum[repeated], return_inverse=True)
    kept = prompt[repeated]
    by_group = np.bincount(member[prompt], weights=counts.sum(1), minlength=len(names)).astype(float)
    return _inform(counts[repeated], row, member[kept], kept, len(names), templates, by_group, seed)


def _count_places(
    chosen: Sequence[NDArray[np.int64]], tokens: Sequence[Sequence[int]], n_experts: int
) -> tuple[NDArray[np.int64], Floats]:
    """Each token of each prompt once, and how often it was sent to each expert: shapes (place, 2) and (place, expert)."""
    token = np.concatenate([np.asarray(one) for one in tokens])
    prompt = np.concatenate([np.full(len(one), at) for at, one in enumerate(tokens)])
    places, where = np.unique(np.stack([token, prompt], axis=1), axis=0, return_inverse=True)
    counts = np.zeros((len(places), n_experts))
    index = np.concatenate(list(chosen))
    np.add.at(counts, (where.ravel()[:, None], index), 1.0)
    return places, counts


def _inform(
    counts: Floats,
    stratum: NDArray[np.int_],
    member: NDArray[np.int_],
    prompt: NDArray[np.int_],
    n_groups: int,
    templates: Sequence[str],
    by_group: Floats,
    seed: int,
) -> Information:
    """Σ over strata of their share times the information in them.

    Args:
        counts: choices of each expert; shape (place, expert).
        stratum: stratum of each place; from 0 without gaps.
        member: template of each place.
        prompt: prompt of each place.
        by_group: choices of each template, with those of tokens that occur in it alone, which inform about nothing.
    """

    def add(groups: NDArray[np.int_]) -> Floats:
        joint = np.zeros((stratum.max() + 1, n_groups, counts.shape[1]))
        np.add.at(joint, (stratum, groups), counts)
        return joint

    joint, total, rng = add(member), by_group.sum(), np.random.default_rng(seed)
    found = _information(joint) / total
    order = np.argsort(stratum, kind="stable")
    drawn = []
    for _ in range(SHUFFLES):
        shuffled = np.empty_like(member)
        shuffled[order] = member[np.lexsort((rng.random(len(member)), stratum))]
        drawn.append(_information(add(shuffled)) / total)

    def redo(weights: Floats) -> Floats:
        # Prompts of a template have one weight, which is the template's.
        each = np.zeros((len(weights), n_groups))
        each[:, member] = weights[:, prompt]
        totals = np.maximum(each @ by_group, 1.0)
        return np.array([_information(joint * one[:, None]) for one in each]) / totals

    estimate = _estimate(redo, templates, seed, value=float(found))
    return Information(estimate, float((1 + sum(value >= found for value in drawn)) / (1 + SHUFFLES)))


def _information(joint: Floats) -> float:
    """n · (H(expert) + H(group) − H(expert, group)) summed over strata, each entropy with (cells − 1) / 2n added.

    Args:
        joint: shape (stratum, group, expert).

    Source: Miller 1955; Paninski 2003, Neural Computation 15(6).
    """
    n = joint.sum((1, 2))
    flat = joint.reshape(len(joint), -1)
    parts = [_entropy(x, corrected=True) for x in (joint.sum(1), joint.sum(2), flat)]
    return float((n * (parts[0] + parts[1] - parts[2])).sum())


def _entropy(counts: Floats, *, corrected: bool = False) -> Floats:
    """Entropy of each row, nats; 0 of a row of zeros."""
    n = counts.sum(-1, keepdims=True)
    share = counts / np.where(n > 0, n, 1)
    plain: Floats = -(share * np.log(np.where(share > 0, share, 1))).sum(-1)
    if not corrected:
        return plain
    more: Floats = np.maximum((counts > 0).sum(-1) - 1, 0) / (2 * np.where(n > 0, n, 1))[..., 0]
    return plain + more


def _estimate(
    compute: Callable[[Floats], Floats], templates: Sequence[str], seed: int, *, value: float | None = None
) -> Estimate:
    """A statistic with an interval over templates; the draws are centred, because repeated templates have less entropy.

    Args:
        compute: from weights of prompts, shape (draw, prompt), to a value for each draw.
    """
    n = len(templates)
    value = float(compute(np.ones((1, n)))[0]) if value is None else value
    weights = draw_weights(templates, seed=seed, draws=DRAWS)
    if weights is None:
        return Estimate(value, None, None, n, UNIT, None)
    draws = compute(weights)
    tail = expanded_tail(len(set(templates)), LEVEL)
    low, high = np.quantile(draws - draws.mean(), [tail, 1 - tail])
    low, high = min(float(low), 0.0), max(float(high), 0.0)
    return Estimate(value, value + low, value + high, n, UNIT, LEVEL, len(set(templates)))
