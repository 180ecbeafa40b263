"""Attention from projected queries, keys and values to the heads' outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from audit_core.component import Kind

if TYPE_CHECKING:
    import torch

    from audit_core.engine.direct.direct_block import DirectBlock


MAX_SCORES = 1 << 25
"""Attention scores in memory at once, 128 MB, unless a hook needs those of all rows."""


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
    import torch

    cache, mask = call.get("past_key_values"), call["attention_mask"]
    if cache is not None:
        keys, values = cache.update(keys, values, 0)
    rows, n_heads, n_queries, _ = queries.shape
    part = max(1, MAX_SCORES // (n_heads * n_queries * keys.shape[2]))
    if part >= rows or block.has_hooks(Kind.PATTERN):
        heads = _mix(block, queries, keys, values, mask, scale, groups)
    else:
        # A product of each row and head is one of its own, so that fewer rows at a time give the same bits.
        slices = [slice(start, start + part) for start in range(0, rows, part)]
        heads = torch.cat([_mix(block, queries[at], keys[at], values[at], mask[at], scale, groups) for at in slices])
    return block.pass_hooks(Kind.HEAD, heads)


def _mix(
    block: DirectBlock,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    scale: float,
    groups: int,
) -> torch.Tensor:
    keys, values = _repeat(keys, groups), _repeat(values, groups)
    scores = (queries @ keys.transpose(-2, -1)).mul_(scale)
    scores.add_(mask[..., -scores.shape[-2] :, : scores.shape[-1]])
    pattern = block.pass_hooks(Kind.PATTERN, scores.softmax(-1))
    heads = (pattern @ values).transpose(1, 2)
    return heads.reshape(*heads.shape[:2], -1)


def _repeat(x: torch.Tensor, groups: int) -> torch.Tensor:
    if groups == 1:
        return x
    rows, heads, positions, size = x.shape
    return x[:, :, None].expand(rows, heads, groups, positions, size).reshape(rows, heads * groups, positions, size)
