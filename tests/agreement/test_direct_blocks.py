"""Blocks without TransformerLens' wrappers: the same bits, and never in the place of a block whose hooks they would skip."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from toy.prompts import tokenise_letters

from audit_core.component import Component, Kind
from audit_core.engine.capture import capture_run
from audit_core.engine.direct import attention, find
from audit_core.engine.direct.attention import attend
from audit_core.engine.direct.llama import LlamaBlock
from audit_core.engine.gradients import embed, measure_gradients
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Edit, Intervention, PromptSide, Replacement, intervene
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]
DIRECT = ("gpt2", "llama", "mistral", "qwen2", "qwen3")
KINDS = (Kind.RESID, Kind.QUERY, Kind.KEY, Kind.VALUE, Kind.PATTERN, Kind.EDGE, Kind.HEAD, Kind.NEURON, Kind.MLP)
WAYS = (Replacement.RESAMPLE, Replacement.ZERO, Replacement.NOISE)


def list_edits() -> list[Intervention]:
    """Every kind in every layer of three, at all positions and at the last one, of both runs."""
    made = [CLEAN_RUN, CORRUPTED_RUN]
    for kind in KINDS:
        for layer in range(3):
            key = 1 if kind is Kind.EDGE else None
            for position in (-1,) if kind is Kind.EDGE else (None, -1):
                part = Component(layer, kind, 0, position, key)
                edits = [Edit(part, way) for way in WAYS]
                made += [Intervention((edit,), side) for side in PromptSide for edit in edits]
    return made


@pytest.mark.parametrize("family", DIRECT)
def test_every_edit_gives_the_bits_of_transformer_lens_own_blocks(load_family: Load, family: str) -> None:
    subject, edits = load_family(family), list_edits()
    runner, prompts = subject.runner, tokenise_letters(subject.tokenizer, (6, 9, 6, 9))
    model = runner.model
    assert sorted(model.direct) == list(range(model.n_layers)), "this family is not run directly"
    found = []
    try:
        for one in (model, replace(model, direct={})):
            runner.model = one
            runner.clear_captures()
            found.append(subject.run(prompts, edits, vocabulary=True, seed=3))
    finally:
        runner.model = model
        runner.clear_captures()
    direct, own = found
    assert direct.vocabulary is not None
    assert own.vocabulary is not None
    assert direct.edits_applied == own.edits_applied
    np.testing.assert_array_equal(direct.vocabulary, own.vocabulary)
    # Every edit did something on some prompt: else equal bits would say nothing of its hook.
    unedited = {PromptSide.CLEAN: direct.vocabulary[0], PromptSide.CORRUPTED: direct.vocabulary[1]}
    idle = [
        i for i, edit in zip(range(2, len(edits)), edits[2:]) if (direct.vocabulary[i] == unedited[edit.side]).all()
    ]
    assert idle == []
    pair = prompts.pairs[0]
    head = Component(1, Kind.HEAD, 0)
    pattern = runner.draw_patterns(pair, intervene([head], Replacement.ZERO), None)
    runner.model = replace(model, direct={})
    runner.clear_captures()
    try:
        np.testing.assert_array_equal(pattern, runner.draw_patterns(pair, intervene([head], Replacement.ZERO), None))
    finally:
        runner.model = model
        runner.clear_captures()


@pytest.mark.parametrize("most", [500, 50], ids=["few rows", "some heads of a row"])
def test_attention_in_parts_gives_the_same_bits(load_family: Load, monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Without a hook on patterns, which needs all of them at once."""
    monkeypatch.setattr(attention, "MAX_SCORES", most)
    subject = load_family("llama")
    runner, prompts = subject.runner, tokenise_letters(subject.tokenizer, (9, 9, 9))
    kinds = (Kind.QUERY, Kind.KEY, Kind.VALUE, Kind.HEAD, Kind.MLP)
    parts = [Component(layer, kind, 0) for kind in kinds for layer in range(3)]
    edits = [CLEAN_RUN, *(intervene([part], way) for part in parts for way in WAYS)]
    model, found = runner.model, []
    try:
        for one in (model, replace(model, direct={})):
            runner.model = one
            runner.clear_captures()
            found.append(subject.run(prompts, edits, vocabulary=True, seed=3).vocabulary)
    finally:
        runner.model = model
        runner.clear_captures()
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("name", ["attn.hook_attn_scores", "attn.hook_rot_q", "ln2.hook_normalized", "hook_out"])
def test_a_hook_that_a_direct_block_would_skip_still_runs(load_family: Load, name: str) -> None:
    runner = load_family("llama").runner
    tokens = torch.tensor([[0, 5, 6, 7, 8]])
    calls, seen = runner.find_calls(5), []
    point: Any = runner.bridge.hook_dict[f"blocks.1.{name}"]
    point.add_hook(lambda value, hook: seen.append(value.shape))
    try:
        capture_run(runner.model, tokens, calls, (), runner.turn)
    finally:
        point.remove_hooks()
    assert len(seen) == 1
    capture_run(runner.model, tokens, calls, (), runner.turn)
    assert len(seen) == 1


def test_a_hook_before_a_module_runs_beside_those_that_transformer_lens_leaves_there(load_family: Load) -> None:
    runner, seen = load_family("llama").runner, []
    tokens, calls = torch.tensor([[0, 5, 6, 7, 8]]), load_family("llama").runner.find_calls(5)
    handle = runner.bridge.blocks[1].ln1.register_forward_pre_hook(lambda _module, args: seen.append(args[0].shape))
    try:
        capture_run(runner.model, tokens, calls, (), runner.turn)
    finally:
        handle.remove()
    assert len(seen) == 1


@pytest.mark.parametrize("family", DIRECT)
def test_gradients_of_every_site_are_those_of_transformer_lens_own_blocks(
    load_family: Load, monkeypatch: pytest.MonkeyPatch, family: str
) -> None:
    """A tensor changed in place would give another gradient, or none. The metric has the same bits."""
    runner, prompts = load_family(family).runner, tokenise_letters(load_family(family).tokenizer, (6, 6))
    model, calls = runner.model, runner.find_calls(len(prompts.pairs[0].clean_ids))
    rows = embed(runner, [pair.clean_ids for pair in prompts.pairs])
    answers, foils = [pair.answer_ids for pair in prompts.pairs], [pair.foil_ids for pair in prompts.pairs]
    kinds = tuple(kind for kind in KINDS if kind is not Kind.EDGE)
    ran: list[int] = []
    for block in model.direct.values():
        monkeypatch.setattr(block, "run", lambda *given, own=block.run: (ran.append(1), own(*given))[1])
    found = []
    try:
        for one in (model, replace(model, direct={})):
            runner.model = one
            found.append(measure_gradients(runner, rows, answers, foils, kinds, calls))
    finally:
        runner.model = model
    direct, own = found
    assert len(ran) == model.n_layers
    assert direct.metric.tolist() == own.metric.tolist()
    assert direct.gradients.keys() == own.gradients.keys()
    for place, wanted in own.gradients.items():
        assert wanted.abs().max() > 0
        torch.testing.assert_close(direct.gradients[place], wanted, rtol=1e-4, atol=1e-6 * float(wanted.abs().max()))


def test_training_and_other_types_use_the_blocks_of_transformer_lens(load_family: Load) -> None:
    runner = load_family("llama").runner
    start = torch.randn(1, 5, runner.geometry.d_model)
    arguments = {"attention_mask": torch.zeros(1, 1, 5, 5)}
    with torch.inference_mode():
        assert runner.model.direct[0].can_run(start, arguments)
        assert not runner.model.direct[0].can_run(start.double(), arguments)
        assert not runner.model.direct[0].can_run(start, {"attention_mask": None})
        runner.bridge.blocks[0].train()
        try:
            assert not runner.model.direct[0].can_run(start, arguments)
        finally:
            runner.bridge.blocks[0].eval()


def test_a_block_with_other_bits_is_not_used(load_family: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wrong by the smallest step of a float, in one layer of three; or written for another layout."""
    runner = load_family("llama").runner

    class OneOff(LlamaBlock):
        def run(self, residual: torch.Tensor, call: Any) -> torch.Tensor:
            out = super().run(residual, call)
            if self._block is runner.bridge.blocks[1]:
                out[0, -1, 0] = torch.nextafter(out[0, -1, 0], out.new_tensor(torch.inf))
            return out

    class OtherLayout(LlamaBlock):
        def run(self, residual: torch.Tensor, call: Any) -> torch.Tensor:
            return attend(self, residual, residual, residual, {}, scale=1, groups=1)

    for family, wanted in ((OneOff, [0, 2]), (OtherLayout, [])):
        monkeypatch.setattr(find, "FAMILIES", (family,))
        tokens = torch.tensor([[0, 5, 6, 7, 8], [0, 5, 8, 7, 6]])
        calls = runner.find_calls(5)
        with torch.inference_mode():
            own = capture_run(replace(runner.model, direct={}), tokens, calls, (), runner.turn)
            assert sorted(find.find_direct_blocks(runner.model, own, calls, 2)) == wanted
