"""Edits of features in the wavefront, against one whole forward pass per intervention, token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from toy.prompts import tokenise_letters

from audit_core.component import Kind, resid
from audit_core.features import Dictionary
from audit_core.intervention import Edit, Intervention, PromptSide, Replacement, intervene
from audit_core.subjects.transformer import TransformerSubject

LAYER, N = 1, 6
SETTINGS = [
    (Replacement.ZERO, 1.0), (Replacement.SCALE, -1.5), (Replacement.SET, 0.7), (Replacement.ADD, 0.7),
    (Replacement.RESAMPLE, 1.0), (Replacement.IDENTITY, 1.0),
]  # fmt: skip


def draw_dictionary_of(subject: TransformerSubject, rows: Sequence[Sequence[int]]) -> Dictionary:
    """Random encoders and decoders; each feature is active on half of the tokens, and the longest token is not read."""
    draw, size = np.random.default_rng(3), subject.geometry.d_model
    x = np.concatenate(subject.read_stream([tuple(row) for row in rows], LAYER))
    encoder, decoder = (draw.normal(size=(N, size)).astype(np.float32) for _ in range(2))
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    bias = -np.quantile(x @ encoder.T, 0.5, axis=0).astype(np.float32)
    longest = float(np.quantile(np.linalg.norm(x, axis=1), 0.9))
    return Dictionary(LAYER, encoder, bias, np.full(N, 0.01, np.float32), decoder, np.zeros(size, np.float32), longest)


def read_value(x: np.ndarray, edit: Edit, at: int = 0) -> float:
    block = edit.block
    value = float(np.dot(x, block.encoder[at])) + float(block.bias[at])
    return value if value > block.threshold[at] and np.linalg.norm(x) <= block.longest else 0.0


def run_whole(subject: TransformerSubject, own: Sequence[int], other: Sequence[int], edit: Edit) -> np.ndarray:
    """Logits of the last position, by one forward pass with the feature replaced one token after the other."""
    name, position = f"blocks.{LAYER}.hook_resid_pre", edit.component.position
    source = subject.read_stream([tuple(other)], LAYER)[0]

    def replace(value: torch.Tensor, hook: Any) -> torch.Tensor:
        value = value.clone()
        for at in range(value.shape[1]) if position is None else [position % value.shape[1]]:
            x = value[0, at].numpy()
            if np.linalg.norm(x) > edit.block.longest:
                continue
            now = read_value(x, edit)
            put = {
                Replacement.ZERO: 0.0, Replacement.SCALE: edit.factor * now, Replacement.SET: edit.factor,
                Replacement.ADD: now + edit.factor, Replacement.RESAMPLE: read_value(source[at], edit),
                Replacement.IDENTITY: now,
            }[edit.replacement]  # fmt: skip
            value[0, at] += torch.tensor((put - now) * edit.block.decoder[0], dtype=value.dtype)
        return value

    with torch.inference_mode():
        found: np.ndarray = subject.bridge.run_with_hooks(torch.tensor([list(own)]), fwd_hooks=[(name, replace)])[
            0, -1
        ].numpy()
    return found


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_an_edited_feature_gives_what_a_whole_forward_pass_gives(
    family: str, load_family: Callable[[str], TransformerSubject]
) -> None:
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, (6, 9) * 2)
    dictionary = draw_dictionary_of(subject, [pair.clean_ids for pair in prompts.pairs])
    edits = [
        dictionary.edit(at, how, factor=factor, position=position)
        for at, (how, factor) in enumerate(SETTINGS)
        for position in (None, -2)
    ]
    asked = [Intervention((edit,), side) for edit in edits for side in PromptSide]
    plain = subject.run(prompts, [Intervention((), side) for side in PromptSide], vocabulary=True).vocabulary
    fast = subject.run(prompts, asked, vocabulary=True).vocabulary
    assert fast is not None
    assert plain is not None
    for number, intervention in enumerate(asked):
        for at, pair in enumerate(prompts.pairs):
            both = (pair.clean_ids, pair.corrupted_ids)
            own, other = both if intervention.side is PromptSide.CLEAN else both[::-1]
            slow = run_whole(subject, own, other, intervention.edits[0])
            np.testing.assert_allclose(fast[number, at], slow, rtol=0, atol=1e-4 * np.abs(slow).max())
    # Every replacement but the feature's own value moves something, or the comparison above compares nothing.
    for number, intervention in enumerate(asked):
        moved = np.abs(fast[number] - plain[int(intervention.side is PromptSide.CORRUPTED)]).max()
        assert (moved > 1e-4) == (intervention.edits[0].replacement is not Replacement.IDENTITY)


def test_named_features_are_read_together_and_kept_in_a_stream_that_is_replaced(
    load_family: Callable[[str], TransformerSubject],
) -> None:
    """Two features whose encoders overlap: reading the second after the first edit would give another value."""
    plain = load_family("llama")
    prompts = tokenise_letters(plain.tokenizer, (6, 6))
    dictionary = draw_dictionary_of(plain, [pair.clean_ids for pair in prompts.pairs])
    subject, parts = plain.with_dictionary(dictionary, "drawn"), [dictionary.component(at) for at in (0, 3)]
    means = subject.capture_means(prompts, kinds=[Kind.FEATURE, Kind.RESID])
    stream = Edit(resid(LAYER), Replacement.RESAMPLE)
    asked = [
        intervene(parts, Replacement.ZERO), intervene(parts, Replacement.MEAN), intervene(parts, Replacement.RESAMPLE),
        Intervention((stream, *(Edit(part, Replacement.IDENTITY) for part in parts))),
    ]  # fmt: skip
    fast = subject.run(prompts, asked, means=means, vocabulary=True).vocabulary
    for at, pair in enumerate(prompts.pairs):
        own, other = (
            plain.read_stream([ids], LAYER)[0].astype(np.float64) for ids in (pair.clean_ids, pair.corrupted_ids)
        )
        values, others = dictionary.encode(own)[:, [0, 3]], dictionary.encode(other)[:, [0, 3]]
        is_read, stays = (np.linalg.norm(x, axis=1, keepdims=True) <= dictionary.longest for x in (own, other))
        both = dictionary.decoder[[0, 3]]
        wanted = [
            own + is_read * (0 - values) @ both,
            own + is_read * (means.features[[0, 3]] - values) @ both,
            own + is_read * (others - values) @ both,
            other + stays * (values - others) @ both,
        ]  # fmt: skip
        for number, entering in enumerate(wanted):
            put = torch.tensor(entering[None], dtype=torch.float32)
            with torch.inference_mode():
                slow = plain.bridge.run_with_hooks(
                    torch.tensor([list(pair.clean_ids)]),
                    fwd_hooks=[(f"blocks.{LAYER}.hook_resid_pre", lambda value, hook, put=put: put)],
                )[0, -1].numpy()
            np.testing.assert_allclose(fast[number, at], slow, rtol=0, atol=1e-4 * np.abs(slow).max())
    texts = [ids for pair in prompts.pairs for ids in (pair.clean_ids, pair.corrupted_ids)]
    read = np.concatenate([one[1:] for one in plain.read_stream(texts, LAYER)])
    np.testing.assert_allclose(means.features, dictionary.encode(read).mean(0), rtol=1e-5)
