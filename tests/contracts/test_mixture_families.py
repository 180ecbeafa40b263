"""Families of mixtures open, and call their experts under the bridge as `transformers` does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from toy.mixtures import Sparse, find_sparse, recorded, reweighed, zeroed
from toy.models import MIXTURES
from toy.prompts import tokenise_letters

from audit_core.component import Kind
from audit_core.engine.capture import capture_run
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]
CONVOLUTIONS = "lfm2_moe"
"""Its convolutions keep a state of their own, so that its blocks do not run one by one."""
DENSE_FIRST = ("deepseek_v2", "deepseek_v3", "glm4_moe", CONVOLUTIONS)
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


@pytest.mark.parametrize("family", MIXTURES)
def test_a_layer_adds_up_what_its_experts_write(family: str, load_family: Load) -> None:
    """Each expert alone, by the module's own code with one choice of weight one."""
    subject = load_family(family)
    layer, written = find_layers(subject)[-1], []
    handle = layer.experts.register_forward_hook(lambda module, args, output: written.append(output))
    try:
        with recorded(layer) as calls:
            run(subject)
    finally:
        handle.remove()
    (call,), total = calls, torch.zeros_like(written[0])
    with subject.runner.turn():
        for expert in call.indices.unique().tolist():
            every = torch.full((len(call.hidden), 1), expert)
            alone = type(layer.experts).forward(layer.experts, call.hidden, every, torch.ones(every.shape))
            total += call.spread(8)[:, expert, None] * alone
    assert (total - written[0]).norm() <= 1e-5 * written[0].norm()


@pytest.mark.parametrize("family", MIXTURES)
def test_weights_that_the_experts_receive_are_live(family: str, load_family: Load) -> None:
    subject = load_family(family)
    layer, before = find_layers(subject)[-1], run(subject)
    with recorded(layer) as calls:
        run(subject)
    busiest = int(calls[0].indices.flatten().bincount().argmax())
    with reweighed(layer, lambda call: call.weights.clone()):
        assert (run(subject) - before).abs().max() <= subject.tolerance
    with zeroed(layer, busiest):
        assert (run(subject) - before).abs().max() > 100 * subject.tolerance


@pytest.mark.parametrize("family", ["phimoe", "granitemoeshared"])
def test_a_family_that_transformer_lens_lists_under_another_name_is_audited(family: str, load_family: Load) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (6, 6))
    assert subject.components(Kind.HEAD)
    # Granite adds routed and shared experts outside of any module, so that no hook sees the MLP's whole output.
    assert bool(subject.components(Kind.MLP)) is (family == "phimoe")
    assert subject.capture_means(prompts, kinds=(Kind.HEAD,)).n_prompts
