"""Two model folders compared: which tensor, which head, which setting; by hand on folders of a few numbers."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from toy.versions import Tensors, copy_model, edit_json, silence_head

from audit_core.change.model_diff import ModelDiff, TensorChange, compare_models
from audit_core.errors import ModelRefused
from audit_core.models import tensors as stored
from audit_core.models.layout import HeadLayout, read_layout, split_tensor
from audit_core.models.tensors import list_tensors, measure_distance
from audit_core.subjects.planted import find_planted

CONFIG = {
    "model_type": "llama", "hidden_size": 8, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 1,
    "vocab_size": 3,
}  # fmt: skip
"""Four heads of two dimensions; heads 0 and 1 share a key and a value, 2 and 3 the other."""
ATTENTION = "model.layers.0.self_attn."


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A grouped-query model of a few numbers; nobody could run it, and nobody has to."""
    folder = tmp_path / "v1"
    folder.mkdir()
    draw = np.random.default_rng(0)

    def make(*shape: int) -> np.ndarray:
        return draw.normal(size=shape).astype(np.float32)

    tensors = {
        f"{ATTENTION}q_proj.weight": make(8, 8),
        f"{ATTENTION}k_proj.weight": make(4, 8),
        f"{ATTENTION}v_proj.weight": make(4, 8),
        f"{ATTENTION}o_proj.weight": make(8, 8),
        f"{ATTENTION}o_proj.bias": make(8),
        "model.layers.0.mlp.gate_proj.weight": make(3, 8),
        "model.layers.0.block_sparse_moe.experts.2.w1.weight": make(3, 8),
        "model.layers.0.input_layernorm.weight": make(8),
        "model.embed_tokens.weight": make(3, 8),
    }
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(CONFIG))
    vocabulary = {"a": 0, "b": 1, "c": 2}
    (folder / "tokenizer.json").write_text(
        json.dumps(
            {"normalizer": None, "added_tokens": [], "model": {"type": "BPE", "vocab": vocabulary, "merges": []}}
        )
    )
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": "a", "chat_template": "{{ x }}"}))
    return folder


def change(tiny: Path, name: str, at: tuple[int | slice, ...] | int, value: float = 7.0) -> ModelDiff:
    def edit(tensors: Tensors) -> None:
        tensors[name][at] = value

    return compare_models(tiny, copy_model(tiny, tiny.parent / "v2", edit))


def test_a_copy_elsewhere_is_the_same(tiny: Path) -> None:
    found = compare_models(tiny, copy_model(tiny, tiny.parent / "v2"))
    assert found.is_same
    assert (found.n_tensors, found.n_changed, found.files, found.components, found.settings) == (9, 0, (), (), ())
    assert found.tokenizer.is_same_but_template
    assert not found.tokenizer.has_other_template


@pytest.mark.parametrize(
    ("tensor", "at", "named"),
    [
        # Rows 4 and 5 of the queries are head 2's; columns 4 and 5 of the output likewise.
        ("q_proj.weight", (5, 0), {"L0.H2": ("query",)}),
        ("o_proj.weight", (0, 5), {"L0.H2": ("output",)}),
        # Rows 2 and 3 of keys and values serve heads 2 and 3.
        ("k_proj.weight", (1, 0), {"L0.H0": ("key",), "L0.H1": ("key",)}),
        ("v_proj.weight", (2, 7), {"L0.H2": ("value",), "L0.H3": ("value",)}),
        ("o_proj.bias", (0,), {"L0.attention": ("shared",)}),
    ],
)
def test_a_number_of_attention_is_laid_to_the_heads_that_compute_with_it(
    tiny: Path, tensor: str, at: tuple[int, ...], named: dict[str, tuple[str, ...]]
) -> None:
    found = change(tiny, ATTENTION + tensor, at)
    assert {one.component: one.parts for one in found.components} == named
    assert [row.name for row in found.tensors] == [ATTENTION + tensor]
    assert found.outside == ()


@pytest.mark.parametrize(
    ("tensor", "named", "outside"),
    [
        ("model.layers.0.mlp.gate_proj.weight", ["L0.MLP"], ()),
        ("model.layers.0.block_sparse_moe.experts.2.w1.weight", ["L0.E2"], ()),
        ("model.embed_tokens.weight", [], ("model.embed_tokens.weight",)),
        ("model.layers.0.input_layernorm.weight", [], ("model.layers.0.input_layernorm.weight",)),
    ],
)
def test_what_is_no_head_is_named_as_what_it_is(
    tiny: Path, tensor: str, named: list[str], outside: tuple[str, ...]
) -> None:
    found = change(tiny, tensor, 0)
    assert [one.component for one in found.components] == named
    assert found.outside == outside


def test_sizes_are_worked_out_by_hand(tiny: Path) -> None:
    """Head 2's query rows hold 3 and 4 and zeros: their norm is 5. Three becomes 6: the difference is 3, of 5 it is 0.6."""

    def set_rows(tensors: Tensors, first: float) -> None:
        tensors[f"{ATTENTION}q_proj.weight"][:] = 0
        tensors[f"{ATTENTION}q_proj.weight"][4, 0], tensors[f"{ATTENTION}q_proj.weight"][5, 3] = first, 4

    old = copy_model(tiny, tiny.parent / "old", lambda tensors: set_rows(tensors, 3))
    found = compare_models(old, copy_model(tiny, tiny.parent / "new", lambda tensors: set_rows(tensors, 6)))
    (head,), (tensor,) = found.components, found.tensors
    assert (head.component, head.max_abs, head.relative) == ("L0.H2", 3.0, pytest.approx(0.6))
    assert (tensor.change, tensor.max_abs, tensor.relative) == (TensorChange.VALUES, 3.0, pytest.approx(0.6))


def test_equality_is_of_bytes_and_not_of_numbers(tiny: Path) -> None:
    old = copy_model(tiny, tiny.parent / "old", lambda t: t[f"{ATTENTION}q_proj.weight"].fill(0.0))
    new = copy_model(old, tiny.parent / "new", lambda t: t[f"{ATTENTION}q_proj.weight"].__setitem__((0, 0), -0.0))
    found = compare_models(old, new)
    (head,) = found.components
    assert (head.component, head.max_abs, head.relative) == ("L0.H0", 0.0, None)
    assert not found.is_same


def test_what_is_no_number_is_never_measured_as_one(tiny: Path) -> None:
    found = change(tiny, f"{ATTENTION}q_proj.weight", (0, 0), float("nan"))
    (head,), (tensor,) = found.components, found.tensors
    assert (head.max_abs, head.relative, tensor.max_abs, tensor.relative) == (None,) * 4
    assert "not a finite number" in head.reason
    json.dumps(found.to_json(), allow_nan=False)


def test_tensors_that_are_gone_new_or_of_another_shape_have_no_distance(tiny: Path) -> None:
    def edit(tensors: Tensors) -> None:
        tensors.pop("model.embed_tokens.weight")
        tensors["model.norm.weight"] = np.ones(8, np.float32)
        tensors[f"{ATTENTION}k_proj.weight"] = np.ones((2, 8), np.float32)
        tensors["model.layers.0.input_layernorm.weight"] = tensors["model.layers.0.input_layernorm.weight"].astype("f2")

    found = compare_models(tiny, copy_model(tiny, tiny.parent / "v2", edit))
    reported = {row.name: (row.change, row.before, row.after) for row in found.tensors}
    assert reported == {
        "model.embed_tokens.weight": (TensorChange.MISSING, "F32 [3, 8]", None),
        "model.norm.weight": (TensorChange.ADDED, None, "F32 [8]"),
        f"{ATTENTION}k_proj.weight": (TensorChange.SHAPE, "F32 [4, 8]", "F32 [2, 8]"),
        "model.layers.0.input_layernorm.weight": (TensorChange.NUMBER_FORMAT, "F32 [8]", "F16 [8]"),
    }
    assert [row.max_abs is None for row in found.tensors] == [True, False, True, True]
    assert all(row.reason for row in found.tensors if row.max_abs is None)


def test_other_heads_in_the_config_are_not_compared_by_head(tiny: Path) -> None:
    other = copy_model(tiny, tiny.parent / "v2", lambda t: t[f"{ATTENTION}q_proj.weight"].__setitem__((0, 0), 9))
    edit_json(other / "config.json", num_attention_heads=2)
    found = compare_models(tiny, other)
    assert [one.component for one in found.components] == ["L0.attention"]
    assert (
        "4 heads of 2 with 2 key-value heads (llama) before, 2 heads of 4 with 2 key-value heads (llama) after"
        in found.not_by_head
    )
    assert [(row.key, row.before, row.after) for row in found.settings] == [("num_attention_heads", "4", "2")]


def test_a_large_tensor_is_read_some_rows_at_a_time(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = copy_model(tiny, tiny.parent / "v2", lambda t: t[f"{ATTENTION}q_proj.weight"].__setitem__((7, 7), 9))
    name = f"{ATTENTION}q_proj.weight"
    whole = measure_distance(list_tensors(tiny)[name], list_tensors(other)[name])
    monkeypatch.setattr(stored, "_CHUNK", 16)
    sizes: list[int] = []
    decode = stored._decode
    monkeypatch.setattr(stored, "_decode", lambda raw, dtype: (sizes.append(raw.size), decode(raw, dtype))[1])
    parts = measure_distance(list_tensors(tiny)[name], list_tensors(other)[name])
    assert set(sizes) == {16}
    assert parts.max_abs == whole.max_abs
    assert parts.relative == pytest.approx(whole.relative)


def test_lists_are_bounded_and_counts_are_not(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audit_core.change.model_diff.MOST_ROWS", 2)
    found = compare_models(
        tiny, copy_model(tiny, tiny.parent / "v2", lambda t: [a.__iadd__(1) for a in t.values()] and None)
    )
    assert (found.n_changed, len(found.tensors), len(found.components)) == (9, 2, 2)
    assert found.n_components == 7, "four heads, what they share, an MLP and an expert"


def test_bfloat16_is_read_as_the_upper_half_of_a_float(tmp_path: Path) -> None:
    """1.5 is 0x3FC0 and −2 is 0xC000: the difference is 3.5."""
    rows = []
    for number, bits in enumerate((0x3FC0, 0xC000)):
        header = json.dumps({"w": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
        file = tmp_path / f"{number}.safetensors"
        file.write_bytes(len(header).to_bytes(8, "little") + header + bits.to_bytes(2, "little"))
        rows.extend(stored._read_header(file))
    found = measure_distance(*rows)
    assert (found.max_abs, found.square, found.base) == (3.5, 12.25, 2.25)


@pytest.mark.parametrize(
    "config",
    [
        {},
        CONFIG | {"num_attention_heads": 3},
        CONFIG | {"num_attention_heads": True},
        CONFIG | {"num_attention_heads": 10**9},
        CONFIG | {"num_attention_heads": "4"},
        CONFIG | {"num_key_value_heads": 3},
        CONFIG | {"hidden_size": -8},
    ],
)
def test_a_config_that_names_no_possible_heads_names_none(config: dict[str, object]) -> None:
    assert read_layout(config) is None


def test_a_matrix_that_does_not_fit_the_heads_is_not_cut() -> None:
    layout = HeadLayout("llama", 4, 2, 2)
    for name, shape in (("q_proj.weight", (16, 8)), ("o_proj.weight", (8, 4)), ("q_norm.weight", (2,))):
        (share,) = split_tensor(f"{ATTENTION}{name}", shape, layout)
        assert share.components == ("L0.attention",)


def test_one_planted_head_is_named_and_no_other(tmp_path: Path) -> None:
    model = find_planted("planted-cancelling")
    assert model is not None
    first = tmp_path / "v1"
    model.build(first, 0)
    found = compare_models(first, copy_model(first, tmp_path / "v2", silence_head(1, 1)))
    assert [(one.component, one.parts) for one in found.components] == [("L1.H1", ("output",))]
    assert (found.n_changed, found.outside) == (1, ())


def test_words_that_came_went_and_moved_are_counted(tiny: Path) -> None:
    other = copy_model(tiny, tiny.parent / "v2")
    whole = json.loads((other / "tokenizer.json").read_text())
    whole["model"]["vocab"] = {"a": 0, "c": 1, "d": 2}
    whole["model"]["merges"] = [["a", "c"]]
    whole["normalizer"] = {"type": "NFC"}
    (other / "tokenizer.json").write_text(json.dumps(whole))
    edit_json(other / "tokenizer_config.json", bos_token="d")
    reported = compare_models(tiny, other).tokenizer
    words = reported.vocabulary
    assert words is not None
    assert (words.added, words.removed) == (("d",), ("b",))
    assert [(one.token, one.before, one.after) for one in words.moved] == [("c", 2, 1)]
    assert reported.has_other_merges
    assert not reported.has_other_template
    assert {(row.file, row.key) for row in reported.settings} == {
        ("tokenizer.json", "normalizer"), ("tokenizer.json", "normalizer.type"), ("tokenizer_config.json", "bos_token"),
    }  # fmt: skip


@pytest.mark.parametrize("where", ["tokenizer_config.json", "chat_template.jinja"])
def test_a_chat_template_alone_is_distinguished_from_the_tokenizer(tiny: Path, where: str) -> None:
    other = copy_model(tiny, tiny.parent / "v2")
    if where.endswith(".json"):
        edit_json(other / where, chat_template="{{ y }}")
    else:
        (other / where).write_text("{{ y }}")
    found = compare_models(tiny, other)
    assert found.tokenizer.has_other_template
    assert found.tokenizer.is_same_but_template
    assert not found.is_same
    assert found.before.tokenizer_sha256 != found.after.tokenizer_sha256


def test_a_tokenizer_without_a_known_vocabulary_is_not_called_the_same(tiny: Path) -> None:
    other = copy_model(tiny, tiny.parent / "v2")
    (other / "tokenizer.json").unlink()
    reported = compare_models(tiny, other).tokenizer
    assert reported.vocabulary is None
    assert reported.not_read == "no vocabulary in a known format, after"
    assert not reported.is_same_but_template


def too_large_a_header(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes((1 << 63).to_bytes(8, "little") + b"{}")


def pickle_alone(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def link_to_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to("/etc/passwd")


def dead_link(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "config.json").symlink_to(folder / "nowhere")


def code(folder: Path) -> None:
    edit_json(folder / "tokenizer_config.json", auto_map={"AutoTokenizer": "evil.Tokenizer"})


def overlapping(folder: Path) -> None:
    header = json.dumps({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in ("a", "b")}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))


def deep_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text('{"model":' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}")


@pytest.mark.parametrize(
    "spoil", [too_large_a_header, pickle_alone, link_to_no_weights, dead_link, code, overlapping, deep_tokenizer]
)
@pytest.mark.parametrize("is_second", [False, True])
def test_a_hostile_folder_is_refused_on_either_side(tiny: Path, spoil: object, is_second: bool) -> None:
    other = copy_model(tiny, tiny.parent / "v2")
    spoil(other)  # type: ignore[operator]
    with pytest.raises(ModelRefused):
        compare_models(*((tiny, other) if is_second else (other, tiny)))


def test_a_header_above_the_limit_is_refused_before_it_is_read(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "HEADER_BYTES", 64)
    with pytest.raises(ModelRefused, match="header"):
        list_tensors(tiny)


def test_one_name_in_two_shards_is_refused(tiny: Path) -> None:
    other = copy_model(tiny, tiny.parent / "v2")
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for shard in shards:
        shutil.copy(other / "model.safetensors", other / shard)
    (other / "model.safetensors").unlink()
    (other / "model.safetensors.index.json").write_text(json.dumps({"weight_map": dict(zip("ab", shards))}))
    with pytest.raises(ModelRefused, match="in two files"):
        compare_models(tiny, other)


def test_weights_cut_into_shards_are_other_files_and_the_same_tensors(tiny: Path) -> None:
    other = copy_model(tiny, tiny.parent / "v2")
    tensors = load_file(other / "model.safetensors")
    (other / "model.safetensors").unlink()
    shards = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for number, shard in enumerate(shards):
        save_file({name: tensors[name] for name in sorted(tensors)[number::2]}, other / shard)
    (other / "model.safetensors.index.json").write_text(json.dumps({"weight_map": dict(zip("ab", shards))}))
    found = compare_models(tiny, other)
    assert (found.n_tensors, found.n_changed, found.is_same) == (9, 0, False)
    assert [row.name for row in found.files] == [*shards, "model.safetensors"]


def test_a_named_pipe_for_a_tokenizer_is_not_opened(tiny: Path) -> None:
    other = copy_model(tiny, tiny.parent / "v2")
    (other / "tokenizer.json").unlink()
    os.mkfifo(other / "tokenizer.json")
    assert compare_models(tiny, other).tokenizer.vocabulary is None
