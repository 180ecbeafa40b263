"""Layer-wise relevance by hand: one layer worked out on paper, and families in which it adds up or is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy.models import BOS, LETTERS, build_random, load, save_tokenizer

from audit_core.attributions.relevance import CONSERVED, PLUGIN, Rules
from audit_core.errors import NotMeasured
from audit_core.explanations import Task, UnitKind, make_task
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import Prompt, PromptSet
from audit_core.registry import get_plugin

TEXTS = ("a b c d", "e a d b", "c c a f", "f b e a")


def ask(subject: Any) -> Task:
    rows = tuple(Prompt(f"row {at}", text, TEXTS[at - 1], " g", " h", "t") for at, text in enumerate(TEXTS))
    prompts = tokenise(PromptSet("letters", rows), subject.tokenizer)
    return make_task(subject, prompts, prompts, UnitKind.TOKENS, seed=0)


@pytest.fixture(scope="module")
def open_family(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Task]:
    return lambda family: ask(load(build_random(family, tmp_path_factory.mktemp(family))))


def build_one_layer(folder: Path) -> Any:
    """A Llama of one layer with equal attention, no MLP, and random values and outputs."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(LETTERS) + 1, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, head_dim=4, bos_token_id=0, eos_token_id=0, pad_token_id=0, tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(3)
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    block = model.model.layers[0]
    for weights in (block.self_attn.q_proj.weight, block.self_attn.k_proj.weight, block.mlp.down_proj.weight):
        weights.zero_()
    for weights in (
        model.model.embed_tokens.weight,
        block.self_attn.v_proj.weight,
        block.self_attn.o_proj.weight,
        model.lm_head.weight,
    ):
        weights.normal_(0, 0.5)
    model.save_pretrained(folder)
    save_tokenizer(folder, [BOS, *LETTERS])
    return model


def test_one_layer_of_equal_attention_hands_back_the_share_of_each_token(tmp_path: Path) -> None:
    """With T tokens, norm scales s_j and s, and u = W_U[g] − W_U[h]: R_j = s · u · O V (s_j x_j) / T, and the last token's
    residual stream adds s · u · x_T."""
    model = build_one_layer(tmp_path)
    task = ask(load(tmp_path))
    values, outputs, unembed = (
        weights.numpy().astype(float)
        for weights in (model.model.layers[0].self_attn.v_proj.weight, model.model.layers[0].self_attn.o_proj.weight, model.lm_head.weight)
    )  # fmt: skip
    pair = task.prompts.pairs[0]
    x = model.model.embed_tokens.weight.numpy().astype(float)[list(pair.clean_ids)]
    scale = 1 / np.sqrt((x**2).mean(1) + model.config.rms_norm_eps)
    moved = (scale[:, None] * x) @ values.T @ outputs.T / len(x)
    end = x[-1] + moved.sum(0)
    along = (unembed[pair.answer_ids[0]] - unembed[pair.foil_ids[0]]) / np.sqrt(
        (end**2).mean() + model.config.rms_norm_eps
    )
    expected = moved @ along
    expected[-1] += x[-1] @ along
    found = PLUGIN.score(task, seed=0)
    assert found.values[0] is not None
    places = [unit.positions[0] for unit in task.units[0]]
    np.testing.assert_allclose(found.values[0], expected[places], atol=1e-5)


def test_a_gated_product_gives_half_to_each_factor_and_an_activation_all_to_its_input() -> None:
    """p = f(g) · u with f(2) = 3 and u = 5: p = 15. With p' = 1 the gate's share is 2 · 15/2/2 = 7.5, and so is u's."""
    import torch

    rules = object.__new__(Rules)
    gate, up = torch.tensor([2.0, 0.0], requires_grad=True), torch.tensor([5.0, 5.0], requires_grad=True)
    rules.fired, rules._kept = set(), {"gate": gate, "up": up}
    product = rules._give_on("product", ("gate", "up"))(torch.tensor([15.0, 0.0]), None)
    product.sum().backward()
    assert product.tolist() == [15.0, 0.0]
    assert gate.grad is not None
    assert up.grad is not None
    assert (gate * gate.grad).tolist() == [7.5, 0.0]
    assert (up * up.grad).tolist() == [7.5, 0.0]


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen3"])
def test_relevance_adds_up_where_gradient_times_input_does_not(family: str, open_family: Callable[[str], Task]) -> None:
    task = open_family(family)
    found = PLUGIN.score(task, seed=0)
    assert all(error is not None and error <= 1e-4 for error in found.error)
    plain = get_plugin("attributions", "gradient_input").score(task, seed=0)
    for own, other in zip(found.values, plain.values, strict=True):
        assert own is not None
        assert np.abs(own - other).max() > 0.1, "the rules change nothing"


def test_relevance_knows_which_answer_is_asked_for(open_family: Callable[[str], Task]) -> None:
    task = open_family("llama")
    pairs = tuple(
        replace(p, contrast=replace(p.contrast, answers=p.contrast.foils, foils=p.contrast.answers))
        for p in task.prompts.pairs
    )
    swapped = replace(task, prompts=replace(task.prompts, pairs=pairs))
    for one, other in zip(PLUGIN.score(task, seed=0).values, PLUGIN.score(swapped, seed=0).values, strict=True):
        np.testing.assert_allclose(one, -other, atol=1e-4)


@pytest.mark.parametrize(("family", "words"), [("gpt2", "subtract the mean"), ("mixtral", "gated MLP")])
def test_a_family_without_rules_is_refused_by_what_it_has(
    family: str, words: str, open_family: Callable[[str], Task]
) -> None:
    with pytest.raises(NotMeasured, match=words):
        PLUGIN.score(open_family(family), seed=0)


def test_prompts_whose_biases_keep_relevance_are_refused_with_the_difference(
    open_family: Callable[[str], Task],
) -> None:
    found = PLUGIN.score(open_family("qwen2"), seed=0)
    refused = [value for value in found.values if value is None]
    assert refused
    assert "biases" in found.refusal
    assert all(error is None or error <= CONSERVED for error in found.error)


def test_a_rule_that_does_not_fire_gives_no_scores(
    open_family: Callable[[str], Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The characteristic defect of hooks: installed, never called."""
    from transformer_lens.hook_points import HookPoint

    task, first = open_family("llama"), Rules.__init__

    def lose_one(self: Rules, runner: Any) -> None:
        first(self, runner)
        self.points = {**self.points, "blocks.1.mlp.out.hook_in": HookPoint()}

    monkeypatch.setattr(Rules, "__init__", lose_one)
    with pytest.raises(NotMeasured, match=r"blocks\.1\.mlp\.out\.hook_in was not applied"):
        PLUGIN.score(task, seed=0)
