"""Checks while a model is loaded: its kind, and that its weights match the files by name and count."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

from audit_core.engine.unused_tensors import LEFT_OVER, is_as_created, is_unused
from audit_core.errors import ModelRefused
from audit_core.models.declared import check_numbers, list_names
from audit_core.models.tensors import StoredTensor

MISSING_NUMBERS = 1 << 24
"""Maximum parameters beyond those in the files for which a model is still built, so that the refusal can name them."""
BUFFER_BYTES = 1 << 30
"""Maximum size of masks and tables that a model creates; the largest known is 0.2 GB (GPT-2, 2,048 positions)."""
_RECURRENT = ("mamba", "mamba2", "falcon_mamba", "rwkv", "xlstm")
_SOUND = ("musicgen", "musicgen_melody", "moshi")
_WANTED = "a text-only causal decoder with attention heads: each token is predicted from those before it."
_REMEDY = "use such a model; this one was not measured."


def check_kind(config: Mapping[str, Any]) -> None:
    """Raise `ModelRefused` for models that are not causal decoders, with their kind.

    Args:
        config: content of config.json.
    """
    from transformers.models.auto import modeling_auto as auto
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    kind = config.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING_NAMES:
        raise ModelRefused(
            f"config.json has model_type {ascii(kind)[:60]}.",
            wanted="a model type of the installed transformers.",
            remedy="check config.json; the architecture may need a newer transformers, or its own code.",
        )
    _check_aliases(kind, config)
    named = config.get("architectures")
    if named is not None and not (isinstance(named, list) and all(isinstance(name, str) for name in named)):
        raise ModelRefused(
            f"config.json has architectures {ascii(named)[:60]}.",
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
        raise _refuse(kind, "a multi-modal model: it reads images or sound in addition to text")
    if kind in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES and not (
        is_decoder and kind in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    ):
        raise _refuse(kind, "a masked language model (an encoder): each token also attends to later ones")
    if kind == "falcon" and config.get("new_decoder_architecture") is True and config.get("num_kv_heads") != 1:
        raise ModelRefused(
            "This model is a Falcon with `new_decoder_architecture`: it stores query, key and value group by group, and "
            "TransformerLens reads them as three blocks, so that its heads would be mixed up.",
            wanted="a Falcon of the older decoder, or one with a single key and value head.",
            remedy=_REMEDY,
        )
    if kind in _SOUND:
        raise _refuse(kind, "an audio model")
    if kind not in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise _refuse(kind, _describe(auto, kind))
    if other:
        raise _refuse(kind, f"saved as {ascii(first)[1:-1][:60]}, which does not predict a next token")


def _check_aliases(kind: str, config: Mapping[str, Any]) -> None:
    """Reject one setting under two names with two values, of which transformers would take either."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    for alias, name in CONFIG_MAPPING[kind].attribute_map.items():
        if alias in config and name in config and config[alias] != config[name]:
            raise ModelRefused(
                f"config.json has {name}: {ascii(config[name])[:40]} and {alias}: {ascii(config[alias])[:40]}, "
                "two names of one setting.",
                wanted="one value.",
                remedy=f"remove the wrong one; the name in this architecture is {name}.",
            )


def _describe(auto: Any, kind: str) -> str:
    """Kind of a model type that is not a language model, by its tasks in transformers."""
    words = {
        "SPEECH|AUDIO|CTC|RNNT|TDT|SPECTROGRAM|WAVEFORM": "an audio or speech model",
        "IMAGE|VIDEO|DEPTH|OBJECT|SEGMENTATION|KEYPOINT|MASK_GENERATION|BACKBONE": "an image model",
        "TIME_SERIES": "a time series model",
        "TEXT_ENCODING|SEQUENCE_CLASSIFICATION|TOKEN_CLASSIFICATION|QUESTION_ANSWERING": "a text encoder",
    }
    tasks = " ".join(task for task in dir(auto) if task.endswith("_MAPPING_NAMES") and kind in getattr(auto, task))
    return next(
        (what for task, what in words.items() if re.search(task, tasks)), "not a language model that predicts text"
    )


def _refuse(kind: str, what: str) -> ModelRefused:
    return ModelRefused(f"This model ({kind}) is {what}.", wanted=_WANTED, remedy=_REMEDY)


@contextmanager
def check_against_files(folder: Path, tensors: Mapping[str, StoredTensor]) -> Iterator[None]:
    """Compare weights with the files while `transformers` loads a model, before missing ones are initialised.

    The public report of `from_pretrained` omits tensors that a model class ignores, and comes after missing weights are
    initialised. The caller must have the lock for loading models.

        Raises:
            ModelRefused: a tensor is missing, unexpected, of another shape, stored twice, or differs from its tied tensor.
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
            wanted="the version of transformers that this release requires.",
            remedy="install the versions of constraints.txt.",
        )
    model, tied = seen[0]
    if untied := tied.keys() - model.all_tied_weights_keys.keys():
        raise _differs(folder, f"config.json ties weights that differ in the files: {list_names(untied)}")
    # Here, because the model creates its own masks and frequencies after its weights are loaded.
    state = model.state_dict()
    unused = [one for name, one in tensors.items() if name not in state and is_unused(name, one)]
    if changed := [one.name for one in unused if not is_as_created(one, model)]:
        raise _differs(folder, f"the stored values differ from those that the model computes: {list_names(changed)}")
    if getattr(model.config, "_attn_implementation", "") != "eager":
        raise _differs(folder, "config.json selects an attention implementation other than `eager`")


def _differs(folder: Path, found: str) -> ModelRefused:
    return ModelRefused(
        f"{folder.name}: {found}.",
        wanted="weight files with exactly the tensors of the model that config.json describes.",
        remedy="fetch or export the whole model again; merge an adapter first (merge_and_unload).",
    )


def _check_room(model: Any, tensors: Mapping[str, StoredTensor]) -> None:
    """Refuse a model far larger than its files, before memory is allocated."""
    stored = sum(prod(tensor.shape) for tensor in tensors.values())
    state = model.state_dict()
    wanted = sum(value.numel() for name, value in state.items() if name not in model.all_tied_weights_keys)
    made = sum(value.nbytes for name, value in model.named_buffers() if name not in state)
    if wanted > 2 * stored + MISSING_NUMBERS or made > max(BUFFER_BYTES, 16 * stored):
        raise ModelRefused(
            f"config.json describes a model of {wanted:,} parameters, with {made / 1e6:,.0f} MB of tables; "
            f"the weight files contain {stored:,} parameters.",
            wanted="a config.json that matches the sizes of the weights.",
            remedy="use the config.json that belongs to these weights, or fetch the model again.",
        )


def _check_names(folder: Path, model: Any, info: Any, tensors: Mapping[str, StoredTensor]) -> None:
    state = model.state_dict()
    missing = _find_missing(model, set(info.missing_keys))
    left = {name for name, tensor in tensors.items() if name not in state and is_unused(name, tensor)}
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
    stored = sum(prod(tensor.shape) for name, tensor in tensors.items() if name not in left)
    loaded = sum(value.numel() for name, value in state.items() if name not in info.missing_keys)
    if stored != loaded:
        differing = sorted(tensors.keys() - left - state.keys()) or sorted(tensors)
        raise _differs(
            folder, f"the files contain {stored:,} parameters and {loaded:,} were loaded; check {list_names(differing)}"
        )


def _find_missing(model: Any, missing: set[str]) -> set[str]:
    """Missing tensors that have no tied tensor and that the model cannot create."""
    groups: dict[str, set[str]] = {}
    for target, source in model.all_tied_weights_keys.items():
        groups.setdefault(source, {source}).add(target)
    for members in groups.values():
        if members - missing:
            missing = missing - members
    buffers = {name for name, _ in model.named_buffers()}
    return {n for n in missing if not (n in buffers and any(re.search(each.pattern, n) for each in LEFT_OVER))}


def _was_left(name: str, left: set[str]) -> bool:
    """Whether a key is one of the known unused tensors, also with the prefix of a base model."""
    return any(name.endswith(f".{each}") for each in left)


def _name_mismatch(entry: Any) -> str:
    return " ".join(str(part) for part in entry) if isinstance(entry, tuple) else str(entry)
