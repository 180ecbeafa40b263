"""Positions of an encoder–decoder's prompt, in source and target, and the edits that it takes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from audit_core.component import Kind
from audit_core.engine.sites import locate_position
from audit_core.errors import ComponentRefused, InterventionRefused, PromptRefused
from audit_core.intervention import Edit, Intervention, Replacement
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Geometry, Means

if TYPE_CHECKING:
    import torch

HEADS = (Kind.ENCODER_HEAD, Kind.DECODER_HEAD, Kind.CROSS_HEAD)
"""Kinds of heads of an encoder–decoder."""
_IN_ENCODER = (Kind.SOURCE, Kind.ENCODER_HEAD)
_OF_EDGES = (Replacement.ZERO, Replacement.IDENTITY, Replacement.NOISE)
_OF_PARTS = (
    Replacement.ZERO, Replacement.MEAN, Replacement.MEAN_TEMPLATE, Replacement.RESAMPLE, Replacement.SCALE,
    Replacement.ADD, Replacement.IDENTITY, Replacement.NOISE,
)  # fmt: skip
_MOST_POSITIONS = 100_000


def find_middle(pair: TokenPair, start_id: int) -> int:
    """Length of the source: the place of the decoder's start token.

    Raises:
        PromptRefused: the token does not occur exactly once, or at another place in the two prompts of the pair.
    """
    places = [[at for at, token in enumerate(ids) if token == start_id] for ids in (pair.clean_ids, pair.corrupted_ids)]
    if len(places[0]) != 1 or places[0] != places[1] or places[0][0] == 0:
        raise PromptRefused(
            f"Prompt {pair.prompt.id[:60]!r} has no source and target: the decoder's start token occurs {len(places[0])} times.",
            wanted="a source, the start token once, and the beginning of the target; at the same place in both prompts.",
            remedy="write the start token between source and target, or use a decoder-only model.",
        )
    return places[0][0]


def shape_key(length: int, middle: int) -> int:
    """One number for both lengths of a prompt, in the keys of `Means`."""
    return length * _MOST_POSITIONS + middle


def localise(edit: Edit, middle: int, length: int) -> Edit:
    """The edit with positions that count from the beginning of its own side; the last is -1 on both sides.

    Raises:
        InterventionRefused: the position is on the other side, or outside the prompt.
    """
    part = edit.component
    position, key = part.position, part.key
    begin, end = (0, middle) if part.kind in _IN_ENCODER else (middle, length)
    if position is not None:
        position = _place(edit, position, begin, end)
    if key is not None:
        key = _place(edit, key, 0, middle)
    return (
        edit
        if (position, key) == (part.position, part.key)
        else replace(edit, component=replace(part, position=position, key=key))
    )


def _place(edit: Edit, position: int, begin: int, end: int) -> int:
    if position < 0:
        return locate_position(position, end - begin)
    if not begin <= position < end:
        raise InterventionRefused(
            f"{edit.component}: position {position}.",
            wanted=f"{begin} to {end - 1}, the {'source' if not begin else 'target'} of this prompt.",
            remedy="choose a position on that side.",
        )
    return position - begin


def check_edits(interventions: Sequence[Intervention], geometry: Geometry, sites: Collection[tuple[Kind, int]]) -> None:
    """Check edits against the model, before the run.

    Raises:
        ComponentRefused: the model has no such layer, head or kind of component.
        InterventionRefused: this replacement is not possible at this component.
    """
    for edit in (edit for intervention in interventions for edit in intervention.edits):
        part = edit.component
        n_indices = 1 if part.kind is Kind.SOURCE else geometry.n_heads
        if (part.kind, part.layer) not in sites or not 0 <= part.index < n_indices:
            layers = [layer for kind, layer in sites if kind is part.kind]
            found = f"{part}" if layers else f"{part}, an address of another architecture"
            raise ComponentRefused(
                f"{found}: not in this encoder–decoder.",
                wanted=f"layers of the encoder and the decoder, heads 0–{geometry.n_heads - 1}: L0.EH0, L0.DH0, L0.XH0 or L0.SOURCE.",
                remedy="choose a component of the list.",
            )
        is_edge = part.kind is Kind.CROSS_EDGE
        masks_all = is_edge and edit.replacement is Replacement.ZERO and part.key is None
        if edit.replacement not in (_OF_EDGES if is_edge else _OF_PARTS) or masks_all:
            raise InterventionRefused(
                f"{edit}.",
                wanted="for an edge of cross-attention zero, with its source position; for heads and source zero, mean or resample.",
                remedy="choose another replacement or component.",
            )
        size = geometry.d_model if part.kind is Kind.SOURCE else geometry.d_head
        if edit.direction is not None and len(edit.direction) != size:
            raise InterventionRefused(
                f"A direction of {len(edit.direction)} numbers at {part}.",
                wanted=f"{size} numbers.",
                remedy="give a direction in that component's space.",
            )


def gather_means(
    means: Means | None, pairs: Sequence[TokenPair], middle: int, replacement: Replacement
) -> dict[Kind, torch.Tensor]:
    """Reference means aligned with prompts of one shape; per kind, shape (prompt, layer, ...).

    Raises:
        InterventionRefused: fewer than two reference prompts of that shape (and template).
    """
    import torch

    by_template = replacement is Replacement.MEAN_TEMPLATE
    keys = [(shape_key(len(p.clean_ids), middle), p.prompt.template if by_template else "") for p in pairs]
    for key, pair in zip(keys, pairs, strict=True):
        if means is None or means.n_prompts.get(key, 0) < 2:
            raise InterventionRefused(
                f"No mean for prompt {pair.prompt.id} with {middle} tokens of source and {len(pair.clean_ids) - middle} of target.",
                wanted="at least two reference prompts of those lengths (and template).",
                remedy="choose resample or zero, or a prompt set as reference.",
            )
    assert means is not None
    found: Mapping[Kind, Any] = means.activations[keys[0]]
    return {
        kind: torch.stack([torch.from_numpy(means.activations[key][kind].copy()) for key in keys]) for kind in found
    }
