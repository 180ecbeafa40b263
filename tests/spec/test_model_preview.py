"""What loading a model would take, read from headers alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from audit_core.errors import ModelRefused
from audit_core.models import preview, preview_folder, preview_model


def write_model(folder: Path, **config: object) -> Path:
    """Two tensors of 8 × 4 and 4 numbers, in float16."""
    folder.mkdir()
    declared = {"architectures": ["TinyForCausalLM"], "vocab_size": 8, "hidden_size": 4, **config}
    (folder / "config.json").write_text(json.dumps(declared))
    tensors = {"embed_tokens.weight": np.zeros((8, 4), np.float16), "norm.weight": np.zeros(4, np.float16)}
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_parameters_dtype_size_and_memory_come_from_the_headers(tmp_path: Path) -> None:
    found = preview_folder(write_model(tmp_path / "m"))
    assert (found.architecture, found.n_parameters, found.dtypes, found.disk_bytes) == (
        "TinyForCausalLM",
        36,
        ("F16",),
        72,
    )
    assert found.memory_bytes == round(36 * 4 * 2.2)


def test_a_folder_that_would_be_refused_is_refused_in_the_preview(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="custom Python code"):
        preview_model(str(write_model(tmp_path / "m", auto_map={"AutoModel": "x.Y"})))


def test_a_folder_that_does_not_exist_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="does not exist"):
        preview_model(str(tmp_path / "none"))


def test_nothing_is_known_of_a_hub_model_before_it_is_fetched_and_no_request_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import socket

    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("a request was sent"))
    assert preview_model("someone/unknown-model") is None
    assert preview_model("no such name") is None


def test_free_memory_is_the_smaller_of_machine_and_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, text in (("_MEMORY", "MemTotal: 9 kB\nMemAvailable: 8 kB\n"), ("_LIMIT", "7000\n"), ("_USED", "3000\n")):
        path = tmp_path / name
        path.write_text(text)
        monkeypatch.setattr(preview, name, path)
    assert preview.read_free_memory() == 4000
    (tmp_path / "_LIMIT").write_text("max\n")
    assert preview.read_free_memory() == 8192
    (tmp_path / "_MEMORY").unlink()
    assert preview.read_free_memory() is None
