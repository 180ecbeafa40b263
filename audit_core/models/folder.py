"""Validation of model folders: safetensors weights, bounded JSON, no custom code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from audit_core.errors import ModelRefused

# Far above real models (the largest config in transformers' tests is under 100 kB).
CONFIG_BYTES = 1_000_000
# A tokenizer_config.json lists every added token; an index lists every tensor of every expert.
JSON_BYTES = 64_000_000
HEADER_BYTES = 16_000_000
"""Limit for all weight files of a folder together, about 150,000 tensors; 60 layers with 128 experts have 25,000."""
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_CODE_KEYS = ("auto_map", "custom_code", "custom_pipelines", "trust_remote_code")
_PLACE_KEYS = ("transformers_weights", "fast_tokenizer_files")
"""Keys that make transformers load other files than those checked and hashed here."""
_ADAPTER = ("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"


def check_folder(path: Path) -> None:
    """Raise `ModelRefused` unless `path` is a model folder that loads without running code from it.

    The weights must have the name that transformers expects: otherwise it silently loads a pickle, if there is one.
    """
    if not path.is_dir():
        raise ModelRefused(
            f"{path} {'is a file' if path.exists() else 'does not exist'}.",
            wanted="a folder with config.json and safetensors weights.",
            remedy="check the spelling, or give the folder that holds config.json.",
        )
    check_configs(path)
    _check_whole(path, list_weight_files(path))


def check_configs(folder: Path) -> None:
    """Check everything that the JSON files could request; the part of `check_folder` that needs no weights."""
    config = folder / "config.json"
    if not config.is_file():
        raise ModelRefused(
            f"{folder} has no config.json.",
            wanted="a model folder in Hugging Face format.",
            remedy="give the folder that holds config.json, or export with save_pretrained().",
        )
    read_json(config, limit=CONFIG_BYTES)
    if found := [name for name in _ADAPTER if (folder / name).exists()]:
        raise ModelRefused(
            f"{folder} contains an adapter ({', '.join(found)}), so its weights alone are another model.",
            wanted="a complete model.",
            remedy="merge the adapter into its base model (merge_and_unload) and save that.",
        )
    for path in sorted(folder.glob("*config.json")):
        _refuse_requests(read_json(path), path)


def read_json(path: Path, *, limit: int = JSON_BYTES) -> dict[str, Any]:
    """Read a JSON object of at most `limit` bytes.

    Raises:
        ModelRefused: it is larger, is not JSON, or is not an object.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise ModelRefused(
                f"{path} is larger than {limit / 1e6:g} MB.",
                wanted="a JSON file of a usual size.",
                remedy="inspect the file; weights belong in safetensors files.",
            )
        content = json.loads(raw)
    except (OSError, ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ModelRefused(
            f"{path} cannot be read as JSON: {reason}.",
            wanted="a JSON object in UTF-8.",
            remedy="fetch or export the model again.",
        ) from error
    if not isinstance(content, dict):
        raise ModelRefused(
            f"{path} contains a JSON {type(content).__name__}.",
            wanted="a JSON object.",
            remedy="fetch or export the model again.",
        )
    return content


def _refuse_requests(content: dict[str, Any], path: Path) -> None:
    """Reject keys at any depth that run code or load other files; nested configs may have their own."""
    waiting: list[Any] = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        if not isinstance(value, dict):
            continue
        found_keys = [key for key in _CODE_KEYS if value.get(key)]
        if found_keys:
            raise ModelRefused(
                f"{path} requests to run custom Python code ({', '.join(found_keys)}).",
                wanted="an architecture that transformers includes; remote code is not executed.",
                remedy="convert the model to an architecture in transformers, or choose another.",
            )
        found_keys = [key for key in _PLACE_KEYS if value.get(key)]
        if found_keys:
            raise ModelRefused(
                f"{path} names custom files to load ({', '.join(found_keys)}).",
                wanted=f"{_WEIGHTS} and tokenizer.json under their usual names.",
                remedy="rename the files and remove the key, or export with save_pretrained().",
            )
        waiting += value.values()


def list_weight_files(folder: Path) -> list[str]:
    """List the safetensors files of the weights, each a plain name in the folder."""
    if (folder / _WEIGHTS).is_file():
        _refuse_second(folder)
        return [_WEIGHTS]
    if (folder / _INDEX).is_file():
        return _shard_names(folder / _INDEX)
    pickles = sorted(path.name for pattern in _PICKLES for path in folder.glob(pattern))
    others = sorted(path.name for path in folder.glob("*.safetensors"))
    raise ModelRefused(
        f"{folder} has no {_WEIGHTS}; it has " + (", ".join((pickles + others)[:5]) or "no weights at all") + ".",
        wanted=f"safetensors only: {_WEIGHTS}, or {_INDEX} and its shards; a pickle can run code when opened.",
        remedy="convert the weights: load them where you trust their origin and call save_pretrained().",
    )


def _refuse_second(folder: Path) -> None:
    """Reject shards beside one whole file: only the file would be read, and the digest covers both."""
    if (folder / _INDEX).is_file() and any((folder / shard).is_file() for shard in _shard_names(folder / _INDEX)):
        raise ModelRefused(
            f"{folder} has two sets of weights: {_WEIGHTS}, and {_INDEX} with its shards.",
            wanted="one set of weights.",
            remedy="remove the other set.",
        )


def list_index(folder: Path) -> dict[str, str]:
    """Return the shard of each tensor from the index; empty if one file contains all weights."""
    if (folder / _WEIGHTS).is_file():
        return {}
    return dict(read_json(folder / _INDEX)["weight_map"])


def _shard_names(index: Path) -> list[str]:
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not weight_map:
        raise ModelRefused(
            f"{index} has no weight_map.",
            wanted="an index that names the shard of each tensor.",
            remedy="fetch or export the model again.",
        )
    for shard in weight_map.values():
        if not isinstance(shard, str) or not shard.endswith(".safetensors") or set(shard) & set("/\\:\0"):
            raise ModelRefused(
                f"{index} names the shard {ascii(shard)[:80]}.",
                wanted="plain names of safetensors files in the same folder.",
                remedy="do not use this folder unless you know who wrote it; fetch the model again.",
            )
    return sorted(set(weight_map.values()))


def _check_whole(folder: Path, names: list[str]) -> None:
    """Open each file's header, which detects truncated files and placeholders."""
    from safetensors import SafetensorError, safe_open

    left = HEADER_BYTES
    for name in names:
        try:
            left -= _measure_header(folder / name)
            if left < 0:
                raise ModelRefused(
                    f"{folder / name} exceeds the limit on the total size of headers.",
                    wanted=f"at most {HEADER_BYTES / 1e6:g} MB of headers in all weight files together.",
                    remedy="inspect the files.",
                )
            with safe_open(folder / name, framework="numpy"):
                pass
        except (OSError, SafetensorError) as error:
            raise ModelRefused(
                f"{folder / name} is missing or not a complete safetensors file: {error}.",
                wanted="every weight file, complete.",
                remedy="fetch or copy the model again; a file of some hundred bytes is a git-lfs placeholder.",
            ) from error


def _measure_header(file: Path) -> int:
    """Return the size of the header as stated in the file; the library rejects a wrong size."""
    if not file.is_file():
        raise FileNotFoundError("no file of that name")
    with file.open("rb") as stream:
        stated = int.from_bytes(stream.read(8), "little")
    return min(stated, file.stat().st_size)
