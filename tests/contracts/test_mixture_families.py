"""Families of mixtures open, and call their experts under the bridge as `transformers` does."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from toy.mixtures import Sparse, find_sparse, masked, recorded, survivors_reweighted, zeroed
from toy.models import MIXTURES
from toy.prompts import tokenise_letters

from audit_core.component import Component, Kind
from audit_core.engine.capture import capture_run
from audit_core.errors import InterventionRefused
from audit_core.intervention import CLEAN_RUN, Edit, Intervention, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]
CONVOLUTIONS = "lfm2_moe"
"""Its convolutions keep a state of their own, so that its blocks do not run one by one."""
DENSE_FIRST = ("deepseek_v2", "deepseek_v3", "glm4_moe", CONVOLUTIONS)
SHARED = ("qwen2_moe", "granitemoeshared", "deepseek_v2", "deepseek_v3", "glm4_moe")
TOKENS = torch.tensor([[0, *range(5, 11)], [0, *range(20, 26)]])


def run(subject: TransformerSubject) -> torch.Tensor:
    with subject.runner.turn():
        return subject.bridge(TOKENS).float()


def find_layers(subject: TransformerSubject) -> tuple[Sparse, ...]:
    return find_sparse(subject.bridge.original_model)


@pytest.mark.parametrize("family", MIXTURES)
def test_its_blocks_run_one_by_one_and_call_every_layers_experts(family: str, load_family: Load) -> None:
    subject = load_family(family)
    layers = find_layers(subject)
    assert len(layers) == subject.geometry.n_layers - (family in DENSE_FIRST)
    assert bool(subject.fallback) is (family == CONVOLUTIONS)
    for layer in layers:
        with recorded(layer) as calls:
            run(subject)
            if not subject.fallback:
                replayed = subject.runner.find_calls(TOKENS.shape[1])
                capture_run(subject.runner.model, TOKENS, replayed, (), subject.runner.turn)
        assert len(calls) == (1 if subject.fallback else 2)
        assert all(call.indices.dtype == torch.int64 for call in calls)
        assert all(
            call.weights.shape == call.indices.shape == (TOKENS.numel(), calls[0].indices.shape[1]) for call in calls
        )


def measure(subject: TransformerSubject, prompts: TokenisedPrompts, *asked: Intervention) -> np.ndarray:
    found = subject.run(prompts, asked, vocabulary=True).vocabulary
    assert found is not None
    return found


@pytest.mark.parametrize("family", MIXTURES)
def test_a_mask_splits_through_the_engine_as_by_raw_hooks(family: str, load_family: Load) -> None:
    """Output removed, survivors reweighted, newcomer: each by hooks on the family's own router and experts."""
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (6, 6))
    layer, tokens = find_layers(subject)[-1], torch.tensor([pair.clean_ids for pair in prompts.pairs])

    def run_raw(edit: Any) -> np.ndarray:
        with edit, subject.runner.turn():
            return subject.bridge(tokens)[:, -1].float().numpy()

    with recorded(layer) as calls:
        clean = run_raw(nullcontext())
    # In the last layer only experts of the answer position reach the answer.
    expert = int(calls[0].indices.view(*tokens.shape, -1)[:, -1].flatten().bincount().argmax())
    slow = [zeroed(layer, expert), survivors_reweighted(layer, expert, 8), masked(layer, expert)]
    expected = np.diff([clean, *map(run_raw, slow)], axis=0)
    part = Component(subject.geometry.n_layers - 1, Kind.EXPERT, expert)
    ways = (Replacement.ZERO, Replacement.REWEIGHTED, Replacement.ROUTER_MASK, Replacement.IDENTITY)
    runs = measure(subject, prompts, CLEAN_RUN, *(intervene([part], way) for way in ways))
    parts, scale = np.diff(runs[:4], axis=0), np.abs(runs).max()
    np.testing.assert_allclose(parts, expected, rtol=0, atol=1e-4 * max(scale, 1))
    np.testing.assert_allclose(parts.sum(0), run_raw(masked(layer, expert)) - clean, rtol=0, atol=1e-4 * max(scale, 1))
    assert np.abs(parts[0]).max() > 100 * subject.tolerance
    assert np.abs(runs[4] - runs[0]).max() <= 10 * subject.tolerance


@pytest.mark.parametrize("family", MIXTURES)
def test_its_experts_add_up_and_its_scores_are_read_by_nothing(family: str, load_family: Load) -> None:
    subject = load_family(family)
    assert (subject.mixture.why_not, subject.mixture.why_no_shared) == ("", "")
    assert max(subject.mixture.sum_difference, subject.mixture.shared_difference) <= 1e-5
    assert not subject.mixture.scores_are_read
    router = Component(subject.geometry.n_layers - 1, Kind.ROUTER)
    with pytest.raises(InterventionRefused, match=f"scores of {router}"):
        Edit(router, Replacement.ZERO)


@pytest.mark.parametrize("family", MIXTURES)
def test_a_family_with_a_shared_path_offers_it_and_its_edits_are_live(family: str, load_family: Load) -> None:
    subject = load_family(family)
    parts = subject.components(Kind.SHARED)
    assert bool(parts) is (family in SHARED)
    if parts:
        prompts = tokenise_letters(subject.tokenizer, [6])
        edits = [intervene(parts, replacement) for replacement in (Replacement.IDENTITY, Replacement.NOISE)]
        clean, same, noisy = measure(subject, prompts, CLEAN_RUN, *edits)
        assert np.abs(same - clean).max() <= 10 * subject.tolerance
        assert np.abs(noisy - clean).max() > 100 * subject.tolerance


@pytest.mark.parametrize("family", ["phimoe", "granitemoeshared"])
def test_a_family_that_transformer_lens_lists_under_another_name_is_audited(family: str, load_family: Load) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (6, 6))
    assert subject.components(Kind.HEAD)
    # Granite adds routed and shared experts outside of any module, so that no hook sees the MLP's whole output.
    assert bool(subject.components(Kind.MLP)) is (family == "phimoe")
    assert subject.capture_means(prompts, kinds=(Kind.HEAD,)).n_prompts
