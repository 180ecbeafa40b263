"""Identity of a loaded model by digests, part of a run's identity."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from audit_core.errors import IntegrityError
from audit_core.models.cache import hash_file
from audit_core.models.devices import CPU
from audit_core.models.folder import CONFIG_BYTES, read_json
from audit_core.models.provenance import Provenance, read_provenance

_WEIGHT_FILES = ("*.safetensors",)
ONNX_FILE = "model.onnx"
"""Weights of a folder without safetensors: a model of tables."""
_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.*",
    "merges.txt",
    "*.model",
    "chat_template*",
)
_COMPUTING = (*_WEIGHT_FILES, *_TOKENIZER_FILES, "config.json", "generation_config.json")


Stamps = dict[str, tuple[int, ...]]
"""Stamps of the files that a model was loaded from; see `stamp_files`."""


class FolderDigest(NamedTuple):
    """Digests of a model folder, each over the output of `sha256sum FILES` with sorted names."""

    weights_sha256: str
    tokenizer_sha256: str


@dataclass(frozen=True)
class ModelIdentity:
    """Identity of a loaded model; equal `short` means equal numbers on the same machine."""

    model: str
    """Display name; not part of `short`."""
    folder: str
    """Source; not part of `short`."""
    weights_sha256: str
    tokenizer_sha256: str
    config_sha256: str
    """SHA-256 of config.json: the same weights with another rotary base are another model."""
    dtype: str
    attention: str
    quantisation: str
    """Quantisation in the history of the weights, or "none"."""
    licence: str
    """SPDX identifier, or "not stated"."""
    dictionary_sha256: str = ""
    """Digest of the sparse dictionary that the model was opened with; empty without one."""
    device: str = CPU
    """Device that computes."""
    device_name: str = ""
    """The device's own name; empty for the CPU, whose name is among the facts about the machine."""

    @property
    def short(self) -> str:
        """Return twelve hexadecimal digits over everything that determines the model's numbers."""
        parts = [self.weights_sha256, self.tokenizer_sha256, self.config_sha256, self.dtype, self.attention]
        parts += [self.dictionary_sha256] if self.dictionary_sha256 else []
        # Marked, so that no digest of a dictionary is taken for a device.
        parts += [] if self.is_on_cpu else [f"device {self.device}", self.device_name]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]

    @property
    def is_on_cpu(self) -> bool:
        return self.device == CPU

    def to_json(self) -> dict[str, str]:
        """Return every field and `short`, for `json.dumps`; a dictionary only where there is one, a device other than the CPU."""
        fields = asdict(self)
        if not self.dictionary_sha256:
            del fields["dictionary_sha256"]
        if self.is_on_cpu:
            del fields["device"], fields["device_name"]
        return {**fields, "short": self.short}


def identify_model(folder: Path, *, dtype: str, attention: str) -> ModelIdentity:
    """Hash a checked model folder and return its identity.

    Args:
        folder: as `resolve_model` returned it.
        dtype: number format of the loaded weights, such as "float32".
        attention: attention implementation, such as "eager".

    Raises:
        IntegrityError: a converted folder's file is not the one its assay.json recorded.
        ModelRefused: config.json or assay.json cannot be read.
    """
    weights = _file_digests(folder, _WEIGHT_FILES) or _file_digests(folder, (ONNX_FILE,))
    tokenizer = _file_digests(folder, _TOKENIZER_FILES)
    config = _file_digests(folder, ("config.json",))
    provenance = read_provenance(folder)
    if provenance is not None:
        _require_recorded(folder, weights | tokenizer | config, provenance)
    return ModelIdentity(
        model=provenance.title if provenance else _title(folder),
        folder=str(folder),
        weights_sha256=_list_digest(weights),
        tokenizer_sha256=_list_digest(tokenizer),
        config_sha256=config["config.json"],
        dtype=dtype,
        attention=attention,
        quantisation=provenance.quantisation if provenance else _quantisation(folder),
        licence=provenance.licence if provenance else "not stated",
    )


def digest_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file that affects computation or text generation, by name."""
    return _file_digests(folder, _COMPUTING)


def digest_folder(folder: Path) -> FolderDigest:
    """Return the digests of all safetensors files and of all tokenizer files in `folder`."""
    return FolderDigest(
        _list_digest(_file_digests(folder, _WEIGHT_FILES)),
        _list_digest(_file_digests(folder, _TOKENIZER_FILES)),
    )


def stamp_files(folder: Path) -> Stamps:
    """Return device, inode, size and times of the files of `digest_files`, which detect later writes."""
    found = {path.name: path.stat() for path in _find_files(folder, _COMPUTING)}
    return {name: (it.st_dev, it.st_ino, it.st_size, it.st_mtime_ns, it.st_ctime_ns) for name, it in found.items()}


def require_unchanged(folder: Path, stamps: Stamps) -> None:
    """Raise `IntegrityError` if a file was written, replaced, added or removed since the stamps were taken."""
    now = stamp_files(folder)
    changed = sorted(name for name in now.keys() | stamps.keys() if now.get(name) != stamps.get(name))
    if changed:
        raise IntegrityError(
            f"In {folder} these files changed while the model was read: {', '.join(changed)[:300]}. "
            "Wanted: files that do not change after hashing. What to do: wait until writing has finished, and load again."
        )


def _find_files(folder: Path, patterns: Iterable[str]) -> list[Path]:
    return [path for pattern in patterns for path in folder.glob(pattern) if path.is_file()]


def _file_digests(folder: Path, patterns: Iterable[str]) -> dict[str, str]:
    paths = {path.name: path for path in _find_files(folder, patterns)}
    return {name: hash_file(paths[name]) for name in sorted(paths)}


def _list_digest(digests: dict[str, str]) -> str:
    return hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()).hexdigest()


def _require_recorded(folder: Path, found: dict[str, str], provenance: Provenance) -> None:
    changed = sorted(name for name, digest in found.items() if provenance.files.get(name) != digest)
    if changed:
        raise IntegrityError(
            f"In {folder} these files differ from their conversion: {', '.join(changed)}. "
            "Wanted: the bytes recorded in assay.json. What to do: delete the folder and fetch the model again, "
            "or delete assay.json if the change was yours."
        )


def _title(folder: Path) -> str:
    """Return `org/name@commit` for a folder in the hub's cache, else the folder's name."""
    repository = folder.parent.parent.name
    if folder.parent.name == "snapshots" and repository.startswith("models--"):
        return f"{repository.removeprefix('models--').replace('--', '/')}@{folder.name[:12]}"
    return folder.name


def _quantisation(folder: Path) -> str:
    settings: Any = read_json(folder / "config.json", limit=CONFIG_BYTES).get("quantization_config")
    if not settings:
        return "none"
    return json.dumps(settings, sort_keys=True)
