"""What a model's identity is sensitive to, and what it ignores."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from audit_core.errors import IntegrityError, ModelRefused
from audit_core.models import ModelIdentity, digest_folder, identify_model
from audit_core.models.known import SMOLLM2
from audit_core.models.provenance import write_provenance


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    save_file({"weight": np.arange(4, dtype=np.float32)}, folder / "model.safetensors")
    (folder / "config.json").write_text('{"model_type": "llama", "rope_theta": 10000.0}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "merges.txt").write_text("a b\n")
    return folder


def identify(folder: Path) -> ModelIdentity:
    return identify_model(folder, dtype="float32", attention="eager")


def test_a_digest_is_that_of_what_sha256sum_prints(folder: Path) -> None:
    names = ("merges.txt", "model.safetensors", "tokenizer.json")
    merges, weights, tokenizer = (hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names)
    lines = f"{merges}  merges.txt\n{tokenizer}  tokenizer.json\n"
    found = digest_folder(folder)
    assert found.tokenizer_sha256 == hashlib.sha256(lines.encode()).hexdigest()
    assert found.weights_sha256 == hashlib.sha256(f"{weights}  model.safetensors\n".encode()).hexdigest()


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("model.safetensors", "weights_sha256"),
        ("extra.safetensors", "weights_sha256"),
        ("tokenizer.json", "tokenizer_sha256"),
        ("chat_template.jinja", "tokenizer_sha256"),
        ("vocab.json", "tokenizer_sha256"),
        ("spiece.model", "tokenizer_sha256"),
    ],
)
def test_each_file_moves_its_own_digest_and_no_other(folder: Path, name: str, field: str) -> None:
    before = identify(folder)
    (folder / name).write_bytes(b"other bytes")
    after = identify(folder)
    changed = {key for key, value in after.to_json().items() if before.to_json()[key] != value}
    assert changed == {field, "short"}


def test_the_same_weights_under_another_rotary_base_are_another_model(folder: Path) -> None:
    before = identify(folder)
    (folder / "config.json").write_text('{"model_type": "llama", "rope_theta": 20000.0}')
    after = identify(folder)
    assert after.weights_sha256 == before.weights_sha256
    assert after.short != before.short


def test_dtype_and_attention_are_part_of_the_identity_and_the_place_is_not(folder: Path, tmp_path: Path) -> None:
    here = identify(folder)
    assert identify_model(folder, dtype="bfloat16", attention="eager").short != here.short
    assert identify_model(folder, dtype="float32", attention="sdpa").short != here.short
    there = identify(Path(shutil.copytree(folder, tmp_path / "copy")))
    assert there.folder != here.folder
    assert there.short == here.short


def test_a_file_beside_the_model_changes_nothing(folder: Path) -> None:
    before = identify(folder)
    (folder / "README.md").write_text("hello")
    (folder / "pytorch_model.bin").write_text("never read")
    assert identify(folder) == before


def test_quantisation_is_read_from_the_config_or_is_none(folder: Path) -> None:
    assert identify(folder).quantisation == "none"
    (folder / "config.json").write_text('{"quantization_config": {"quant_method": "gptq", "bits": 4}}')
    assert identify(folder).quantisation == '{"bits": 4, "quant_method": "gptq"}'


def test_an_unknown_licence_is_said_to_be_unknown(folder: Path) -> None:
    assert identify(folder).licence == "not stated"


def test_a_converted_folder_names_its_origin(folder: Path) -> None:
    write_provenance(folder, SMOLLM2, {"Q4_1": 1})
    found = identify(folder)
    assert (found.model, found.quantisation, found.licence) == (
        "SmolLM2-135M-Instruct, Q4_1 dequantised",
        "Q4_1 dequantised to float32",
        "Apache-2.0",
    )


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "tokenizer.json", "added_tokens.json"])
def test_a_converted_folder_whose_files_changed_since_is_refused(folder: Path, name: str) -> None:
    write_provenance(folder, SMOLLM2, {"Q4_1": 1})
    (folder / name).write_bytes(b"{}\n")
    with pytest.raises(IntegrityError, match=name):
        identify(folder)


def test_a_record_of_origin_in_another_form_is_refused(folder: Path) -> None:
    (folder / "assay.json").write_text('{"title": 3}')
    with pytest.raises(ModelRefused, match=r"assay\.json"):
        identify(folder)


def test_a_folder_in_the_hub_cache_is_named_by_its_repository_and_commit(folder: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "models--org--name" / "snapshots" / ("0123456789ab" + "c" * 28)
    shutil.copytree(folder, snapshot)
    assert identify(snapshot).model == "org/name@0123456789ab"


def test_the_identity_is_frozen_and_survives_json(folder: Path) -> None:
    found = identify(folder)
    fields = json.loads(json.dumps(found.to_json()))
    assert fields.pop("short") == found.short
    assert ModelIdentity(**fields) == found
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.dtype = "float16"  # type: ignore[misc]
