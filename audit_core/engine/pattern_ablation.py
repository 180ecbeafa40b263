"""Pattern ablations: attention weights made uniform, or permuted over keys; the first token keeps its weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from audit_core.engine.sites import SiteEdit, locate_position
from audit_core.errors import InterventionRefused
from audit_core.intervention import Replacement

if TYPE_CHECKING:
    import torch


def find_visible(weights: torch.Tensor) -> torch.Tensor:
    """Visible keys of each query: from the first to the last key with weight in any head of the layer.

    Heads of a layer share one mask, causal or windowed; masked weights are exactly zero.

        Args:
            weights: the layer's unedited patterns, shape (row, head, query, key).

        Returns:
            Shape (row, query, key).
    """
    seen = (weights > 0).any(1)
    return seen.int().cummax(-1).values.bool() & seen.flip(-1).int().cummax(-1).values.flip(-1).bool()


def ablate_pattern(
    part: torch.Tensor,
    edit: SiteEdit,
    visible: torch.Tensor,
    tokens: torch.Tensor,
    start: int,
    generator: torch.Generator,
) -> torch.Tensor:
    """New patterns of these heads.

    A permutation depends only on seed, layer, head and tokens of the prompt, so that it does not depend on how work is
    divided.

        Args:
            part: current patterns; shape (row, head of the edit, query of the edit, key).
            visible: of all running queries; shape (row, query, key).
            tokens: tokens of the edited run; shape (row, pos).
            start: first position of the running tensor.
    """
    import torch

    n_positions = tokens.shape[1]
    queries = slice(start, n_positions)
    if edit.position is not None:
        at = locate_position(edit.position, n_positions)
        queries = slice(at, at + 1)
    movable = visible[:, queries.start - start : queries.stop - start].clone()
    movable[..., 0] = False
    movable = movable[:, None].expand_as(part)
    if edit.replacement is Replacement.UNIFORM:
        moved = (part * movable).sum(-1, keepdim=True)
        return torch.where(movable, moved / movable.sum(-1, keepdim=True).clamp(min=1), part)
    if edit.replacement is not Replacement.PERMUTED:
        raise InterventionRefused(
            f"A pattern ablated by {edit.replacement}.", wanted="uniform or permuted.", remedy="report this defect."
        )
    # Ordered on the CPU, so that every device has the same permutation.
    movable = movable.cpu()
    ranks = _draw_ranks(generator.initial_seed(), edit, tokens)[:, :, queries]
    place = torch.arange(n_positions, dtype=ranks.dtype)
    fixed = 1 + place.expand(part.shape)
    before = torch.where(movable, place / n_positions, fixed).argsort(-1).to(part.device)
    after = torch.where(movable, ranks, fixed).argsort(-1).to(part.device)
    return part.scatter(-1, before, part.gather(-1, after))


def _draw_ranks(seed: int, edit: SiteEdit, tokens: torch.Tensor) -> torch.Tensor:
    """Sort keys in [0, 1) that define the permutation; shape (row, head, query, key)."""
    import torch

    n = tokens.shape[1]
    drawn = [
        [np.random.default_rng([seed, edit.layer, head, *row]).random((n, n)) for head in edit.indices]
        for row in tokens.tolist()
    ]
    return torch.from_numpy(np.array(drawn))
