"""Attention from projected queries, keys and values to the heads' outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from audit_core.component import Kind
from audit_core.engine.direct.arithmetic import add, multiply
from audit_core.engine.memory import SCORE_BYTES

if TYPE_CHECKING:
    import torch

    from audit_core.engine.direct.direct_block import DirectBlock


MAX_SCORES = SCORE_BYTES // 4
"""Attention scores in memory at once, unless a hook needs all of them."""


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
    mask = mask[..., -queries.shape[2] :, : keys.shape[2]]
    if block.has_hooks(Kind.PATTERN):
        mixed = _mix(
            queries, keys, values, mask, scale, groups, lambda pattern: block.pass_hooks(Kind.PATTERN, pattern)
        )
    else:
        mixed = _mix_in_parts(queries, keys, values, mask, scale, groups)
    heads = mixed.transpose(1, 2)
    return block.pass_hooks(Kind.HEAD, heads.reshape(*heads.shape[:2], -1))


def _mix_in_parts(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, scale: float, groups: int
) -> torch.Tensor:
    """As `_mix`, so many rows or key-value heads at a time: each row and head has products of its own, and so the same bits."""
    import torch

    rows, n_keys = keys.shape[0], keys.shape[1]
    of_a_head = groups * queries.shape[2] * keys.shape[2]
    n_rows = MAX_SCORES // (n_keys * of_a_head)
    if n_rows >= rows:
        return _mix(queries, keys, values, mask, scale, groups)
    step = n_keys if n_rows else max(1, MAX_SCORES // of_a_head)
    found = []
    for at in (slice(start, start + max(1, n_rows)) for start in range(0, rows, max(1, n_rows))):
        parts = []
        for first in range(0, n_keys, step):
            asked, read = slice(first * groups, (first + step) * groups), slice(first, first + step)
            parts.append(_mix(queries[at, asked], keys[at, read], values[at, read], mask[at], scale, groups))
        found.append(parts[0] if len(parts) == 1 else torch.cat(parts, dim=1))
    return torch.cat(found)


def _mix(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor,
    scale: float,
    groups: int,
    use: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> torch.Tensor:
    """Outputs of the heads, shape (row, head, pos, d_head).

    Args:
        use: called with the pattern, shape (row, head, query, key); what it returns takes its place.
    """
    keys, values = _repeat(keys, groups), _repeat(values, groups)
    scores = add(multiply(queries @ keys.transpose(-2, -1), scale), mask)
    pattern = scores.softmax(-1)
    return (pattern if use is None else use(pattern)) @ values


def _repeat(x: torch.Tensor, groups: int) -> torch.Tensor:
    if groups == 1:
        return x
    rows, heads, positions, size = x.shape
    return x[:, :, None].expand(rows, heads, groups, positions, size).reshape(rows, heads * groups, positions, size)
