"""Which folders are refused as models, one hand-made folder each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from audit_core.errors import ModelRefused
from audit_core.models import check_folder

INDEX = "model.safetensors.index.json"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A folder that passes; each test spoils one thing."""
    write_weights(tmp_path / "model.safetensors")
    write_json(tmp_path / "config.json", {"model_type": "llama", "text_config": {"hidden_size": 4}})
    write_json(tmp_path / "tokenizer_config.json", {"bos_token": "<s>"})
    return tmp_path


def write_weights(path: Path) -> None:
    save_file({"weight": np.ones((2, 2), dtype=np.float32)}, path)


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")


def shard(folder: Path, *names: str) -> None:
    """Replace the single weights file by an index that names these shards."""
    (folder / "model.safetensors").unlink()
    write_json(folder / INDEX, {"weight_map": {f"layer.{place}": name for place, name in enumerate(names)}})


def test_a_plain_folder_is_accepted(good: Path) -> None:
    check_folder(good)


def test_a_sharded_folder_is_accepted_when_every_shard_is_there(good: Path) -> None:
    shard(good, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    write_weights(good / "model-00001-of-00002.safetensors")
    write_weights(good / "model-00002-of-00002.safetensors")
    check_folder(good)


def test_a_sharded_folder_with_a_shard_missing_is_refused(good: Path) -> None:
    shard(good, "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    write_weights(good / "model-00001-of-00002.safetensors")
    with pytest.raises(ModelRefused, match="00002-of-00002"):
        check_folder(good)


def test_a_shard_may_be_a_link_as_in_the_hub_cache(good: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    blob = tmp_path_factory.mktemp("blobs") / "0123"
    write_weights(blob)
    (good / "model.safetensors").unlink()
    (good / "model.safetensors").symlink_to(blob)
    check_folder(good)


@pytest.mark.parametrize(
    "name",
    ["../model.safetensors", "/etc/model.safetensors", "a/model.safetensors", "..\\m.safetensors", "pytorch.bin", 7],
)
def test_an_index_that_leaves_the_folder_or_names_a_pickle_is_refused(good: Path, name: str) -> None:
    outside = good / ".." / "model.safetensors"
    write_weights(outside)
    shard(good, name)
    with pytest.raises(ModelRefused, match="names the shard"):
        check_folder(good)
    outside.unlink()


@pytest.mark.parametrize("content", [{}, {"weight_map": {}}, {"weight_map": ["model.safetensors"]}])
def test_an_index_without_a_map_is_refused(good: Path, content: object) -> None:
    (good / "model.safetensors").unlink()
    write_json(good / INDEX, content)
    with pytest.raises(ModelRefused, match="weight_map"):
        check_folder(good)


@pytest.mark.parametrize("pickle", ["pytorch_model.bin", "model.pt", "weights.pth", "last.ckpt"])
def test_pickle_only_weights_are_refused_and_named(good: Path, pickle: str) -> None:
    (good / "model.safetensors").rename(good / pickle)
    with pytest.raises(ModelRefused, match=f"{pickle}.*safetensors only.*convert"):
        check_folder(good)


def test_a_stray_safetensors_file_does_not_cover_a_pickle(good: Path) -> None:
    """transformers looks for model.safetensors only, and would load the .bin beside any other name."""
    (good / "model.safetensors").rename(good / "optimizer.safetensors")
    (good / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    with pytest.raises(ModelRefused, match=r"pytorch_model\.bin"):
        check_folder(good)


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer_config.json", "generation_config.json", "preprocessor_config.json"]
)
@pytest.mark.parametrize(
    "request_for_code",
    [
        {"auto_map": {"AutoModel": "modeling.Model"}},
        {"text_config": {"auto_map": {"AutoConfig": "configuration.Config"}}},
        {"parts": [{"custom_pipelines": {"generate": "pipeline.py"}}]},
        {"trust_remote_code": True},
    ],
)
def test_a_request_to_run_code_is_refused_in_every_config(good: Path, name: str, request_for_code: object) -> None:
    write_json(good / name, request_for_code)
    with pytest.raises(ModelRefused, match=f"{name} requests to run custom Python code"):
        check_folder(good)


def test_an_empty_request_for_code_asks_for_nothing(good: Path) -> None:
    write_json(good / "config.json", {"model_type": "llama", "auto_map": None, "trust_remote_code": False})
    check_folder(good)


def test_an_adapter_is_refused(good: Path) -> None:
    write_json(good / "adapter_config.json", {"base_model_name_or_path": "someone/else"})
    with pytest.raises(ModelRefused, match="adapter"):
        check_folder(good)


Spoil = Callable[[Path], object]
MALFORMED: dict[str, tuple[Spoil, str]] = {
    "missing": (lambda path: path.unlink(), "no config.json"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "no config.json"),
    "a list": (lambda path: path.write_text("[]"), "JSON list"),
    "not JSON": (lambda path: path.write_text("{'model_type': 'llama'}"), "cannot be read as JSON"),
    "not UTF-8": (lambda path: path.write_bytes(b'{"a": "\xff\xfe"}'), "cannot be read as JSON"),
    "deeply nested": (lambda path: path.write_text('{"a":' * 100_000 + "1" + "}" * 100_000), "nested too deeply"),
    "huge": (lambda path: path.write_text('{"a": "' + "x" * 1_000_000 + '"}'), "larger than 1 MB"),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_config_is_refused_without_a_traceback(good: Path, kind: str) -> None:
    spoil, says = MALFORMED[kind]
    spoil(good / "config.json")
    with pytest.raises(ModelRefused, match=says):
        check_folder(good)


@pytest.mark.parametrize(
    "content",
    [b"", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 538090408\n", b"\xff" * 64],
    ids=["empty", "git-lfs placeholder", "noise"],
)
def test_weights_that_are_no_weights_are_refused(good: Path, content: bytes) -> None:
    (good / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelRefused, match="not a complete safetensors file"):
        check_folder(good)


def test_weights_that_are_cut_off_are_refused(good: Path) -> None:
    whole = (good / "model.safetensors").read_bytes()
    (good / "model.safetensors").write_bytes(whole[:-1])
    with pytest.raises(ModelRefused, match="not a complete safetensors file"):
        check_folder(good)


def test_a_missing_folder_and_a_file_are_distinguished(good: Path) -> None:
    with pytest.raises(ModelRefused, match="does not exist"):
        check_folder(good / "nowhere")
    with pytest.raises(ModelRefused, match="is a file"):
        check_folder(good / "config.json")
