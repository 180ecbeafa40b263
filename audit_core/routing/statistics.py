"""Statistics of routing: load, weights, norms, committee, changed choices, and information about the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import NotMeasured
from audit_core.evidence.kind import Observational
from audit_core.routing.information import measure_entropy, measure_information, measure_token_information
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio
from audit_core.stats.estimates import Estimate
from audit_core.subject import TokenRouting

COMMITTEE = 0.7
"""Share of the weight that a committee covers (arXiv:2601.03425)."""

Choices = Sequence[TokenRouting]
"""Routing of each prompt."""


@dataclass(frozen=True, kw_only=True)
class LayerRouting:
    """How one router spread the tokens of some prompts over its experts."""

    layer: int
    load_entropy: Observational[Estimate]
    """Entropy of the load over all prompts, nats; ln(experts) if all receive equally many tokens."""
    weight_entropy: Observational[Estimate]
    """Entropy of the chosen experts' weights at one token, mean over tokens; nats."""
    committee: tuple[int, ...]
    """Smallest set of experts with `COMMITTEE` of the weight."""
    changed: Observational[Estimate]
    """Share of choices on the clean run that the corrupted run does not make at the same position."""
    template_information: Observational[Estimate | None]
    """Mutual information of expert and template in excess of chance (Miller–Madow), nats; None with one template."""
    template_p: Observational[float | None]
    """Share of shuffled templates with at least that information."""
    token_information: Observational[Estimate | None]
    """The same among occurrences of one token, averaged over tokens: what is left of it if routing reads vocabulary only."""
    token_p: Observational[float | None]
    no_token_information: str
    """Why there is none; empty if there is."""


@dataclass(frozen=True)
class RoutedToken:
    """Where one token of a prompt was sent in one layer."""

    layer: int
    position: int
    experts: tuple[int, ...]
    """Largest weight first."""
    weights: Observational[tuple[float, ...]]


def read_slots(routing: Choices, layer: int, n_experts: int, *, last_only: bool = False) -> NDArray[np.float64]:
    """Tokens sent to each expert of a layer, over all choices; shape (expert, prompt).

    Args:
        last_only: count the answer position only.
    """
    return _add(routing, layer, n_experts, last_only, by_weight=False)


def read_weights(routing: Choices, layer: int, n_experts: int, *, last_only: bool = False) -> NDArray[np.float64]:
    """Summed weights that each expert of a layer received; shape (expert, prompt)."""
    return _add(routing, layer, n_experts, last_only, by_weight=True)


def read_norms(
    routing: Choices, layer: int, n_experts: int, *, weighted: bool, last_only: bool = False
) -> NDArray[np.float64]:
    """Summed lengths of what each expert of a layer wrote for the tokens sent to it; shape (expert, prompt).

    Args:
        weighted: times the weight that the router gave it at each token.
    """
    found = np.zeros((n_experts, len(routing)))
    for prompt, one in enumerate(routing):
        at = one.layers.index(layer)
        index, norms = one.index[at], one.norms[at] * (one.weights[at] if weighted else 1)
        kept = slice(-1, None) if last_only else slice(None)
        np.add.at(found[:, prompt], index[kept].ravel(), norms[kept].ravel())
    return found


def _add(routing: Choices, layer: int, n_experts: int, last_only: bool, *, by_weight: bool) -> NDArray[np.float64]:
    found = np.zeros((n_experts, len(routing)))
    for prompt, one in enumerate(routing):
        index, weights = _of_layer(one, layer)
        if last_only:
            index, weights = index[-1:], weights[-1:]
        np.add.at(found[:, prompt], index.ravel(), weights.ravel() if by_weight else 1.0)
    return found


def _of_layer(one: TokenRouting, layer: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    at = one.layers.index(layer)
    return one.index[at], one.weights[at]


def measure_layers(
    clean: Choices,
    corrupted: Choices,
    templates: Sequence[str],
    n_experts: int,
    *,
    tokens: Sequence[Sequence[int]],
    seed: int,
) -> tuple[LayerRouting, ...]:
    """Statistics of each mixture layer.

    Args:
        tokens: of each prompt's clean run.
        templates: of each prompt; clusters of the intervals.
        seed: of bootstrap and shuffles.
    """
    return tuple(_measure(clean, corrupted, templates, n_experts, layer, tokens, seed) for layer in clean[0].layers)


def _measure(
    clean: Choices,
    corrupted: Choices,
    templates: Sequence[str],
    n_experts: int,
    layer: int,
    tokens: Sequence[Sequence[int]],
    seed: int,
) -> LayerRouting:
    slots = read_slots(clean, layer, n_experts)
    mass = read_weights(clean, layer, n_experts).sum(1)
    entropies = np.array([_weight_entropy(_of_layer(one, layer)[1]) for one in clean])
    changed, total = np.array([_count_changed(a, b, layer) for a, b in zip(clean, corrupted, strict=True)]).T
    about, given, why = measure_information(slots, templates, seed=seed), None, ""
    try:
        chosen = [_of_layer(one, layer)[0] for one in clean]
        given = measure_token_information(chosen, tokens, templates, n_experts, seed=seed)
    except NotMeasured as error:
        why = error.detail
    return LayerRouting(
        layer=layer,
        load_entropy=measure_entropy(slots, templates, seed=seed),
        weight_entropy=bootstrap_mean(entropies, templates, unit="nats", seed=seed),
        committee=_find_committee(mass),
        changed=bootstrap_ratio(changed, total, templates, unit="share of choices", seed=seed),
        template_information=None if about is None else about.estimate,
        template_p=None if about is None else about.p,
        token_information=None if given is None else given.estimate,
        token_p=None if given is None else given.p,
        no_token_information=why,
    )


def _weight_entropy(weights: NDArray[np.float32]) -> float:
    """Mean over tokens; shape (pos, choice)."""
    share = weights / weights.sum(-1, keepdims=True)
    return float(-np.where(share > 0, share * np.log(np.where(share > 0, share, 1)), 0).sum(-1).mean())


def _find_committee(mass: NDArray[np.float64]) -> tuple[int, ...]:
    order = np.argsort(-mass, kind="stable")
    size = int(np.searchsorted(np.cumsum(mass[order]) / mass.sum(), COMMITTEE)) + 1
    return tuple(sorted(order[:size].tolist()))


def _count_changed(clean: TokenRouting, corrupted: TokenRouting, layer: int) -> tuple[int, int]:
    before, after = _of_layer(clean, layer)[0], _of_layer(corrupted, layer)[0]
    kept = (before[:, :, None] == after[:, None, :]).any(-1)
    return int((~kept).sum()), kept.size


def count_pairs(routing: Choices, layer: int, n_experts: int, *, last_only: bool = False) -> NDArray[np.int64]:
    """Tokens for which both experts of a pair were chosen; symmetric, shape (expert, expert), zero diagonal.

    Args:
        last_only: count the answer position only.
    """
    found = np.zeros((n_experts, n_experts), dtype=np.int64)
    for one in routing:
        index, _ = _of_layer(one, layer)
        index = index[-1:] if last_only else index
        for first in range(index.shape[1]):
            for second in range(index.shape[1]):
                if first != second:
                    np.add.at(found, (index[:, first], index[:, second]), 1)
    return found


def trace_prompt(one: TokenRouting) -> tuple[RoutedToken, ...]:
    """Where each token of one prompt was sent in each layer."""
    found = []
    for layer, index, weights in zip(one.layers, one.index, one.weights, strict=True):
        for position in range(len(index)):
            order = np.argsort(-weights[position], kind="stable")
            experts, shares = index[position][order].tolist(), weights[position][order].tolist()
            found.append(RoutedToken(layer, position, tuple(experts), tuple(shares)))
    return tuple(found)
