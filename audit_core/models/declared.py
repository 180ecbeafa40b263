"""Check config.json against the headers of the weight files, before the model is built."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from audit_core.errors import ModelRefused
from audit_core.models.folder import CONFIG_BYTES, list_index, read_json
from audit_core.models.tensors import StoredTensor, list_tensors

LARGEST_SIZE = 1 << 31
"""Largest plausible axis of a tensor; larger counts are rejected."""
MOST_LABELS = 10_000
"""Limit, because transformers generates a name for each label: a million take half a minute."""
_LAYERS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")
_VOCABULARY = ("vocab_size",)
_WIDTHS = ("hidden_size", "n_embd", "d_model")
_HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "num_key_value_heads", "num_kv_heads")
_COUNT = re.compile(r"(?:^|_)(?:layers?|experts?|blocks?|groups?|heads?|size|dim|positions|inner|embd)(?:$|_)")
_NO_COUNT = re.compile(r"theta|factor|scal|eps|frac|ratio|coef|weight|std|rate|prob|drop|id$|ids$|top|window|offset")
_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d{1,9})\.", re.ASCII)
_EMBEDDING = re.compile(r"(?:^|\.)(?:embed_tokens|wte|word_embeddings|embed_in|tok_embeddings)\.weight$")
_QUANTISED = ("quantization_config", "compression_config")
_CHOOSES_CODE = ("kernel_config", "use_kernels", "kernels", "fusion_config", "distributed_config")
_ATTENTION = ("attn_implementation", "_attn_implementation", "_attn_implementation_internal")
_EXPERTS = ("experts_implementation", "_experts_implementation", "_experts_implementation_internal")
_EXPERT_CODE = ("eager", "batched_mm", "grouped_mm")
"""Implementations built into transformers; other names are kernels to fetch. An attention named in config.json would
replace the one that the identity records."""
_NUMBERS = ("F64", "F32", "F16", "BF16")


def check_declared(folder: Path) -> dict[str, StoredTensor]:
    """Raise `ModelRefused` unless config.json and the headers describe one model of plain weights.

    Returns:
        The tensors in the files, by name.
    """
    config = read_json(folder / "config.json", limit=CONFIG_BYTES)
    _refuse_choices(config)
    tensors = list_tensors(folder)
    _check_index(folder, tensors)
    _check_counts(config)
    _check_layers(config, tensors)
    _check_vocabulary(config, tensors)
    _check_widths(config, tensors)
    return tensors


def list_names(names: Iterable[str], limit: int = 6) -> str:
    """Return the first few names, escaped and truncated, and the number of further ones."""
    listed = sorted(names)
    shown = ", ".join(ascii(name)[1:-1][:120] for name in listed[:limit])
    return shown + (f" and {len(listed) - limit} more" if len(listed) > limit else "")


def _refuse_choices(config: Mapping[str, Any]) -> None:
    """Reject keys at any depth that select code to run, or quantised weights."""
    waiting: list[Any] = [config]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        if not isinstance(value, dict):
            continue
        if found_keys := [key for key in _QUANTISED if value.get(key) is not None]:
            settings = value[found_keys[0]]
            method = settings.get("quant_method", "not named") if isinstance(settings, dict) else "not named"
            raise ModelRefused(
                f"config.json declares quantised weights ({found_keys[0]}, method {ascii(method)[:40]}).",
                wanted="plain floating-point weights, which are read unchanged.",
                remedy="dequantise the model, save it with save_pretrained() and audit that; it is another model.",
            )
        found_keys = [key for key in _CHOOSES_CODE if value.get(key)]
        found_keys += [key for key in _ATTENTION if not _is_plain(value.get(key), ("eager",))]
        found_keys += [key for key in _EXPERTS if not _is_plain(value.get(key), _EXPERT_CODE)]
        if found_keys:
            raise ModelRefused(
                f"config.json chooses the code that computes it ({', '.join(found_keys)}).",
                wanted="no such key: attention is computed as `eager`, as the identity records.",
                remedy="remove the key from config.json.",
            )
        waiting += value.values()


def _is_plain(chosen: Any, known: tuple[str, ...]) -> bool:
    if isinstance(chosen, dict):
        return all(_is_plain(each, known) for each in chosen.values())
    return chosen is None or (isinstance(chosen, str) and chosen in known)


def _check_index(folder: Path, tensors: Mapping[str, StoredTensor]) -> None:
    index = list_index(folder)
    if not index:
        return
    wrong = [name for name, shard in index.items() if name not in tensors or tensors[name].file.name != shard]
    unnamed = tensors.keys() - index.keys()
    if wrong or unnamed:
        raise ModelRefused(
            f"The index of {folder.name} and its shards differ: "
            + "; ".join(
                [f"not in the shard that it names: {list_names(wrong)}"] * bool(wrong)
                + [f"in a shard and not in the index: {list_names(unnamed)}"] * bool(unnamed)
            )
            + ".",
            wanted="an index that names each tensor and its shard.",
            remedy="fetch or export the model again.",
        )


def _check_counts(config: Mapping[str, Any]) -> None:
    labels = config.get("num_labels")
    if labels is not None and not (type(labels) is int and 0 <= labels <= MOST_LABELS):
        raise ModelRefused(
            f"config.json has num_labels: {ascii(labels)[:60]}.",
            wanted=f"at most {MOST_LABELS}; a model that predicts tokens has none.",
            remedy="remove the key from config.json.",
        )
    for key, value in config.items():
        if key in _HEADS and isinstance(value, list) and len(set(map(str, value))) > 1:
            raise ModelRefused(
                f"config.json gives each layer its own number of heads ({key}: {str(value)[:80]}).",
                wanted="one number of heads for all layers that have any.",
                remedy="use another model: heads are addressed by one layer and one index.",
            )
        is_needed = key in (*_LAYERS, *_VOCABULARY, *_WIDTHS, *_HEADS)
        if not (is_needed or (_COUNT.search(key) and not _NO_COUNT.search(key))):
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_bad = (
            (value is not None and (type(value) is not int or value < 1)) if is_needed else is_number and value < -1
        )
        if is_bad or (is_number and not value <= LARGEST_SIZE):
            raise ModelRefused(
                f"config.json has {ascii(key)[:60]}: {ascii(value)[:60]}.",
                wanted=f"a whole number from 1 to {LARGEST_SIZE}.",
                remedy="correct config.json, or fetch the model again.",
            )


def _read_count(config: Mapping[str, Any], names: Iterable[str]) -> int | None:
    return next((config[name] for name in names if type(config.get(name)) is int), None)


def _check_layers(config: Mapping[str, Any], tensors: Mapping[str, StoredTensor]) -> None:
    # Encoder and decoder number their layers apart, and may have different numbers of them.
    counts = (_read_count(config, names) for names in (_LAYERS, ("num_decoder_layers",)))
    declared = max((count for count in counts if count is not None), default=None)
    stored: dict[int, str] = {}
    for name in sorted(tensors):
        if match := _LAYER.search(name):
            stored.setdefault(int(match[1]), name)
    if declared is None:
        return
    if not stored and declared > len(tensors):
        stored = {}
    elif not stored or set(stored) == set(range(declared)):
        return
    beyond = [name for layer, name in stored.items() if layer >= declared]
    lacking = declared - len(stored.keys() & range(min(declared, 1 + max(stored, default=-1))))
    raise ModelRefused(
        f"config.json declares {declared} layers; the weight files contain {len(stored)}"
        + (f": {list_names(beyond)} and other tensors of that layer are unexpected" if beyond else "")
        + (f"; {lacking} layers have no tensors" if lacking > 0 else "")
        + ".",
        wanted="weights of exactly the layers that config.json declares.",
        remedy="use the config.json that belongs to these weights, or fetch the model again.",
    )


def _check_vocabulary(config: Mapping[str, Any], tensors: Mapping[str, StoredTensor]) -> None:
    declared = _read_count(config, _VOCABULARY)
    for name, tensor in tensors.items():
        if declared is not None and _EMBEDDING.search(name) and len(tensor.shape) == 2 and tensor.shape[0] != declared:
            raise ModelRefused(
                f"config.json declares a vocabulary of {declared}; {list_names([name])} has {tensor.shape[0]} rows.",
                wanted="the same number in both.",
                remedy="use the config.json that belongs to these weights, or fetch the model again.",
            )


def _check_widths(config: Mapping[str, Any], tensors: Mapping[str, StoredTensor]) -> None:
    declared = _read_count(config, _WIDTHS)
    axes = {size for tensor in tensors.values() for size in tensor.shape}
    if declared is not None and declared not in axes:
        raise ModelRefused(
            f"config.json declares a width of {declared}; no tensor has an axis of that length.",
            wanted="the width of the weights.",
            remedy="use the config.json that belongs to these weights, or fetch the model again.",
        )


def check_numbers(tensors: Mapping[str, StoredTensor], names: Iterable[str]) -> None:
    """Raise `ModelRefused` if a weight has an unsupported number format."""
    odd = {tensors[name].dtype for name in names if tensors[name].dtype not in _NUMBERS}
    if odd:
        raise ModelRefused(
            f"Weights are stored as {', '.join(sorted(odd))}: "
            f"{list_names(name for name in names if tensors[name].dtype in odd)}.",
            wanted=f"weights in {', '.join(_NUMBERS)}.",
            remedy="dequantise the model, save it with save_pretrained() and audit that; it is another model.",
        )
