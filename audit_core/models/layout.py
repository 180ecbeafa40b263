"""Map slices of stored tensors to model components, by tensor name and the heads in config.json."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

MAX_HEADS = 4_096
"""Limit of heads per layer, far above real models."""
_LAYER = re.compile(r"(?:^|\.)(?:layers|h|blocks)\.(\d{1,5})\.(.+)", re.ASCII)
_EXPERT = re.compile(r"(?:^|\.)experts\.(\d{1,5})\.", re.ASCII)
_ATTENTIONS = ("self_attn", "attn", "attention", "self_attention")
_MLPS = ("mlp", "block_sparse_moe", "feed_forward", "fc1", "fc2")
_CONV = ("gpt2",)
"""Families that store attention matrices as (input, output)."""
_INTERLEAVED = ("gpt_neox", "bloom")
"""Families whose joint matrix holds query, key and value of each head in turn."""
_EVERYTHING = slice(None)
_PARTS = ("query", "key", "value")
_SINGLE = {"q_proj": "query", "k_proj": "key", "v_proj": "value"}
_OUTPUTS = ("o_proj", "out_proj", "dense", "c_proj")


@dataclass(frozen=True)
class HeadLayout:
    """Dimensions of the attention heads."""

    family: str
    """`model_type` of config.json."""
    n_heads: int
    n_key_value_heads: int
    d_head: int

    @property
    def group(self) -> int:
        """Number of heads that share a key and value."""
        return self.n_heads // self.n_key_value_heads


@dataclass(frozen=True)
class Share:
    """A slice of a tensor and the components that use it."""

    components: tuple[str, ...]
    """`L2.H1`, `L2.MLP`, `L2.E5`; `L2.attention` for tensors that all heads share or that cannot be split by head."""
    part: str
    """query, key, value or output of a head; shared; mlp; expert."""
    at: tuple[slice, ...]
    """Empty for the whole tensor."""


def read_layout(config: Mapping[str, Any]) -> HeadLayout | None:
    """Return the head layout from a config; None if it is absent or inconsistent."""
    n_heads = _read_count(config, "num_attention_heads", "n_head", "num_heads")
    width = _read_count(config, "hidden_size", "n_embd")
    if not n_heads or not width or n_heads > MAX_HEADS:
        return None
    shared = _read_count(config, "num_key_value_heads") or n_heads
    d_head = _read_count(config, "head_dim") or (width // n_heads if width % n_heads == 0 else 0)
    if not d_head or n_heads % shared:
        return None
    return HeadLayout(str(config.get("model_type", "")), n_heads, shared, d_head)


def split_tensor(name: str, shape: tuple[int, ...], layout: HeadLayout | None) -> tuple[Share, ...]:
    """Return the components of a tensor by slice; empty for embeddings, norms and other tensors.

    Args:
        layout: None if heads cannot be distinguished.
    """
    match = _LAYER.search(name)
    if match is None:
        return ()
    layer, rest = int(match[1]), match[2]
    root = rest.split(".", 1)[0]
    if root in _MLPS:
        expert = _EXPERT.search(rest)
        whole = f"L{layer}.MLP" if expert is None else f"L{layer}.E{int(expert[1])}"
        return (Share((whole,), "mlp" if expert is None else "expert", ()),)
    if root not in _ATTENTIONS:
        return ()
    heads = () if layout is None else tuple(_cut(layer, rest, shape, layout))
    return heads or (Share((f"L{layer}.attention",), "shared", ()),)


def _read_count(config: Mapping[str, Any], *names: str) -> int:
    found = next((config[name] for name in names if config.get(name) is not None), 0)
    return found if type(found) is int and 0 < found < 1 << 31 else 0


def _cut(layer: int, rest: str, shape: tuple[int, ...], layout: HeadLayout) -> Iterator[Share]:
    """Yield the slices of an attention tensor; none if its name or shape is unknown."""
    *_, matrix, leaf = ["", *rest.split(".")]
    if (leaf, len(shape)) not in (("weight", 2), ("bias", 1)):
        return
    own, shared = layout.n_heads * layout.d_head, layout.n_key_value_heads * layout.d_head
    is_conv, is_weight = layout.family in _CONV, leaf == "weight"
    # Heads are on the axis that is not the residual stream's.
    written, read = (shape[-1], shape[0]) if is_conv else (shape[0], shape[-1])
    if is_weight and matrix in _OUTPUTS and (matrix == "c_proj") is is_conv and read == own:
        yield from _cut_block(layer, "output", 0, layout, is_last=not is_conv)
    elif matrix == ("c_attn" if is_conv else "qkv_proj") and written == own + 2 * shared:
        for part, start in zip(_PARTS, (0, own, own + shared)):
            yield from _cut_block(layer, part, start, layout, is_last=is_conv and is_weight)
    elif matrix in _SINGLE and not is_conv and written == (own if matrix == "q_proj" else shared):
        yield from _cut_block(layer, _SINGLE[matrix], 0, layout, is_last=False)
    elif matrix == "query_key_value" and layout.family in _INTERLEAVED and written == 3 * own and own == shared:
        yield from _cut_interleaved(layer, layout)


def _cut_interleaved(layer: int, layout: HeadLayout) -> Iterator[Share]:
    for number in range(3 * layout.n_heads):
        at = slice(number * layout.d_head, (number + 1) * layout.d_head)
        yield Share((f"L{layer}.H{number // 3}",), _PARTS[number % 3], (at,))


def _cut_block(layer: int, part: str, start: int, layout: HeadLayout, *, is_last: bool) -> Iterator[Share]:
    """Yield one slice per head, or per group of heads that share it, along the last axis or the first."""
    group = layout.group if part in ("key", "value") else 1
    for number in range(layout.n_heads // group):
        at = slice(start + number * layout.d_head, start + (number + 1) * layout.d_head)
        heads = tuple(f"L{layer}.H{number * group + member}" for member in range(group))
        yield Share(heads, part, (_EVERYTHING, at) if is_last else (at,))
