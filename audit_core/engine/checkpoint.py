"""A model while it is loaded: what kind it is, and whether its weights are those that the files hold, by name and by count."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from audit_core.errors import ModelRefused
from audit_core.models.declared import check_numbers, list_names
from audit_core.models.tensors import StoredTensor

MISSING_NUMBERS = 1 << 24
"""Numbers that a model may want beyond those its files hold before it is refused unbuilt: a refusal that can name them."""
BUFFER_BYTES = 1 << 30
"""Masks and tables that a model makes for itself; the largest of those known takes 0.2 GB (GPT-2, 2,048 positions)."""
_RECURRENT = ("mamba", "mamba2", "falcon_mamba", "rwkv", "xlstm")
_SOUND = ("musicgen", "musicgen_melody", "moshi")
_WANTED = "a text-only causal decoder with attention heads: each token is predicted from those before it."
_REMEDY = "use such a model; nothing of this one was measured."


@dataclass(frozen=True)
class LeftOver:
    """Tensors that old checkpoints hold and no parameter depends on: the model makes them for itself."""

    pattern: str
    why: str
    n_axes: tuple[int, ...]


LEFT_OVER = (
    LeftOver(r"(?:^|\.)(?:attn|attention)\.bias$", "causal mask of GPT-2, GPT-Neo, GPT-NeoX and GPT-J", (4,)),
    LeftOver(r"(?:^|\.)(?:attn|attention)\.masked_bias$", "the number that masks a position there", (0, 1)),
    LeftOver(r"(?:^|\.)(?:rotary_emb|attention|attn)\.(?:original_)?inv_freq$", "rotary frequencies, by config.json", (1,)),
    LeftOver(r"(?:^|\.)rotary_emb\.(?:cos|sin)_cached$", "table of those", (2, 4)),
    LeftOver(r"(?:^|\.)position_ids$", "0, 1, 2 …", (1, 2)),
)  # fmt: skip


def check_kind(config: Mapping[str, Any]) -> None:
    """Raise `ModelRefused` for what is no causal decoder, saying what it is.

    Args:
        config: content of config.json.
    """
    from transformers.models.auto import modeling_auto as auto
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING_NAMES:
        raise ModelRefused(
            f"config.json says model_type {ascii(kind)[:60]}.",
            wanted="a model type that the installed transformers has.",
            remedy="check config.json; the architecture may be newer than this installation, or need code of its own.",
        )
    named = config.get("architectures")
    if named is not None and not (isinstance(named, list) and all(isinstance(name, str) for name in named)):
        raise ModelRefused(
            f"config.json says architectures {ascii(named)[:60]}.",
            wanted="a list of names.",
            remedy="correct config.json, or fetch the model again.",
        )
    is_decoder = config.get("is_decoder") is True
    first = named[0] if named else ""
    other = re.search(
        r"For(?:Sequence|Token|Image|Audio|Multiple|Question|MaskedLM|NextSentence|PreTraining)|Reward", first
    )
    if config.get("is_encoder_decoder") is True or kind in auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES:
        raise _refuse(kind, "an encoder–decoder: its answer also depends on a second text, read in both directions")
    if kind in _RECURRENT:
        raise _refuse(kind, "a recurrent model: it has no attention heads")
    pictures = {*auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES, *auto.MODEL_FOR_MULTIMODAL_LM_MAPPING_NAMES}
    if kind in pictures or any(config.get(part) for part in ("vision_config", "audio_config", "image_config")):
        raise _refuse(kind, "a multi-modal model: beside text it reads pictures or sound, and text is one part of it")
    if kind in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES and not (
        is_decoder and kind in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    ):
        raise _refuse(kind, "a masked language model (an encoder): each token is read with those after it")
    if kind == "falcon" and config.get("new_decoder_architecture") is True and config.get("num_kv_heads") != 1:
        raise ModelRefused(
            "This model is a Falcon with `new_decoder_architecture`: it stores query, key and value group by group, and "
            "TransformerLens reads them as three blocks, so that its heads would be other heads.",
            wanted="a Falcon of the older decoder, or one with a single key and value head.",
            remedy=_REMEDY,
        )
    if kind in _SOUND:
        raise _refuse(kind, "a model of sound")
    if kind not in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise _refuse(kind, _describe(auto, kind))
    if other:
        raise _refuse(kind, f"saved as {ascii(first)[1:-1][:60]}, which predicts no next token")


def _describe(auto: Any, kind: str) -> str:
    """What a model type that is no language model is, by the tasks that transformers lists it for."""
    words = {
        "SPEECH|AUDIO|CTC|RNNT|TDT|SPECTROGRAM|WAVEFORM": "a model of sound or speech",
        "IMAGE|VIDEO|DEPTH|OBJECT|SEGMENTATION|KEYPOINT|MASK_GENERATION|BACKBONE": "a model of pictures",
        "TIME_SERIES": "a model of time series",
        "TEXT_ENCODING|SEQUENCE_CLASSIFICATION|TOKEN_CLASSIFICATION|QUESTION_ANSWERING": "an encoder of text",
    }
    tasks = " ".join(task for task in dir(auto) if task.endswith("_MAPPING_NAMES") and kind in getattr(auto, task))
    return next(
        (what for task, what in words.items() if re.search(task, tasks)), "no language model that predicts text"
    )


def _refuse(kind: str, what: str) -> ModelRefused:
    return ModelRefused(f"This model ({kind}) is {what}.", wanted=_WANTED, remedy=_REMEDY)


@contextmanager
def check_against_files(folder: Path, tensors: Mapping[str, StoredTensor]) -> Iterator[None]:
    """While a model is loaded by `transformers`, compare its weights with the files, before any gap is filled.

    The public report of `from_pretrained` leaves out what a model class chooses to ignore, and comes after missing
    weights were made up. Held by the caller: the lock under which one model at a time is loaded.

    Raises:
        ModelRefused: a tensor is missing, left over, of another shape, stored twice, or not the one that it is tied to.
    """
    from transformers import PreTrainedModel

    seen: list[tuple[Any, dict[str, str]]] = []
    shared: Any = PreTrainedModel
    original = shared._load_pretrained_model

    def load(model: Any, state_dict: Any, files: Any, load_config: Any) -> Any:
        _check_room(model, tensors)
        tied = dict(model.all_tied_weights_keys)
        info, index = original(model, state_dict, files, load_config)
        _check_names(folder, model, info, tensors)
        seen.append((model, tied))
        return info, index

    shared._load_pretrained_model = staticmethod(load)
    try:
        yield
    finally:
        shared._load_pretrained_model = staticmethod(original)
    if len(seen) != 1:
        raise ModelRefused(
            f"{folder.name} was not read through the check of its tensors.",
            wanted="the version of transformers that this release names.",
            remedy="install the versions of constraints.txt.",
        )
    model, tied = seen[0]
    if untied := tied.keys() - model.all_tied_weights_keys.keys():
        raise _differs(
            folder, f"config.json ties weights of which the files hold two different ones: {list_names(untied)}"
        )
    if getattr(model.config, "_attn_implementation", "") != "eager":
        raise _differs(
            folder, "its attention would be computed by other code than `eager`, which config.json must not choose"
        )


def _differs(folder: Path, found: str) -> ModelRefused:
    return ModelRefused(
        f"{folder.name}: {found}.",
        wanted="weight files that hold every tensor of the model that config.json describes, and nothing else.",
        remedy="fetch or export the whole model again; merge an adapter first (merge_and_unload).",
    )


def _check_room(model: Any, tensors: Mapping[str, StoredTensor]) -> None:
    """Refuse a model far larger than its files, while it is only described and no memory is taken."""
    held = sum(prod(tensor.shape) for tensor in tensors.values())
    state = model.state_dict()
    wanted = sum(value.numel() for name, value in state.items() if name not in model.all_tied_weights_keys)
    made = sum(value.nbytes for name, value in model.named_buffers() if name not in state)
    if wanted > 2 * held + MISSING_NUMBERS or made > max(BUFFER_BYTES, 16 * held):
        raise ModelRefused(
            f"config.json describes a model of {wanted:,} numbers, with {made / 1e6:,.0f} MB of tables; "
            f"the weight files hold {held:,} numbers.",
            wanted="a config.json whose sizes are those of the weights.",
            remedy="use the config.json that belongs to these weights, or fetch the model again.",
        )


def _check_names(folder: Path, model: Any, info: Any, tensors: Mapping[str, StoredTensor]) -> None:
    state = model.state_dict()
    missing = _find_missing(model, set(info.missing_keys))
    left = {name for name, tensor in tensors.items() if name not in state and _is_unexpected(name, tensor)}
    unexpected = {name for name in info.unexpected_keys if name not in left and not _was_left(name, left)}
    found = [
        f"{what}: {list_names(names)}"
        for what, names in (
            ("no tensor for", missing),
            ("no place for", unexpected),
            ("of another shape", [_name_mismatch(each) for each in info.mismatched_keys]),
            ("not converted", [*info.conversion_errors]),
        )
        if names
    ]
    if found:
        raise _differs(folder, "; ".join(found))
    check_numbers(tensors, tensors.keys() - left)
    held = sum(prod(tensor.shape) for name, tensor in tensors.items() if name not in left)
    loaded = sum(value.numel() for name, value in state.items() if name not in info.missing_keys)
    if held != loaded:
        odd = sorted(tensors.keys() - left - state.keys()) or sorted(tensors)
        raise _differs(folder, f"the files hold {held:,} numbers and {loaded:,} were loaded; look at {list_names(odd)}")


def _find_missing(model: Any, missing: set[str]) -> set[str]:
    """Missing tensors that no tensor they are tied to stands in for, and that the model cannot make for itself."""
    groups: dict[str, set[str]] = {}
    for target, source in model.all_tied_weights_keys.items():
        groups.setdefault(source, {source}).add(target)
    for members in groups.values():
        if members - missing:
            missing = missing - members
    buffers = {name for name, _ in model.named_buffers()}
    return {n for n in missing if not (n in buffers and any(re.search(each.pattern, n) for each in LEFT_OVER))}


def _is_unexpected(name: str, tensor: StoredTensor) -> bool:
    return any(re.search(each.pattern, name) and len(tensor.shape) in each.n_axes for each in LEFT_OVER)


def _was_left(name: str, left: set[str]) -> bool:
    """Whether a renamed key is one of the tensors that may be left over: a base model's prefix was put before it."""
    return any(name.endswith(f".{each}") for each in left)


def _name_mismatch(entry: Any) -> str:
    return " ".join(str(part) for part in entry) if isinstance(entry, tuple) else str(entry)
