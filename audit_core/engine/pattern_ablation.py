"""Attention patterns re-aimed: the same weights spread evenly, or dealt to other keys; the first token is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from audit_core.engine.sites import SiteEdit, locate_position
from audit_core.errors import InterventionRefused
from audit_core.intervention import Replacement

if TYPE_CHECKING:
    import torch


def find_visible(weights: torch.Tensor) -> torch.Tensor:
    """Which keys each query may see: from the first on which any head of the layer puts weight, to the last.

    The heads of a layer share one mask, causal or with a window; a masked weight is exactly zero.

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
    """What stands in place of these heads' patterns.

    A shuffle depends on the run's seed, the layer, the head and the prompt's tokens alone, so that it is the same however
    work is cut.

    Args:
        part: the patterns now; shape (row, head of the edit, query of the edit, key).
        visible: of all running queries; shape (row, query, key).
        tokens: of the run that is edited; shape (row, pos).
        start: position at which the running tensor begins.
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
            f"A pattern re-aimed by {edit.replacement}.", wanted="uniform or permuted.", remedy="report this defect."
        )
    ranks = _draw_ranks(generator.initial_seed(), edit, tokens)[:, :, queries].to(part.device)
    place = torch.arange(n_positions, device=part.device, dtype=ranks.dtype)
    fixed = 1 + place.expand_as(part)
    before = torch.where(movable, place / n_positions, fixed).argsort(-1)
    after = torch.where(movable, ranks, fixed).argsort(-1)
    return part.scatter(-1, before, part.gather(-1, after))


def _draw_ranks(seed: int, edit: SiteEdit, tokens: torch.Tensor) -> torch.Tensor:
    """A number in [0, 1) for each key of each query, by whose order weights are dealt; shape (row, head, query, key)."""
    import torch

    n = tokens.shape[1]
    drawn = [
        [np.random.default_rng([seed, edit.layer, head, *row]).random((n, n)) for head in edit.indices]
        for row in tokens.tolist()
    ]
    return torch.from_numpy(np.array(drawn))
