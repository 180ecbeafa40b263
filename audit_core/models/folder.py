"""Which model folders may be loaded: safetensors weights, bounded JSON, no code of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from audit_core.errors import ModelRefused

# Far above what models carry (the largest config in transformers' own tests is under 100 kB).
CONFIG_BYTES = 1_000_000
# A tokenizer_config.json lists every added token; an index lists every tensor of every expert.
JSON_BYTES = 64_000_000
HEADER_BYTES = 16_000_000
"""Of all weight files of a folder together: about 150,000 tensors; a mixture of 60 layers with 128 experts has 25,000."""
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_CODE_KEYS = ("auto_map", "custom_code", "custom_pipelines", "trust_remote_code")
_PLACE_KEYS = ("transformers_weights", "fast_tokenizer_files")
"""By these transformers would load other files than those that are checked and hashed here."""
_WEIGHTS = "model.safetensors"
_INDEX = "model.safetensors.index.json"


def check_folder(path: Path) -> None:
    """Raise `ModelRefused` unless `path` is a model folder that loads without running code from it.

    The weights must carry the name transformers looks for: beside any other safetensors file it
    would quietly load a pickle.
    """
    if not path.is_dir():
        raise ModelRefused(
            f"{path} is {'a file' if path.exists() else 'not there'}.",
            wanted="a folder with config.json and safetensors weights.",
            remedy="check the spelling, or give the folder that holds config.json.",
        )
    check_configs(path)
    _check_whole(path, list_weight_files(path))


def check_configs(folder: Path) -> None:
    """The part of `check_folder` that needs no weights: everything the JSON files could ask for."""
    config = folder / "config.json"
    if not config.is_file():
        raise ModelRefused(
            f"{folder} has no config.json.",
            wanted="a model folder in Hugging Face format.",
            remedy="give the folder that holds config.json, or export with save_pretrained().",
        )
    read_json(config, limit=CONFIG_BYTES)
    if (folder / "adapter_config.json").exists():
        raise ModelRefused(
            f"{folder} holds an adapter (adapter_config.json), which would load another model beneath it.",
            wanted="one whole model.",
            remedy="merge the adapter into its base model (merge_and_unload) and save that.",
        )
    for path in sorted(folder.glob("*config.json")):
        _refuse_requests(read_json(path), path)


def read_json(path: Path, *, limit: int = JSON_BYTES) -> dict[str, Any]:
    """A JSON object of at most `limit` bytes.

    Raises:
        ModelRefused: it is larger, is not JSON, or is not an object.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise ModelRefused(
                f"{path} is larger than {limit / 1e6:g} MB.",
                wanted="a JSON file of the size models have.",
                remedy="look at what the file holds; weights belong in safetensors files.",
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
            f"{path} holds a JSON {type(content).__name__}.",
            wanted="a JSON object.",
            remedy="fetch or export the model again.",
        )
    return content


def _refuse_requests(content: dict[str, Any], path: Path) -> None:
    """Look for a request to run code or to load other files anywhere in the object: a nested config may carry its own."""
    waiting: list[Any] = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        if not isinstance(value, dict):
            continue
        asked = [key for key in _CODE_KEYS if value.get(key)]
        if asked:
            raise ModelRefused(
                f"{path} asks to run Python code of its own ({', '.join(asked)}).",
                wanted="a model whose architecture transformers itself has; remote code is never executed.",
                remedy="convert the model to an architecture in transformers, or choose another.",
            )
        asked = [key for key in _PLACE_KEYS if value.get(key)]
        if asked:
            raise ModelRefused(
                f"{path} names files of its own choice to load ({', '.join(asked)}).",
                wanted=f"{_WEIGHTS} and tokenizer.json under their usual names.",
                remedy="rename the files and take the key out, or export with save_pretrained().",
            )
        waiting += value.values()


def list_weight_files(folder: Path) -> list[str]:
    """Names of the safetensors files that make up the weights, each a plain name in the folder."""
    if (folder / _WEIGHTS).is_file():
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


def list_index(folder: Path) -> dict[str, str]:
    """The shard of each tensor, as the index says; empty where one file holds all weights."""
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
    """Open each file's header, which tells a cut-off file or a placeholder from weights."""
    from safetensors import SafetensorError, safe_open

    left = HEADER_BYTES
    for name in names:
        try:
            left -= _measure_header(folder / name)
            if left < 0:
                raise ModelRefused(
                    f"{folder / name} has a header that is too large, or the headers before it were.",
                    wanted=f"at most {HEADER_BYTES / 1e6:g} MB of headers in all weight files together.",
                    remedy="look at what the files hold.",
                )
            with safe_open(folder / name, framework="numpy"):
                pass
        except (OSError, SafetensorError) as error:
            raise ModelRefused(
                f"{folder / name} is missing or not a whole safetensors file: {error}.",
                wanted="every weight file, complete.",
                remedy="fetch or copy the model again; a file of some hundred bytes is a git-lfs placeholder.",
            ) from error


def _measure_header(file: Path) -> int:
    """Bytes of the header, as the file says; one that says more than it has is left to the library to refuse."""
    if not file.is_file():
        raise FileNotFoundError("no file of that name")
    with file.open("rb") as stream:
        said = int.from_bytes(stream.read(8), "little")
    return min(said, file.stat().st_size)
