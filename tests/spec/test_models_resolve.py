"""What a person may type as a model, and what each spelling becomes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from audit_core.errors import ModelRefused
from audit_core.models import KNOWN_MODELS, find_known, model_cache, resolve_model

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "huggingface_hub", "gguf", "tokenizers", "safetensors", "numpy", "filelock")


def make_model(folder: Path) -> Path:
    folder.mkdir(parents=True)
    save_file({"weight": np.zeros((2, 2), dtype=np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama"}))
    return folder


def test_importing_the_package_loads_nothing_heavy() -> None:
    """An empty stand-in for `audit_core` keeps what its own `__init__` imports out of the answer."""
    program = (
        "import sys, types; sys.modules['audit_core'] = stand_in = types.ModuleType('audit_core');"
        "stand_in.__path__ = ['audit_core']; import audit_core.models;"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_local_folder_is_found_by_absolute_relative_and_home_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model(tmp_path / "org" / "model")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for spelling in (str(folder), "./org/model", "org/model", "~/org/model", folder):
        assert resolve_model(spelling) == folder


@pytest.mark.parametrize("path", ["./nowhere", "/nowhere/at/all", "~/nowhere", "../a/b", "a/b/c", ".", "C:\\models\\x"])
def test_what_looks_like_a_path_is_refused_as_a_folder_and_never_asked_of_the_hub(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ModelRefused, match=r"does not exist|has no config\.json"):
        resolve_model(path)


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "gpt2", "defualt", "org/", "org/na me", "org/name\n", "org/..", "org/a--b", "org/x.git", "-o/n"),
        *("https:", "org/name@main", "x" * 5000, "org/" + "y" * 200, "null\0byte", "sur\ud800rogate", "drôle/modèle"),
    ],
)
def test_a_malformed_name_is_refused_with_a_remedy(name: str) -> None:
    with pytest.raises(ModelRefused) as refusal:
        resolve_model(name)
    assert "not a known model" in refusal.value.found
    assert "default" in refusal.value.wanted
    assert len(str(refusal.value)) < 500
    str(refusal.value).encode()


def test_a_refused_local_folder_stays_refused_under_a_hub_like_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_model(tmp_path / "org" / "model")
    (folder / "config.json").write_text('{"auto_map": {"AutoModel": "m.M"}}')
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelRefused, match="Python code"):
        resolve_model("org/model")


def test_every_known_model_is_found_by_name_and_alias_and_no_two_share_one() -> None:
    names = [name for known in KNOWN_MODELS for name in (known.name, known.alias)]
    assert len(set(names)) == len(names)
    assert [find_known(name) for name in names] == [known for known in KNOWN_MODELS for _ in range(2)]
    assert find_known("nothing of this name") is None


def test_the_cache_folder_follows_its_variable_and_has_a_home_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_MODELS", "/somewhere/models")
    assert model_cache() == Path("/somewhere/models")
    monkeypatch.delenv("AUDIT_MODELS")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert model_cache().parts[-2:] == ("assay", "models")
