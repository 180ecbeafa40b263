"""Checkpoints whose tensors are not those of the model that config.json describes: refused with the names, never filled in."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from toy.models import BOS, LETTERS, build_random, load, save_tokenizer

from audit_core.errors import ModelRefused
from audit_core.models.tensors import StoredTensor

WEIGHTS = "model.safetensors"
Tensors = dict[str, np.ndarray]
Q = "model.layers.1.self_attn.q_proj.weight"
EXPERT = "model.layers.0.mlp.experts.0.down_proj.weight"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    known: dict[str, Path] = {}

    def build(family: str) -> Path:
        if family not in known:
            known[family] = build_random(family, tmp_path_factory.mktemp(family))
        return known[family]

    return build


def change(folder: Path, edit: Callable[[Tensors], Tensors] = lambda it: it, **config: object) -> Path:
    found = {name: np.ascontiguousarray(it) for name, it in edit(load_file(folder / WEIGHTS)).items()}
    save_file(found, folder / WEIGHTS, metadata={"format": "pt"})
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return folder


def drop(*names: str) -> Callable[[Tensors], Tensors]:
    return lambda found: {name: it for name, it in found.items() if name not in names}


def add(name: str, *shape: int, dtype: str = "float32") -> Callable[[Tensors], Tensors]:
    return lambda found: found | {name: np.ones(shape, dtype)}


def rename(old: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda found: {name.replace(old, new): it for name, it in found.items()}


def reshape(name: str) -> Callable[[Tensors], Tensors]:
    return lambda found: found | {name: found[name][:-8]}


def store_twice(found: Tensors) -> Tensors:
    return found | {"wte.weight": found["transformer.wte.weight"] + 1}


WRONG: dict[str, tuple[str, Callable[[Tensors], Tensors], str]] = {
    "a matrix is missing": ("llama", drop(Q), Q),
    "a norm is missing": ("llama", drop("model.norm.weight"), "model.norm.weight"),
    "the output matrix is missing and not tied": ("llama", drop("lm_head.weight"), "lm_head.weight"),
    "the tied matrix is missing": ("gpt2", drop("transformer.wte.weight"), "wte.weight"),
    "a bias is missing": ("gpt2", drop("transformer.h.0.mlp.c_fc.bias"), "h.0.mlp.c_fc.bias"),
    "a matrix is renamed": ("llama", rename("layers.1.self_attn.q_proj", "layers.1.self_attn.query"), "self_attn.query"),
    "a matrix has another shape": ("llama", reshape(Q), Q),
    "an adapter is left in": ("llama", add(Q.replace("weight", "lora_A.weight"), 4, 64), "lora_A"),
    "a layer has a bias that the model lacks": ("llama", add(Q.replace("weight", "bias"), 64), "q_proj.bias"),
    "a head of another task is left in": ("llama", add("score.weight", 2, 64), "score.weight"),
    "a layer too many": ("llama", add("model.layers.3.input_layernorm.weight", 64), "layers.3"),
    "a causal mask of a wrong shape": ("gpt2", add("transformer.h.0.attn.bias", 64), "attn.bias"),
    "one tensor under two names": ("gpt2", store_twice, "wte.weight"),
    "weights that are whole numbers": ("llama", lambda it: it | {Q: it[Q].astype("int8")}, "I8"),
    "an expert is missing": ("mixtral", lambda it: {n: v for n, v in it.items() if n != pick_expert(it)}, "experts"),
}  # fmt: skip


def pick_expert(found: Tensors) -> str:
    return sorted(name for name in found if "experts" in name)[0]


@pytest.mark.parametrize("fault", WRONG)
def test_a_checkpoint_that_does_not_hold_the_model_is_refused_with_the_name(
    fault: str, built: Callable[[str], Path], tmp_path: Path
) -> None:
    family, edit, named = WRONG[fault]
    folder = change(shutil.copytree(built(family), tmp_path / "model"), edit)
    with pytest.raises(ModelRefused) as refused:
        load(folder)
    assert named in refused.value.found


def test_names_that_the_model_class_ignores_in_the_report_are_refused(
    built: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`_keys_to_ignore_on_load_*` empties the public report; the check does not rest on it."""
    from transformers import LlamaForCausalLM

    monkeypatch.setattr(LlamaForCausalLM, "_keys_to_ignore_on_load_unexpected", [r"mtp"])
    monkeypatch.setattr(LlamaForCausalLM, "_keys_to_ignore_on_load_missing", [r"q_proj"])
    more = change(shutil.copytree(built("llama"), tmp_path / "more"), add("mtp.head.weight", 8, 64))
    with pytest.raises(ModelRefused, match="mtp"):
        load(more)
    less = change(shutil.copytree(built("llama"), tmp_path / "less"), drop(Q))
    with pytest.raises(ModelRefused, match="q_proj"):
        load(less)


def test_a_tied_config_with_another_output_matrix_stored_is_refused(
    built: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = change(shutil.copytree(built("llama"), tmp_path / "model"), tie_word_embeddings=True)
    with pytest.raises(ModelRefused, match=r"differ in the files: lm_head\.weight"):
        load(folder)


def put(name: str, value: object, dtype: str = "float32") -> Callable[[Tensors], Tensors]:
    return lambda found: found | {name: np.asarray(value, dtype)}


MASK, FREQUENCIES = "transformer.h.0.attn.bias", "model.layers.0.self_attn.rotary_emb.inv_freq"
TRIANGLE = np.tril(np.ones((1, 1, 32, 32)))
ROTARY = 10_000.0 ** -(np.arange(8) / 8)


def test_what_no_parameter_depends_on_may_be_left_over(built: Callable[[str], Path], tmp_path: Path) -> None:
    """Masks of GPT-2, rotary frequencies of each layer, and an embedding stored under both tied names."""
    masks = shutil.copytree(built("gpt2"), tmp_path / "masks")
    change(masks, put(MASK, TRIANGLE, "uint8"))
    change(masks, put("transformer.h.1.attn.bias", TRIANGLE))
    change(masks, put("transformer.h.0.attn.masked_bias", -1e4))
    change(masks, lambda found: found | {"lm_head.weight": found["transformer.wte.weight"]})
    # As the first releases of GPT-2 name them.
    change(masks, lambda found: {n.removeprefix("transformer."): v for n, v in found.items()})
    assert not load(masks).fallback
    rotary = shutil.copytree(built("llama"), tmp_path / "rotary")
    assert not load(change(rotary, put(FREQUENCIES, ROTARY, "float16"))).fallback


UNLIKE: dict[str, tuple[str, Callable[[Tensors], Tensors], str]] = {
    "a mask that lets later tokens through": ("gpt2", put(MASK, np.ones((1, 1, 32, 32)), "uint8"), "attn.bias"),
    "a mask that hides a token more": ("gpt2", put(MASK, np.tril(np.ones((1, 1, 32, 32)), -1)), "attn.bias"),
    "a value that masks nothing": ("gpt2", put("transformer.h.0.attn.masked_bias", 0.0), "masked_bias"),
    "frequencies of another base": ("llama", put(FREQUENCIES, 5e5 ** -(np.arange(8) / 8)), "inv_freq"),
    "frequencies of half the size": ("llama", put(FREQUENCIES, ROTARY / 2, "float16"), "inv_freq"),
    "positions in another order": ("llama", put("model.position_ids", np.arange(64)[None, ::-1], "int64"), "position_ids"),
}  # fmt: skip


@pytest.mark.parametrize("fault", UNLIKE)
def test_values_left_over_that_the_model_would_compute_otherwise_are_refused(
    fault: str, built: Callable[[str], Path], tmp_path: Path
) -> None:
    family, edit, named = UNLIKE[fault]
    with pytest.raises(ModelRefused, match="differ from those that the model computes") as refused:
        load(change(shutil.copytree(built(family), tmp_path / "model"), edit))
    assert named in refused.value.found


def test_the_masks_of_local_attention_are_compared_with_the_models_own(tmp_path: Path) -> None:
    """GPT-Neo: a layer of local attention has another mask than a layer of global attention."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    own = {"attention_types": [[["global", "local"], 1]], "window_size": 3, "num_layers": 2, "num_heads": 4}
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("gpt_neo", vocab_size=40, hidden_size=64, **own))
    masks = [block.attn.attention.bias.to(torch.uint8).numpy() for block in model.transformer.h]
    model.save_pretrained(tmp_path)
    save_tokenizer(tmp_path, [BOS, *LETTERS])
    for at, mask in enumerate(masks):
        change(tmp_path, put(f"transformer.h.{at}.attn.attention.bias", mask, "uint8"))
    assert load(tmp_path)
    change(tmp_path, put("transformer.h.1.attn.attention.bias", masks[0], "uint8"))
    with pytest.raises(ModelRefused, match=r"h\.1\.attn"):
        load(tmp_path)


@pytest.mark.parametrize("config", [{"num_attention_heads": 8}, {"num_hidden_layers": 3, "hidden_size": 32}])
def test_a_setting_with_two_names_and_two_values_is_refused(
    config: dict[str, object], built: Callable[[str], Path], tmp_path: Path
) -> None:
    """GPT-2 calls its heads `n_head`; transformers takes whichever name comes later."""
    with pytest.raises(ModelRefused, match=r"two names of one setting|declares a width"):
        load(change(shutil.copytree(built("gpt2"), tmp_path / "model"), **config))
    agreeing = {"num_attention_heads": 4, "n_head": 4, "num_hidden_layers": 3}
    assert load(change(shutil.copytree(built("gpt2"), tmp_path / "same"), **agreeing))


def test_an_adapters_weights_beside_a_model_are_refused(built: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(built("llama"), tmp_path / "model")
    save_file({"lora_A": np.ones((4, 64), "float32")}, folder / "adapter_model.safetensors")
    with pytest.raises(ModelRefused, match="contains an adapter"):
        load(folder)


def test_two_sets_of_weights_in_one_folder_are_refused(built: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(built("llama"), tmp_path / "model")
    where = split(folder)
    shutil.copy(built("llama") / WEIGHTS, folder / WEIGHTS)
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": where}))
    with pytest.raises(ModelRefused, match="two sets of weights"):
        load(folder)


SIZES: list[dict[str, object]] = [
    {"num_hidden_layers": 1}, {"num_hidden_layers": 10**6}, {"num_hidden_layers": 4}, {"vocab_size": 10**9},
    {"hidden_size": 10**9}, {"hidden_size": 32}, {"intermediate_size": 10**9}, {"num_attention_heads": 0},
    {"num_attention_heads": -4}, {"num_attention_heads": [4, 2, 4]}, {"num_hidden_layers": "3"}, {"hidden_size": None},
    {"vocab_size": 1e30}, {"num_hidden_layers": True}, {"num_labels": 10**12}, {"head_dim": 0}, {"hidden_act": "none"},
    {"rope_parameters": {"rope_type": "yarn"}}, {"pad_token_id": 10**6}, {"rms_norm_eps": "x"}, {"model_type": "none"},
    {"model_type": 3}, {"architectures": "Llama"}, {"architectures": ["LlamaForSequenceClassification"]},
    {"quantization_config": {"quant_method": "gptq", "bits": 4}}, {"quantization_config": []},
    {"_attn_implementation": "somebody/kernel"},
    {"_attn_implementation": "sdpa"},
    {"attn_implementation": "flash_attention_2"},
    {"_experts_implementation": "a/b"}, {"attn_implementation": {"": "x/y@main:z"}},
    {"text_config": {"_attn_implementation": "a/b"}}, {"kernel_config": {"a": 1}}, {"fusion_config": {"a": True}},
]  # fmt: skip


@pytest.mark.parametrize("config", SIZES, ids=lambda config: json.dumps(config)[:50])
def test_a_config_that_cannot_be_is_refused_and_nothing_large_is_made(
    config: dict[str, object], built: Callable[[str], Path], tmp_path: Path
) -> None:
    with pytest.raises(ModelRefused):
        load(change(shutil.copytree(built("llama"), tmp_path / "model"), **config))


@pytest.mark.parametrize(
    "content", [b"", b"null", b"[]", b"{}", b'{"model": {"type": "none"}}', b"\xff\xfe", b"[" * 99_999]
)
def test_a_broken_tokenizer_is_a_refusal(content: bytes, built: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(built("llama"), tmp_path / "model")
    (folder / "tokenizer.json").write_bytes(content)
    with pytest.raises(ModelRefused):
        load(folder)


def split(folder: Path) -> dict[str, str]:
    """Two shards and their index; the weight map."""
    found = load_file(folder / WEIGHTS)
    (folder / WEIGHTS).unlink()
    where = {name: f"model-0000{1 + at % 2}-of-00002.safetensors" for at, name in enumerate(sorted(found))}
    for shard in set(where.values()):
        save_file({n: v for n, v in found.items() if where[n] == shard}, folder / shard, metadata={"format": "pt"})
    return where


@pytest.mark.parametrize("way", ["right", "names one more", "names one less", "names the other shard"])
def test_an_index_and_its_shards_hold_the_same_tensors(way: str, built: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(built("llama"), tmp_path / "model")
    where = split(folder)
    if way == "names one more":
        where["model.extra.weight"] = where[Q]
    elif way == "names one less":
        del where[Q]
    elif way == "names the other shard":
        where[Q] = next(shard for shard in where.values() if shard != where[Q])
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    if way == "right":
        assert not load(folder).fallback
    else:
        with pytest.raises(ModelRefused, match="extra" if way == "names one more" else "q_proj"):
            load(folder)


def test_the_check_that_is_not_reached_refuses(built: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Another release of transformers may load by another way: then nothing was checked, and nothing is measured."""
    from transformers import PreTrainedModel

    from audit_core.engine.checkpoint import check_against_files

    tensors: dict[str, StoredTensor] = {}
    before = PreTrainedModel._load_pretrained_model
    with pytest.raises(ModelRefused, match="not read through"), check_against_files(built("llama"), tensors):
        pass
    assert PreTrainedModel._load_pretrained_model is before
