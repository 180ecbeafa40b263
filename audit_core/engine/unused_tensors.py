"""Tensors of old checkpoints that a model computes itself: which they are, and whether they have its values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audit_core.models.tensors import StoredTensor

MASKS = -1e3
"""Smallest attention score that does not mask a position; checkpoints have -1e4, -1e9 or the least number of their format."""
_TOLERANCE = 1e-2
"""Relative error of frequencies in 16 bits, 8e-3 for bfloat16."""


@dataclass(frozen=True)
class UnusedTensor:
    """A tensor that no parameter depends on."""

    pattern: str
    why: str
    n_axes: tuple[int, ...]


LEFT_OVER = (
    UnusedTensor(r"(?:^|\.)(?:attn|attention)\.bias$", "causal mask of GPT-2, GPT-Neo, GPT-NeoX and GPT-J", (4,)),
    UnusedTensor(r"(?:^|\.)(?:attn|attention)\.masked_bias$", "the value that masks a position", (0, 1)),
    UnusedTensor(r"(?:^|\.)(?:rotary_emb|attention|attn)\.(?:original_)?inv_freq$", "rotary frequencies, by config.json", (1,)),
    UnusedTensor(r"(?:^|\.)rotary_emb\.(?:cos|sin)_cached$", "table of rotary frequencies", (2, 4)),
    UnusedTensor(r"(?:^|\.)position_ids$", "0, 1, 2 …", (1, 2)),
)  # fmt: skip


def is_unused(name: str, tensor: StoredTensor) -> bool:
    return any(re.search(each.pattern, name) and len(tensor.shape) in each.n_axes for each in LEFT_OVER)


def is_as_created(tensor: StoredTensor, model: Any) -> bool:
    """Check an unused tensor against the value that the model has in its place.

    Tables of cosines and sines are not compared: they follow from the frequencies.
    """
    found, last = _read_values(tensor), tensor.name.rpartition(".")[2]
    if last == "masked_bias":
        return bool((found <= MASKS).all())
    if last == "position_ids":
        return bool((found == np.arange(found.shape[-1])).all())
    if last == "bias":
        wanted = _find_buffers(model, tensor.name) or [np.tril(np.ones(found.shape[-2:]))]
        return any(np.array_equal(np.broadcast_to(one, found.shape) != 0, found != 0) for one in wanted)
    if last.endswith("inv_freq"):
        # Scaled frequencies have the unscaled ones beside them, under the name of `original_inv_freq`.
        buffers = (value for own, value in model.named_buffers() if own.endswith("inv_freq"))
        own = [one for one in map(_as_array, buffers) if one.shape == found.shape]
        return not own or any(np.allclose(one, found, rtol=_TOLERANCE, atol=0) for one in own)
    return True


def _read_values(tensor: StoredTensor) -> NDArray[np.float64]:
    raw = np.array(tensor.map_bytes()).reshape(tensor.shape)
    if tensor.dtype == "BF16":
        return (raw.astype("<u4") << 16).view("<f4").astype(float)
    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1"}
    return raw.view(kinds[tensor.dtype]).astype(float) if tensor.dtype in kinds else raw.astype(float)


def _find_buffers(model: Any, name: str) -> list[NDArray[np.float64]]:
    """Return the model's own buffer of this name, with or without the prefix of a base model."""
    return [
        _as_array(value)
        for own, value in model.named_buffers()
        if f".{own}".endswith(f".{name}") or f".{name}".endswith(f".{own}")
    ]


def _as_array(value: Any) -> NDArray[np.float64]:
    found: NDArray[np.float64] = value.detach().float().numpy().astype(float)
    return found
