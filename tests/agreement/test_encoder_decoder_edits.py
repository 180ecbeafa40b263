"""Edits of an encoder–decoder against a slow implementation: one prompt, one edit, plain hooks, no shared code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy.encoder_decoders import draw_prompts, load_random

from audit_core.capability import ATTENTION
from audit_core.component import Component, Kind, parse_component
from audit_core.errors import ComponentRefused, InterventionRefused, PromptRefused
from audit_core.intervention import CLEAN_RUN, Edit, Intervention, PromptSide, Replacement, intervene
from audit_core.subjects.encoder_decoder import EncoderDecoderSubject

HEADS = (Kind.ENCODER_HEAD, Kind.DECODER_HEAD, Kind.CROSS_HEAD)
WAYS = (Replacement.ZERO, Replacement.MEAN, Replacement.RESAMPLE)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> EncoderDecoderSubject:
    return load_random(tmp_path_factory.mktemp("t5"))


class Literal:
    """One prompt through the model, with one part of one head replaced."""

    def __init__(self, subject: EncoderDecoderSubject) -> None:
        self.model, self.start = subject.runner.model, subject.start_id
        self.n_heads, self.width = subject.geometry.n_heads, subject.geometry.d_head
        self._kept: dict[tuple[Any, tuple[int, ...]], torch.Tensor] = {}

    def find_module(self, part: Component) -> Any:
        if part.kind is Kind.ENCODER_HEAD:
            return self.model.encoder.block[part.layer].layer[0].SelfAttention.o
        block = self.model.decoder.block[part.layer]
        return block.layer[0].SelfAttention.o if part.kind is Kind.DECODER_HEAD else block.layer[1].EncDecAttention.o

    def run(self, ids: tuple[int, ...], embedded: torch.Tensor | None = None) -> np.ndarray:
        middle = ids.index(self.start)
        if embedded is None:
            embedded = self.model.shared(torch.tensor([ids[:middle]]))
        with torch.no_grad():
            out = self.model(inputs_embeds=embedded, decoder_input_ids=torch.tensor([ids[middle:]]), use_cache=False)
        found: np.ndarray = out.logits[0, -1].numpy()
        return found

    def read(self, part: Component, ids: tuple[int, ...]) -> torch.Tensor:
        """Output of one head at every position, shape (pos, width)."""
        module, kept = self.find_module(part), self._kept
        if (module, ids) not in kept:
            handle = module.register_forward_pre_hook(
                lambda module, args: kept.update({(module, ids): args[0][0].clone()})
            )
            self.run(ids)
            handle.remove()
        return kept[module, ids][:, part.index * self.width : (part.index + 1) * self.width]

    def run_with(self, part: Component, ids: tuple[int, ...], put: torch.Tensor) -> np.ndarray:
        def write(module: Any, args: Any) -> Any:
            value = args[0].clone()
            value[0, :, part.index * self.width : (part.index + 1) * self.width] = put
            return (value,)

        handle = self.find_module(part).register_forward_pre_hook(write)
        found = self.run(ids)
        handle.remove()
        return found


@pytest.mark.parametrize("kind", HEADS)
def test_every_head_ablated_in_three_ways_agrees_with_plain_hooks(subject: EncoderDecoderSubject, kind: Kind) -> None:
    prompts, literal = draw_prompts(subject, 8, n_templates=2), Literal(subject)
    parts = subject.components(kind)
    asked = [intervene([part], way) for part in parts for way in WAYS]
    found = subject.run(prompts, asked, means=subject.capture_means(prompts), vocabulary=True)
    assert found.edits_applied == len(asked) * len(prompts)
    assert found.vocabulary is not None
    for at, pair in enumerate(prompts.pairs):
        same = [p for p in prompts.pairs if len(p.clean_ids) == len(pair.clean_ids)]
        for row, part in enumerate(parts):
            clean = literal.read(part, pair.clean_ids)
            runs = [literal.read(part, ids) for p in same for ids in (p.clean_ids, p.corrupted_ids)]
            puts = (torch.zeros_like(clean), torch.stack(runs).mean(0), literal.read(part, pair.corrupted_ids))
            for way, put in enumerate(puts):
                wanted = literal.run_with(part, pair.clean_ids, put)
                np.testing.assert_allclose(found.vocabulary[row * len(WAYS) + way, at], wanted, rtol=0, atol=1e-4)


def test_a_masked_edge_agrees_with_attention_computed_by_hand(subject: EncoderDecoderSubject) -> None:
    """The softmax over the other source tokens, times their values."""
    prompts, literal = draw_prompts(subject, 4, n_templates=1), Literal(subject)
    pair, part = prompts.pairs[0], parse_component("L1.XH2")
    middle, last = pair.clean_ids.index(subject.start_id), len(pair.clean_ids) - 1
    attention = subject.runner.model.decoder.block[1].layer[1].EncDecAttention
    kept: list[Any] = []
    handle = attention.register_forward_pre_hook(
        lambda module, args, kwargs: kept.append((args[0], kwargs["key_value_states"])), with_kwargs=True
    )
    literal.run(pair.clean_ids)
    handle.remove()
    (query, states), own = kept[0], slice(2 * 6, 3 * 6)
    scores = (attention.q(query)[0, -1, own] * attention.k(states)[0, :, own]).sum(-1)
    for key in range(middle):
        rest = [at for at in range(middle) if at != key]
        weights = scores[rest].softmax(-1)
        put = literal.read(part, pair.clean_ids).clone()
        put[-1] = weights @ attention.v(states)[0, rest, own]
        edge = Component(1, Kind.CROSS_EDGE, 2, last, key)
        found = subject.run(prompts, [intervene([edge], Replacement.ZERO)], vocabulary=True)
        assert found.vocabulary is not None
        wanted = literal.run_with(part, pair.clean_ids, put.detach())
        np.testing.assert_allclose(found.vocabulary[0, 0], wanted, rtol=0, atol=1e-4)


def test_a_replaced_source_token_agrees_with_embeddings_written_by_hand(subject: EncoderDecoderSubject) -> None:
    prompts, literal = draw_prompts(subject, 6, n_templates=2), Literal(subject)
    asked = [intervene([parse_component(f"L0.SOURCE@{at}")], way) for at in range(4) for way in WAYS]
    found = subject.run(prompts, asked, means=subject.capture_means(prompts), vocabulary=True).vocabulary
    assert found is not None
    table = literal.model.shared.weight.detach()
    for row, pair in enumerate(prompts.pairs):
        same = [p for p in prompts.pairs if len(p.clean_ids) == len(pair.clean_ids)]
        for at in range(4):
            usual = torch.stack([table[ids[at]] for p in same for ids in (p.clean_ids, p.corrupted_ids)]).mean(0)
            for way, put in enumerate((table[0], usual, table[pair.corrupted_ids[at]])):
                embedded = table[list(pair.clean_ids[: pair.clean_ids.index(subject.start_id)])].clone()
                embedded[at] = put
                wanted = literal.run(pair.clean_ids, embedded[None])
                np.testing.assert_allclose(found[at * len(WAYS) + way, row], wanted, rtol=0, atol=1e-4)


def test_the_whole_source_resampled_is_the_corrupted_run(subject: EncoderDecoderSubject) -> None:
    prompts = draw_prompts(subject, 6)
    whole = intervene(subject.components(Kind.SOURCE), Replacement.RESAMPLE)
    found = subject.run(prompts, [whole, Intervention(side=PromptSide.CORRUPTED)], vocabulary=True).vocabulary
    assert found is not None
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=subject.tolerance)


@pytest.mark.parametrize("kind", [*HEADS, Kind.SOURCE, Kind.CROSS_EDGE])
def test_identity_changes_nothing_and_noise_changes_the_answer(subject: EncoderDecoderSubject, kind: Kind) -> None:
    prompts = draw_prompts(subject, 2)
    for part in subject.components(kind):
        asked = [CLEAN_RUN, *(Intervention((Edit(part, way),)) for way in (Replacement.IDENTITY, Replacement.NOISE))]
        found = subject.run(prompts, asked, vocabulary=True).vocabulary
        assert found is not None
        assert np.abs(found[1] - found[0]).max() <= subject.tolerance
        assert np.abs(found[2] - found[0]).max() > 100 * subject.tolerance


def test_parts_of_a_decoder_only_model_are_refused_by_name(subject: EncoderDecoderSubject) -> None:
    prompts = draw_prompts(subject, 2)
    for name in ("L0.H1", "L0.MLP", "L0.RESID", "L1.N3", "L9.EH0", "L0.XH7"):
        with pytest.raises(ComponentRefused, match=name):
            subject.run(prompts, [intervene([parse_component(name)], Replacement.ZERO)])
    with pytest.raises(InterventionRefused, match="target of this prompt"):
        subject.run(prompts, [intervene([parse_component("L0.XH1@0")], Replacement.ZERO)])
    with pytest.raises(InterventionRefused, match="source position"):
        subject.run(prompts, [intervene(subject.components(Kind.CROSS_EDGE)[:1], Replacement.ZERO)])
    assert not ATTENTION.is_met(subject)


def test_a_prompt_without_a_target_is_refused(subject: EncoderDecoderSubject, tmp_path: Path) -> None:
    from toy.prompts import tokenise_letters

    with pytest.raises(PromptRefused, match="start token occurs 0 times"):
        subject.run(tokenise_letters(subject.tokenizer, [5]), [CLEAN_RUN])
