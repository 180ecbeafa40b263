"""What an intervention does to a model, against arithmetic on its weights and activations."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from toy.models import ADDS_TO_RESIDUAL, FAMILIES
from toy.planted import make_induction, make_votes
from toy.prompts import tokenise_letters

from audit_core.component import Component, Kind, edge, head, parse_components, resid
from audit_core.intervention import (
    CLEAN_RUN,
    CORRUPTED_RUN,
    Direction,
    Edit,
    Intervention,
    Replacement,
    intervene,
)
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]
CLOSE = 2e-4
"""Of the largest logit."""


def difference(subject: TransformerSubject, prompts: TokenisedPrompts, *asked: Intervention) -> np.ndarray:
    """Logit difference, shape (intervention, prompt)."""
    logits = subject.run(prompts, asked, means=subject.capture_means(prompts))
    return logits.answer.astype(float) - logits.foil


def all_logits(subject: TransformerSubject, prompts: TokenisedPrompts, *asked: Intervention) -> np.ndarray:
    found = subject.run(prompts, asked, vocabulary=True).vocabulary
    assert found is not None
    return found


def without(address: str, replacement: Replacement) -> Intervention:
    return intervene(parse_components(address), replacement)


@pytest.mark.parametrize(
    "address, expected",
    [
        ("L0.H0", 0),
        ("L1.H0", 5),
        ("L1.H1", 7),
        ("L1.H2", 7),
        ("L1.H3", 10),
        ("L2.H0", 7),
        ("L1.H0, L2.H0", -3),
        ("L1.H0, L1.H3", 8),
        ("L0.MLP, L1.MLP, L2.MLP", 7),
    ],
)
def test_zero_ablation_of_planted_heads_costs_what_their_weights_say(
    planted: TransformerSubject, address: str, expected: float
) -> None:
    """Clean: 10 − 3 = 7. Without the previous-token head nothing is found: 0. Without the primary head the flag is
    down and the backup's 8 stands in: 8 − 3 = 5; without both −3. Without the negative head 10. Decoys: 7 stays."""
    prompts = tokenise(make_induction(4, change="query"), planted.tokenizer)
    found = difference(planted, prompts, CLEAN_RUN, without(address, Replacement.ZERO))
    np.testing.assert_allclose(found[0], 7, atol=2e-3)
    np.testing.assert_allclose(found[1], expected, atol=2e-3)


@pytest.mark.parametrize(
    "change, address, expected",
    [
        ("query", "L1.H0", -13),
        ("query", "L1.H3", 13),
        ("query", "L0.H0", 7),
        ("context", "L0.H0", -7),
        ("context", "L1.H1, L1.H2", 7),
        ("context", "L0.H1", 7),
    ],
)
def test_resampling_planted_heads_puts_the_foil_where_the_answer_was(
    planted: TransformerSubject, change: str, address: str, expected: float
) -> None:
    """The primary head then writes 10 to the foil: −10 − 3 = −13; the negative head −3 to the foil: 10 + 3 = 13.
    The previous-token head says nothing new when only the last token changed, and everything when the context did."""
    prompts = tokenise(make_induction(4, change=change), planted.tokenizer)
    found = difference(planted, prompts, CORRUPTED_RUN, without(address, Replacement.RESAMPLE))
    np.testing.assert_allclose(found[0], -7, atol=2e-3)
    np.testing.assert_allclose(found[1], expected, atol=3e-3)


def test_scaling_a_head_moves_the_logit_in_proportion(planted: TransformerSubject) -> None:
    """`A A B =`: even attention over 5 tokens, 20 · (2/5 − 1/5) = 4; times 2.5 is 10, times −1 is −4, halved 2."""
    prompts = tokenise(make_votes(("AAB", "ABB")), planted.tokenizer)
    asked = [intervene([head(0, 1)], Replacement.SCALE, factor=factor) for factor in (1, 2.5, -1, 0.5, 0)]
    np.testing.assert_allclose(difference(planted, prompts, *asked)[:, 0], [4, 10, -4, 2, 0], atol=2e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_scaling_by_one_is_nothing_and_scaling_by_zero_is_zero(family: str, load_family: Load) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (7, 7, 9))
    parts = parse_components("L0.H1, L1.H2@-1, L1.MLP, L2.RESID@3")
    asked = {
        name: [intervene(parts, replacement, factor=factor)]
        for name, replacement, factor in (
            ("once", Replacement.SCALE, 1.0),
            ("none", Replacement.SCALE, 0.0),
            ("zero", Replacement.ZERO, 1.0),
        )
    }
    # Each alone: batches of equal shape round alike, so equality is exact.
    found = {name: all_logits(subject, prompts, *alone) for name, alone in asked.items()}
    clean = all_logits(subject, prompts, CLEAN_RUN)
    assert np.abs(found["once"] - clean).max() == 0
    assert np.abs(found["none"] - found["zero"]).max() == 0
    assert np.abs(found["zero"] - clean).max() > 0.1


def keep(kept: dict[str, torch.Tensor], name: str, value: torch.Tensor, hook: Any) -> None:
    kept[name] = value.detach().clone()


def record(bridge: Any, ids: torch.Tensor, *names: str) -> list[torch.Tensor]:
    kept: dict[str, torch.Tensor] = {}
    bridge.run_with_hooks(ids, fwd_hooks=[(name, partial(keep, kept, name)) for name in names])
    return [kept[name] for name in names]


def forward_minus(bridge: Any, ids: torch.Tensor, name: str, part: torch.Tensor, where: Any = ...) -> np.ndarray:
    """Logits at the last position when `part` is subtracted from an activation."""

    def subtract(value: torch.Tensor, hook: Any) -> torch.Tensor:
        value = value.clone()
        value[where] -= part
        return value

    return bridge.run_with_hooks(ids, fwd_hooks=[(name, subtract)])[0, -1].numpy()


@pytest.mark.parametrize("family", ADDS_TO_RESIDUAL)
def test_zeroing_a_head_takes_its_output_matrix_product_out_of_the_residual_stream(
    family: str, load_family: Load
) -> None:
    """Not a slice of what stands after W_O, where heads are already summed."""
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (8,))
    ids = torch.tensor([prompts.pairs[0].clean_ids])
    heads = subject.components(Kind.HEAD)
    fast = all_logits(subject, prompts, *(intervene([part], Replacement.ZERO) for part in heads))[:, 0]
    with torch.inference_mode():
        for part, found in zip(heads, fast):
            block = f"blocks.{part.layer}"
            (z,) = record(subject.bridge, ids, f"{block}.attn.hook_z")
            written = z[0, :, part.index] @ subject.bridge.blocks[part.layer].attn.W_O[part.index]
            expected = forward_minus(subject.bridge, ids, f"{block}.hook_attn_out", written)
            np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE * np.abs(expected).max())
    clean = all_logits(subject, prompts, CLEAN_RUN)[0, 0]
    assert (np.abs(fast - clean).max(1) > 0.05).all(), "every head of a random model does something"


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", "llama", "qwen3", "gemma2"])
def test_zeroing_an_edge_takes_that_tokens_value_out_and_renormalises_nothing(family: str, load_family: Load) -> None:
    """z at the query loses A[query, key] · v[key]; with grouped keys and values, head h reads group h // 2."""
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (8,))
    ids = torch.tensor([prompts.pairs[0].clean_ids])
    shared = subject.geometry.n_heads // subject.geometry.n_key_value_heads
    looks = subject.attention_to_last(prompts)[0]
    edges = [edge(layer, index, -1, int(looks[layer, index].argmax())) for layer in range(3) for index in range(4)]
    edges += [edge(0, 1, 5, 2), edge(1, 0, 4, 4)]
    fast = all_logits(subject, prompts, *(intervene([part], Replacement.ZERO) for part in edges))[:, 0]
    clean, moved = all_logits(subject, prompts, CLEAN_RUN)[0, 0], []
    with torch.inference_mode():
        for part, found in zip(edges, fast):
            block = f"blocks.{part.layer}.attn"
            pattern, value = record(subject.bridge, ids, f"{block}.hook_pattern", f"{block}.hook_v")
            lost = pattern[0, part.index, part.position, part.key] * value[0, part.key, part.index // shared]
            where = (0, part.position, part.index)
            expected = forward_minus(subject.bridge, ids, f"{block}.hook_z", lost, where)
            np.testing.assert_allclose(found, expected, rtol=0, atol=CLOSE * np.abs(expected).max())
            moved.append(np.abs(found - clean).max())
    assert np.median(moved) > 0.02


def test_every_position_together_is_the_whole_head(load_family: Load) -> None:
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, (6, 6))
    apart = Intervention(tuple(Edit(head(1, 2, at), Replacement.RESAMPLE) for at in range(7)))
    whole = intervene([head(1, 2)], Replacement.RESAMPLE)
    assert (all_logits(subject, prompts, apart) == all_logits(subject, prompts, whole)).all()


def test_a_negative_position_counts_from_the_end_of_each_prompt(load_family: Load) -> None:
    subject = load_family("mistral")
    for length in (6, 9):
        prompts = tokenise_letters(subject.tokenizer, (length, length))
        pairs = [(head(1, 0, -1), head(1, 0, length)), (resid(1, -3), resid(1, length - 2))]
        for from_end, from_start in pairs:
            found = [
                all_logits(subject, prompts, intervene([part], Replacement.ZERO)) for part in (from_end, from_start)
            ]
            assert (found[0] == found[1]).all()
            assert np.abs(found[0] - all_logits(subject, prompts, CLEAN_RUN)).max() > 0.05


@pytest.mark.parametrize("family", FAMILIES)
def test_in_the_last_layer_only_the_answer_position_counts(family: str, load_family: Load) -> None:
    subject = load_family(family)
    prompts, last = tokenise_letters(subject.tokenizer, (6, 6)), subject.geometry.n_layers - 1
    clean = all_logits(subject, prompts, CLEAN_RUN)
    for part in (head(last, 1), Component(last, Kind.MLP)):
        at = {where: Component(part.layer, part.kind, part.index, where) for where in (3, -1)}
        found = {w: all_logits(subject, prompts, intervene([p], Replacement.ZERO)) for w, p in at.items()}
        # Only the later positions are run, in products of another shape: rounding may differ, and no more.
        np.testing.assert_allclose(found[3], clean, rtol=0, atol=1e-5)
        assert np.abs(found[-1] - clean).max() > 0.02


@pytest.mark.parametrize("family", FAMILIES)
def test_putting_everything_back_restores_exactly_the_gap(family: str, load_family: Load) -> None:
    """Denoising every position of the stream that enters layer 0 is the clean run; noising it is the corrupted one.
    Heads and MLPs without the embedding are not everything: the residual stream carries the corrupted words past them."""
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (6, 6, 8, 9))
    parts = [*subject.components(Kind.HEAD), *subject.components(Kind.MLP)]
    everything = {
        name: [
            intervene(found, Replacement.RESAMPLE, direction=direction)
            for direction in (Direction.DENOISING, Direction.NOISING)
        ]
        for name, found in (("stream", [resid(0)]), ("all", [resid(0), *parts]), ("parts", parts))
    }
    clean, corrupted = (all_logits(subject, prompts, run)[0] for run in (CLEAN_RUN, CORRUPTED_RUN))
    for name in ("stream", "all"):
        restored, destroyed = all_logits(subject, prompts, *everything[name])
        np.testing.assert_allclose(restored, clean, rtol=0, atol=1e-4)
        np.testing.assert_allclose(destroyed, corrupted, rtol=0, atol=1e-4)
    assert np.abs(clean - corrupted).max() > 0.5
    restored, _ = all_logits(subject, prompts, *everything["parts"])
    assert np.abs(restored - clean).max() > 0.02


def test_an_edge_that_looks_ahead_is_refused_and_not_reported_as_without_effect(load_family: Load) -> None:
    """The mask makes its weight zero, so replacing it would change nothing and look like a finding."""
    from audit_core.component import edge
    from audit_core.errors import InterventionRefused

    subject = load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, (6,))
    with pytest.raises(InterventionRefused, match="attends to a later token"):
        subject.run(prompts, [intervene([edge(0, 1, 2, 4)], Replacement.ZERO)])
    subject.run(prompts, [intervene([edge(0, 1, 4, 2)], Replacement.ZERO)])
