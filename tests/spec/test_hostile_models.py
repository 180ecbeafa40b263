"""Model folders made to run code, to exhaust the machine, or to be other than what was hashed; see docs/reference/threats.md."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import socket
import struct
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from toy.memory import read_peak, restart_peak

import audit_core.subjects.transformer as transformer
from audit_core.errors import IntegrityError, ModelRefused
from audit_core.models import check_folder
from audit_core.models.identity import require_unchanged, stamp_files
from audit_core.models.tensors import list_tensors
from audit_core.subjects.planted import find_planted
from audit_core.subjects.transformer import TransformerSubject, load_transformer

ROOT = Path(__file__).parents[2]
CODE = [path for folder in ("audit_core", "ui", "pages", "data", "bench") for path in (ROOT / folder).rglob("*.py")]
WEIGHTS = "model.safetensors"
SECONDS, MEBIBYTES = 1.0, 200


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.canary),))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model, folder = find_planted("planted-and"), tmp_path_factory.mktemp("hostile")
    assert model is not None
    model.build(folder, 0)
    return folder


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    """A model that loads; each test spoils it."""
    return Path(shutil.copytree(built, tmp_path / "model"))


def renamed(folder: Path, code: bytes) -> None:
    (folder / WEIGHTS).write_bytes(code)


def in_an_archive(folder: Path, code: bytes) -> None:
    """As torch.save writes it."""
    with zipfile.ZipFile(folder / WEIGHTS, "w") as archive:
        archive.writestr("archive/data.pkl", code)
        archive.writestr("archive/version", "3\n")


def as_a_shard(folder: Path, code: bytes) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "model-00001-of-00001.safetensors").write_bytes(code)
    name_shards(folder, "model-00001-of-00001.safetensors")


def as_a_shard_by_its_own_name(folder: Path, code: bytes) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(code)
    name_shards(folder, "pytorch_model.bin")


def as_an_index(folder: Path, code: bytes) -> None:
    (folder / WEIGHTS).unlink()
    (folder / f"{WEIGHTS}.index.json").write_bytes(code)


def by_its_own_name(folder: Path, code: bytes) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(code)


def name_shards(folder: Path, *names: str) -> None:
    (folder / f"{WEIGHTS}.index.json").write_text(json.dumps({"weight_map": {name: name for name in names}}))


@pytest.mark.parametrize(
    "hide", [renamed, in_an_archive, as_a_shard, as_a_shard_by_its_own_name, as_an_index, by_its_own_name]
)
def test_a_pickle_in_any_disguise_is_refused_and_does_not_run(
    folder: Path, tmp_path: Path, hide: Callable[[Path, bytes], None]
) -> None:
    canary = tmp_path / "canary"
    code = pickle.dumps(Touch(canary))
    hide(folder, code)
    with pytest.raises(ModelRefused):
        load_transformer(folder)
    assert not canary.exists()
    pickle.loads(code)
    assert canary.exists()


def test_remote_code_is_never_asked_for_and_weights_are_always_safetensors() -> None:
    """`trust_remote_code` may stand as False, and as a key that is refused; decoders and encoder–decoders are each loaded by one call."""
    asked = {
        (path.name, found) for path in CODE for found in re.findall(r"trust_remote_code\W{1,4}\w*", path.read_text())
    }
    assert {found for _, found in asked if "_PLACE" not in found} == {'trust_remote_code": False'}
    assert {name for name, _ in asked} == {"folder.py", "transformer.py", "encoder_decoder.py"}
    calls = [
        (path.name, call)
        for path in (ROOT / "audit_core").rglob("*.py")
        for call in re.findall(
            r"(?:AutoModel\w*|ForConditionalGeneration)\.from_pretrained\(.*?\n\s*\)", path.read_text(), re.S
        )
    ]
    assert sorted(name for name, _ in calls) == ["encoder_decoder.py", "transformer.py"]
    assert all("use_safetensors=True" in call for _, call in calls)
    assert not [path for path in CODE if re.search(r"torch\.load\(|pickle\.load|joblib|\bdill\b", path.read_text())]


@pytest.mark.parametrize(
    ("name", "asks"),
    [
        ("config.json", {"transformers_weights": "other/model.safetensors"}),
        ("tokenizer_config.json", {"fast_tokenizer_files": ["tokenizer.4.0.0.json"]}),
    ],
)
def test_a_config_that_names_files_which_are_not_hashed_is_refused(
    folder: Path, name: str, asks: dict[str, object]
) -> None:
    config = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(config | asks))
    with pytest.raises(ModelRefused, match="custom files"):
        load_transformer(folder)


def tensor(begin: int, end: int, *shape: int) -> dict[str, object]:
    return {"dtype": "F32", "shape": shape, "data_offsets": [begin, end]}


def write_weights(header: object, body: bytes) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def list_many(count: int, size: int) -> bytes:
    rows = (b'"t%d":{"dtype":"U8","shape":[%d],"data_offsets":[%d,%d]}' % (i, size, i * size, (i + 1) * size) for i in range(count))  # fmt: skip
    return write_weights(b"{" + b",".join(rows) + b"}", b"\0" * count * size)


HEADERS: dict[str, Callable[[], bytes]] = {
    "2^63 bytes long": lambda: struct.pack("<Q", 1 << 63) + b"{}",
    "2^64 - 1 bytes long": lambda: struct.pack("<Q", (1 << 64) - 1) + b"{}",
    "overlapping": lambda: write_weights({"a": tensor(0, 8, 2), "b": tensor(4, 12, 2)}, bytes(12)),
    "past the end": lambda: write_weights({"a": tensor(0, 1 << 40, 1 << 38)}, bytes(8)),
    "more than a word counts": lambda: write_weights({"a": tensor(0, 8, 1 << 62, 1 << 62)}, bytes(8)),
    "10,000 deep": lambda: write_weights(b'{"a":' * 10_000 + b"1" + b"}" * 10_000, b""),
    "1,000,000 tensors": lambda: list_many(1_000_000, 1),
    "400,000 tensors of nothing": lambda: list_many(400_000, 0),
    "50 MB of text": lambda: write_weights(b'{"__metadata__":{"a":"' + b"x" * 50_000_000 + b'"}}', b""),
}


@pytest.mark.parametrize("read", [check_folder, list_tensors])
@pytest.mark.parametrize("header", HEADERS)
def test_a_malicious_header_is_refused_quickly_and_without_much_memory(
    folder: Path, header: str, read: Callable[[Path], object]
) -> None:
    (folder / WEIGHTS).write_bytes(HEADERS[header]())
    started, before = time.process_time(), restart_peak()
    with pytest.raises(ModelRefused):
        read(folder)
    assert time.process_time() - started < SECONDS
    assert (read_peak() - before) / 2**20 < MEBIBYTES


def test_large_headers_are_counted_together(folder: Path) -> None:
    """Two of 9 MB each: either alone would pass."""
    (folder / WEIGHTS).unlink()
    names = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    for name in names:
        (folder / name).write_bytes(write_weights({"__metadata__": {"a": "x" * 9_000_000}}, b""))
    name_shards(folder, names[0])
    check_folder(folder)
    name_shards(folder, *names)
    with pytest.raises(ModelRefused, match="headers"):
        check_folder(folder)


def test_a_named_pipe_for_a_shard_is_not_opened(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    os.mkfifo(folder / "model-00001-of-00001.safetensors")
    name_shards(folder, "model-00001-of-00001.safetensors")
    with pytest.raises(ModelRefused, match="missing"):
        check_folder(folder)


def spoil_weights(folder: Path, value: float) -> None:
    """The same names and shapes with other numbers, put in the place of the file."""
    found = {name: np.full_like(array, value) for name, array in load_file(folder / WEIGHTS).items()}
    save_file(found, folder / "new", metadata={"format": "pt"})
    os.replace(folder / "new", folder / WEIGHTS)


def test_weights_that_are_no_numbers_are_refused(folder: Path) -> None:
    spoil_weights(folder, np.nan)
    with pytest.raises(ModelRefused, match="NaN or infinity"):
        load_transformer(folder)


def test_weights_replaced_between_the_hash_and_the_load_are_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = transformer._read_folder

    def replace_first(place: Path) -> Any:
        spoil_weights(place, 0.5)
        return read(place)

    monkeypatch.setattr(transformer, "_read_folder", replace_first)
    with pytest.raises(IntegrityError, match=r"model\.safetensors"):
        load_transformer(folder)


def write_in_place(file: Path) -> None:
    """Same size, and its time of change set back."""
    before, whole = file.stat(), file.read_bytes()
    with file.open("r+b") as stream:
        stream.write(whole[:-1] + bytes([whole[-1] ^ 1]))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def exchange(file: Path) -> None:
    before = file.stat()
    shutil.copy(file, file.with_name("new"))
    os.utime(file.with_name("new"), ns=(before.st_atime_ns, before.st_mtime_ns))
    os.replace(file.with_name("new"), file)


@pytest.mark.parametrize("change", [write_in_place, exchange, Path.unlink])
@pytest.mark.parametrize("name", [WEIGHTS, "tokenizer.json", "config.json"])
def test_every_way_of_changing_a_file_changes_its_stamp(
    folder: Path, name: str, change: Callable[[Path], None]
) -> None:
    stamps = stamp_files(folder)
    require_unchanged(folder, stamps)
    # A file system counts time in ticks of some milliseconds.
    time.sleep(0.02)
    change(folder / name)
    with pytest.raises(IntegrityError, match=re.escape(name)):
        require_unchanged(folder, stamps)


def test_a_file_written_after_the_load_changes_no_weight_of_the_loaded_model(folder: Path) -> None:
    subject = load_transformer(folder)
    before = {name: weights.detach().clone() for name, weights in subject.bridge.named_parameters()}
    overwrite(folder / WEIGHTS)
    assert [name for name, it in subject.bridge.named_parameters() if not it.detach().equal(before[name])] == []
    with pytest.raises(IntegrityError, match="changed while"):
        subject.randomised(0, seed=0)
    assert isinstance(subject, TransformerSubject)


def overwrite(file: Path) -> None:
    size = 8 + int.from_bytes(file.read_bytes()[:8], "little")
    rest = file.stat().st_size - size
    with file.open("r+b") as stream:
        stream.seek(size)
        stream.write(b"\x11" * rest)


def test_a_model_in_a_folder_loads_without_asking_any_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(*address: object, **options: object) -> None:
        asked.append(address)
        raise OSError("no network here")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    load_transformer(folder)
    assert asked == []
