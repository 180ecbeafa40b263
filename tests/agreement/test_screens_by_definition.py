"""Cheap estimates against their definitions, read slowly: one whole pass per dropped layer, and a path that adds up."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from agreement.literal import HOOKS
from toy.prompts import tokenise_letters

from audit_core.component import Kind
from audit_core.estimator import EstimateRequest
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, PromptSide, Replacement
from audit_core.prompts.prompt_set import TokenPair
from audit_core.registry import get_plugin
from audit_core.subject import no_progress
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]


def put(value: torch.Tensor, hook: Any, *, other: torch.Tensor) -> torch.Tensor:
    return other


def record(bridge: Any, ids: tuple[int, ...], name: str, hooks: list[tuple[str, Any]]) -> torch.Tensor:
    """One activation of a pass without slopes."""
    kept: list[torch.Tensor] = []
    with torch.no_grad():
        bridge.run_with_hooks(torch.tensor([ids]), fwd_hooks=[*hooks, (name, lambda v, hook: kept.append(v.clone()))])
    return kept[0]


def find_slope(bridge: Any, pair: TokenPair, name: str, dropped: int) -> torch.Tensor:
    """∂(logit difference) / ∂activation of the clean run, with what one layer adds to the stream held fast."""
    leaf: list[torch.Tensor] = []
    entering: list[torch.Tensor] = []

    def add(value: torch.Tensor, hook: Any) -> torch.Tensor:
        leaf.append(torch.zeros_like(value, requires_grad=True))
        return value + leaf[0]

    def hold(value: torch.Tensor, hook: Any) -> torch.Tensor:
        return entering[0] + (value - entering[0]).detach()

    around = [(f"blocks.{dropped}.hook_resid_pre", lambda v, hook: entering.append(v))]
    around += [(f"blocks.{dropped}.hook_resid_post", hold)]
    with torch.enable_grad():
        logits = bridge.run_with_hooks(torch.tensor([pair.clean_ids]), fwd_hooks=[(name, add), *around])[0, -1]
        difference = logits[pair.answer_id] - logits[pair.foil_id]
        return torch.autograd.grad(difference, leaf[0], allow_unused=True, materialize_grads=True)[0]


@pytest.mark.parametrize("kind", [Kind.HEAD, Kind.QUERY, Kind.KEY])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_dropping_layers_adds_up_sizes_layer_by_layer(family: str, kind: Kind, load_family: Load) -> None:
    """1/(L − 1) · Σ over dropped layers of |change · slope|; for queries and keys of the pattern that the other run's
    vector gives among this run's own, and for a key head of all heads that share it."""
    subject = load_family(family)
    prompts, bridge = tokenise_letters(subject.tokenizer, [7]), subject.bridge
    (pair,), n_layers = prompts.pairs, subject.geometry.n_layers
    expected = []
    for layer in range(n_layers):
        names = [f"blocks.{layer}.{HOOKS[of]}" for of in (kind, Kind.HEAD if kind is Kind.HEAD else Kind.PATTERN)]
        other = record(bridge, pair.corrupted_ids, names[0], [])
        now = record(bridge, pair.clean_ids, names[1], [])
        change = record(bridge, pair.clean_ids, names[1], [(names[0], partial(put, other=other))]) - now
        products = torch.stack([change * find_slope(bridge, pair, names[1], drop) for drop in range(n_layers)])[:, 0]
        heads = products.sum((1, 3)) if kind is Kind.HEAD else products.sum((2, 3))
        grouped = heads.view(n_layers, len(subject.components(kind)) // n_layers, -1).sum(2)
        expected.append(grouped.abs().sum(0) / (n_layers - 1))
    request = EstimateRequest(prompts, kind, Replacement.RESAMPLE, PromptSide.CLEAN)
    found = get_plugin("estimators", "attribution_patching_star").estimate(subject, request, on_progress=no_progress)
    np.testing.assert_allclose(found.support[:, 0], torch.cat(expected), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("side", PromptSide)
def test_gradients_along_the_path_add_up_to_the_gap(side: PromptSide, load_family: Load) -> None:
    """The stream that enters the first block is the path itself: its estimate is the whole gap, from either end."""
    subject = load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, [7] * 4)
    request = EstimateRequest(prompts, Kind.RESID, Replacement.RESAMPLE, side)
    found = get_plugin("estimators", "integrated_gradients").estimate(subject, request, on_progress=no_progress)
    logits = subject.run(prompts, [CLEAN_RUN, CORRUPTED_RUN])
    clean, corrupted = logits.answer - logits.foil
    np.testing.assert_allclose(found.support[0], clean - corrupted, rtol=0.05, atol=0.05)
