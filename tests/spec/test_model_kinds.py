"""Models that are no causal decoder: refused by what they are; models of mixed layers: audited on the layers that attend."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from agreement.literal import LiteralRunner
from toy.models import BOS, LETTERS, RECURRENT, build_random, load, save_tokenizer
from toy.prompts import tokenise_letters

from audit_core.attention.plausibility import Source
from audit_core.audits.attention import PLUGIN as ATTENTION
from audit_core.audits.attention import AttentionRequest
from audit_core.audits.attention_tests import PLUGIN as ATTENTION_TESTS
from audit_core.audits.attention_tests import AttentionTestsRequest
from audit_core.audits.sweep import PLUGIN as SWEEP
from audit_core.audits.sweep import SweepRequest
from audit_core.component import Component, Kind
from audit_core.engine.gradients import get_runner
from audit_core.engine.senders import check_paths
from audit_core.errors import InterventionRefused, ModelRefused, PromptRefused, Refused
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Replacement, intervene
from audit_core.subjects.transformer import TransformerSubject

SIZES = {
    "vocab_size": len(LETTERS) + 1, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
    "num_attention_heads": 4, "max_position_embeddings": 64, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0,
}  # fmt: skip
ATTENDING = 1


def save(folder: Path, kind: str, auto: str = "AutoModelForCausalLM", **config: Any) -> Path:
    """A random model of any kind, with a tokenizer of letters."""
    import torch
    import transformers

    torch.manual_seed(0)
    model = getattr(transformers, auto).from_config(transformers.AutoConfig.for_model(kind, **config)).eval()
    with torch.no_grad():
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.normal_(0, 0.22)
    model.save_pretrained(folder)
    save_tokenizer(folder, [BOS, *LETTERS])
    return folder


BART = {
    "vocab_size": 40, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 32,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "decoder_start_token_id": 2,
}  # fmt: skip
VIT = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 4, "image_size": 16}
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "bert": ("AutoModelForMaskedLM", "masked language model", SIZES),
    "roberta": ("AutoModelForMaskedLM", "masked language model", SIZES),
    "electra": ("AutoModelForCausalLM", "masked language model", SIZES),
    "bart": ("AutoModelForSeq2SeqLM", "encoder–decoder", BART),
    "vit": ("AutoModelForImageClassification", "image model", VIT),
    "rwkv": ("AutoModelForCausalLM", "recurrent", {"vocab_size": 40, "hidden_size": 32, "num_hidden_layers": 2}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_is_no_causal_decoder_is_refused_by_what_it_is(kind: str, tmp_path: Path) -> None:
    auto, what, config = KINDS[kind]
    with pytest.raises(ModelRefused, match=what):
        load(save(tmp_path, kind, auto, **config))


def test_a_recurrent_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="recurrent model"):
        load(build_random(RECURRENT, tmp_path))


def test_a_model_that_looks_ahead_is_found_by_its_logits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its config says of it: here the check by kind is taken away."""
    import audit_core.subjects.transformer as transformer

    monkeypatch.setattr(transformer, "check_kind", lambda config: None)
    with pytest.raises(ModelRefused, match="later tokens change"):
        load(save(tmp_path, "bert", **SIZES))


def test_a_bridge_that_computes_another_model_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Falcon's new decoder with as many key heads as heads: the sizes fit, and every head would be another."""
    import audit_core.subjects.transformer as transformer

    config = {"vocab_size": 40, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "num_kv_heads": 4}
    folder = save(tmp_path, "falcon", new_decoder_architecture=True, multi_query=False, **config)
    with pytest.raises(ModelRefused, match="group by group"):
        load(folder)
    monkeypatch.setattr(transformer, "check_kind", lambda config: None)
    with pytest.raises(ModelRefused, match="different logits from the model itself"):
        load(folder)


@pytest.mark.parametrize("own", [{"multi_query": True}, {"multi_query": False}])
def test_a_falcon_of_the_older_decoder_is_audited(own: dict[str, bool], tmp_path: Path) -> None:
    config = {"vocab_size": 40, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    subject = load(save(tmp_path, "falcon", new_decoder_architecture=False, **config, **own))
    assert len(subject.components(Kind.HEAD)) == 8


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("mpt", {"vocab_size": 40, "d_model": 64, "n_layers": 1, "n_heads": 4, "max_seq_len": 12}),
        ("gptj", {"vocab_size": 40, "n_embd": 64, "n_layer": 1, "n_head": 4, "rotary_dim": 8, "n_positions": 12}),
    ],
)
def test_the_longest_input_is_known_under_every_name_that_it_has(
    kind: str, config: dict[str, Any], tmp_path: Path
) -> None:
    """Beyond it, the tables of MPT end in an error of torch, and learned positions in one of an index."""
    subject = load(save(tmp_path, kind, **config))
    with pytest.raises(PromptRefused, match="at most 12 on this model"):
        tokenise_letters(subject.tokenizer, (15, 15))
    assert np.isfinite(subject.run(tokenise_letters(subject.tokenizer, (9, 9)), [CLEAN_RUN]).answer).all()


@pytest.fixture(scope="module")
def hybrid(tmp_path_factory: pytest.TempPathFactory) -> TransformerSubject:
    own = {"num_key_value_heads": 2, "layer_types": ["conv", "full_attention", "conv"]}
    found: TransformerSubject = load(save(tmp_path_factory.mktemp("lfm2"), "lfm2", **SIZES, **own))
    return found


def test_a_hybrid_model_has_the_heads_of_the_layers_that_attend(hybrid: TransformerSubject) -> None:
    heads = hybrid.components(Kind.HEAD)
    assert {str(head) for head in heads} == {f"L{ATTENDING}.H{index}" for index in range(4)}
    assert {part.layer for part in hybrid.components(Kind.MLP)} == {0, 1, 2}
    prompts = tokenise_letters(hybrid.tokenizer, (6, 6))
    asked = [
        intervene([head], way) for head in heads for way in (Replacement.ZERO, Replacement.RESAMPLE, Replacement.MEAN)
    ]
    found = hybrid.run(prompts, asked, means=hybrid.capture_means(prompts), vocabulary=True)
    assert found.vocabulary is not None
    plain = [edit for edit in asked if Replacement.MEAN not in edit.replacements]
    rows = [at for at, edit in enumerate(asked) if edit in plain]
    literal = LiteralRunner(hybrid.bridge, prompts).run(prompts, plain)
    np.testing.assert_allclose(found.vocabulary[rows], literal, rtol=0, atol=1e-4)
    assert np.isfinite(found.vocabulary).all()


def test_a_sweep_of_a_hybrid_model_passes_its_controls(hybrid: TransformerSubject) -> None:
    prompts = tokenise_letters(hybrid.tokenizer, (6, 6))
    request = SweepRequest(prompts, prompts, Kind.HEAD)
    result = SWEEP.run(hybrid, request, means=None, on_progress=lambda *_: None)
    assert [cell.component for cell in result.cells] == [str(head) for head in hybrid.components(Kind.HEAD)]


def test_attention_of_a_layer_without_heads_is_no_number(hybrid: TransformerSubject) -> None:
    prompts = tokenise_letters(hybrid.tokenizer, (6, 6))
    result = ATTENTION.run(hybrid, AttentionRequest(prompts, Source.LAST), means=None, on_progress=lambda *_: None)
    there = [at // result.n_heads for at, mass in enumerate(result.mass) if mass is not None]
    assert set(there) == {ATTENDING}
    assert [at for at, spread in enumerate(result.entropy) if spread is not None] == [4, 5, 6, 7]
    pattern = hybrid.patterns(prompts.pairs[0], intervene([Component(ATTENDING, Kind.HEAD, 0)], Replacement.ZERO))
    assert np.isnan(pattern[[0, 2]]).all()
    np.testing.assert_allclose(pattern[ATTENDING].sum(-1), 1, atol=1e-5)
    assert np.isnan(hybrid.patterns(prompts.pairs[0], CLEAN_RUN)[0]).all()


def test_attention_itself_is_tested_on_the_heads_that_a_hybrid_model_has(hybrid: TransformerSubject) -> None:
    many = tokenise_letters(hybrid.tokenizer, (6,) * 60)
    found = hybrid.run(many, [CLEAN_RUN, CORRUPTED_RUN])
    clean, corrupted = (found.answer - found.foil)[:2]
    prompts = many.take([int(at) for at in np.flatnonzero((clean > 0.3) & (clean - corrupted > 0.6))])
    request, means = AttentionTestsRequest(prompts, prompts), hybrid.capture_means(prompts)
    result = ATTENTION_TESTS.run(hybrid, request, means=means, on_progress=lambda *_: None)
    assert [test.head for test in result.patterns] == [f"L{ATTENDING}.H{index}" for index in range(4)]
    assert {found.over for found in result.comparisons} == {"heads"}
    assert "Token views: layers 0, 2 have no heads and mix tokens in another way." in result.not_tested
    assert "NaN" not in json.dumps(asdict(result), default=str)


@pytest.mark.parametrize("way", [Replacement.ZERO, Replacement.RESAMPLE, Replacement.MEAN])
def test_a_head_of_a_layer_without_heads_is_refused(way: Replacement, hybrid: TransformerSubject) -> None:
    prompts, edit = tokenise_letters(hybrid.tokenizer, (6, 6)), intervene([Component(0, Kind.HEAD, 0)], way)
    means = hybrid.capture_means(prompts)
    with pytest.raises(InterventionRefused, match=r"layers with it: 1\."):
        hybrid.run(prompts, [edit], means=means)
    with pytest.raises(InterventionRefused, match="no hook"):
        hybrid.patterns(prompts.pairs[0], edit, means=means)
    with pytest.raises(InterventionRefused, match="no hook"):
        hybrid.activation_change_rms(prompts, [Component(0, Kind.HEAD, 0)], way, means=means)


def test_gradients_and_paths_of_a_hybrid_model_are_refused(
    hybrid: TransformerSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Refused, match="without an estimator"):
        get_runner(hybrid)
    monkeypatch.setattr(hybrid.runner, "fallback", "")
    with pytest.raises(Refused, match="only 1 of 3 layers of this model have attention"):
        get_runner(hybrid)
    with pytest.raises(Refused, match="Only 1 of 3 layers have"):
        check_paths(hybrid.runner)
