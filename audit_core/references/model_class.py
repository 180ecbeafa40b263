"""Architecture class of a model, read from its configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from audit_core.models.folder import CONFIG_BYTES, read_json


class Setting(StrEnum):
    """An architecture class, or a property of the system around the model."""

    DENSE = "dense_decoder"
    MIXTURE = "mixture_of_experts"
    ENCODER_DECODER = "encoder_decoder"
    RETRIEVAL = "retrieval"
    TOOL_USE = "tool_use"


@dataclass(frozen=True)
class ModelClass:
    """The architecture classes of a model according to its configuration."""

    settings: tuple[Setting, ...]
    """Empty if unknown: then a person declares the class."""
    because: str


_COUNTS_OF_EXPERTS = (
    "num_experts", "num_local_experts", "n_routed_experts", "num_routed_experts", "moe_num_experts", "n_experts",
)  # fmt: skip
_INNER = ("text_config", "ffn_config", "decoder", "llm_config")
"""Keys under which composite configurations store the language model's part."""
_HEADS = ("num_attention_heads", "n_head", "num_heads")
_STATE_SPACE = ("state_size", "ssm_cfg", "mamba_d_state", "ssm_state_size")
_DECODERS = ("ForCausalLM", "LMHeadModel")
_WITH_PICTURES = "ForConditionalGeneration"
"""A decoder with image input if there is a `text_config`; otherwise possibly an encoder–decoder."""


def find_architecture(config: Mapping[str, Any]) -> ModelClass:
    """Return a model's class from its `config.json`.

    Retrieval and tools are properties of the system, which a person declares.
    """
    parts = [config, *(part for name in _INNER if isinstance(part := config.get(name), Mapping))]
    found, because = [], []
    if any(part.get("is_encoder_decoder") is True for part in parts) or {"encoder", "decoder"} <= set(config):
        found.append(Setting.ENCODER_DECODER)
        because.append("it has an encoder and a decoder")
    if experts := _list_experts(parts):
        found.append(Setting.MIXTURE)
        because.append(experts[0])
    if found:
        return ModelClass(tuple(found), "; ".join(because))
    if any(name in part for part in parts for name in _STATE_SPACE):
        return ModelClass((), "it has a state space, which the map does not cover")
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named and isinstance(named[0], str) else ""
    if not (first.endswith(_DECODERS) or (first.endswith(_WITH_PICTURES) and "text_config" in config)):
        return ModelClass((), "its architectures name no decoder")
    if not any(name in part for part in parts for name in _HEADS):
        return ModelClass((), "it names no attention heads")
    return ModelClass((Setting.DENSE,), f"{first[:60]}, without experts")


def read_architecture(folder: Path) -> ModelClass:
    """Return the class of the model in a folder.

    Raises:
        ModelRefused: its config.json cannot be read.
    """
    return find_architecture(read_json(folder / "config.json", limit=CONFIG_BYTES))


def _list_experts(parts: list[Mapping[str, Any]]) -> list[str]:
    """Return the parts with more than one expert; a single expert is a dense block."""
    return [
        f"{name} = {count}"
        for part in parts
        for name in _COUNTS_OF_EXPERTS
        if isinstance(count := part.get(name), int) and not isinstance(count, bool) and count > 1
    ]
