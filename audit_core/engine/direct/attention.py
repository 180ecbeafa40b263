"""Attention from projected queries, keys and values to the heads' outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from audit_core.component import Kind

if TYPE_CHECKING:
    import torch

    from audit_core.engine.direct.direct_block import DirectBlock


def attend(
    block: DirectBlock,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    call: Mapping[str, Any],
    *,
    scale: float,
    groups: int,
) -> torch.Tensor:
    """Outputs of the heads side by side, after the hooks of pattern and heads; shape (row, pos, head · d_head).

    Args:
        queries: shape (row, head, pos, d_head).
        keys: with `values`, shape (row, key-value head, pos, d_head); the cache in `call` puts earlier positions before.
        groups: query heads per key-value head.
    """
    cache, mask = call.get("past_key_values"), call["attention_mask"]
    if cache is not None:
        keys, values = cache.update(keys, values, 0)
    keys, values = _repeat(keys, groups), _repeat(values, groups)
    scores = (queries @ keys.transpose(-2, -1)).mul_(scale)
    scores.add_(mask[..., -scores.shape[-2] :, : scores.shape[-1]])
    pattern = block.pass_hooks(Kind.PATTERN, scores.softmax(-1))
    heads = (pattern @ values).transpose(1, 2)
    return block.pass_hooks(Kind.HEAD, heads.reshape(*heads.shape[:2], -1))


def _repeat(x: torch.Tensor, groups: int) -> torch.Tensor:
    if groups == 1:
        return x
    rows, heads, positions, size = x.shape
    return x[:, :, None].expand(rows, heads, groups, positions, size).reshape(rows, heads * groups, positions, size)
