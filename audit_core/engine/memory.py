"""Memory that runs need, counted before they start, and what is refused for want of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from audit_core.component import Kind
from audit_core.engine.sites import find_kind, find_site_shape
from audit_core.errors import InterventionRefused, PromptRefused
from audit_core.intervention import Intervention
from audit_core.subject import Geometry

if TYPE_CHECKING:
    from audit_core.engine.sites import HookedModel

KEPT_BYTES = 256 * 1024**2
"""Unedited runs of one group of prompts that are kept whole; larger ones are run layer by layer with the waves."""
MOST_KEPT_BYTES = 2 << 30
"""The same for what can only be computed from all layers at once, such as connections and lenses."""
ROW_BYTES = 2 << 30
"""Activations of one block on one prompt: a batch cannot be smaller."""
PATTERN_BYTES = 300_000_000
"""Patterns of all heads on one prompt: at 512 tokens, those of the default model take 283 MB."""
GRADIENT_BYTES = 5 << 30
"""Activations that one backward pass keeps: eight rows of 256 tokens of the default model take 4.5 GB."""
SCORE_BYTES = 128 * 1024**2
"""Attention scores at once in blocks that are run directly; see `direct.attention`."""
_COPIES, _MAPS = 12, 3
"""Float32 copies within a block of the residual stream, the wider MLP included, and of the attention maps."""
_PATTERNS = (Kind.EDGE, Kind.PATTERN)
_LONGEST = 1 << 20


def measure_kept(geometry: Geometry, kinds: Collection[Kind], rows: int, length: int) -> int:
    """Bytes of unedited runs of all layers: input, keys, values and sites of each."""
    numbers = length * (geometry.d_model + 2 * geometry.n_key_value_heads * geometry.d_head)
    for kind in kinds:
        # Of experts, the input and the output of the layer are kept.
        shape = (
            (length, 2 * geometry.d_model) if kind is Kind.EXPERT else find_site_shape(kind, geometry, length, length)
        )
        numbers += int(np.prod(shape))
    return 4 * rows * geometry.n_layers * numbers


def check_kept(geometry: Geometry, kinds: Collection[Kind], rows: int, length: int) -> None:
    """Refuse unedited runs that cannot be kept in memory.

    Raises:
        InterventionRefused: they take more than `MOST_KEPT_BYTES`.
    """
    if (needed := measure_kept(geometry, kinds, rows, length)) > MOST_KEPT_BYTES:
        named = ", ".join(sorted(kind.value for kind in kinds)) or "no component"
        raise InterventionRefused(
            f"Unedited runs of {length:,} tokens with {named} of all layers take {needed / 1e9:.1f} GB.",
            wanted=f"at most {MOST_KEPT_BYTES / 1e9:.1f} GB.",
            remedy="choose shorter prompts, or a sweep of heads or MLPs, which keeps one layer at a time.",
        )


def check_row(model: HookedModel, geometry: Geometry, interventions: Sequence[Intervention], length: int) -> None:
    """Refuse prompts of which one alone does not fit.

    Raises:
        PromptRefused: one block on one prompt of this length needs more than `ROW_BYTES`.
    """
    is_in_parts = len(model.direct) == model.n_layers and not any(
        find_kind(edit) in _PATTERNS for intervention in interventions for edit in intervention.edits
    )
    _check_block(geometry, length, is_in_parts=is_in_parts)


def check_pattern(geometry: Geometry, length: int) -> None:
    """Refuse the pattern of one head where those of its layer do not fit.

    Raises:
        PromptRefused: its block with patterns of all its heads needs more than `ROW_BYTES`.
    """
    _check_block(geometry, length, is_in_parts=False)


def _check_block(geometry: Geometry, length: int, *, is_in_parts: bool) -> None:
    if (needed := measure_row(geometry, length, is_in_parts=is_in_parts)) > ROW_BYTES:
        fits, longest = 0, min(length, _LONGEST)
        while longest - fits > 1:
            middle = (fits + longest) // 2
            if measure_row(geometry, middle, is_in_parts=is_in_parts) > ROW_BYTES:
                longest = middle
            else:
                fits = middle
        raise PromptRefused(
            f"One block of this model on a prompt of {length:,} tokens needs {needed / 1e9:.1f} GB.",
            wanted=f"at most {ROW_BYTES / 1e9:.1f} GB: up to {fits:,} tokens on this model.",
            remedy="shorten the prompt, or choose a smaller model.",
        )


def measure_row(geometry: Geometry, length: int, *, is_in_parts: bool) -> int:
    """Bytes that one block needs for one prompt.

    Args:
        is_in_parts: whether attention is computed some heads at a time.
    """
    maps = 4 * geometry.n_heads * length**2
    streams = 4 * length * (_COPIES * geometry.d_model + _MAPS * geometry.n_neurons)
    return streams + _MAPS * (min(maps, SCORE_BYTES) if is_in_parts else maps)


def check_patterns(geometry: Geometry, length: int) -> None:
    """Refuse patterns of all heads that are too large to draw or compare.

    Raises:
        InterventionRefused: they take more than `PATTERN_BYTES`.
    """
    each = 4 * geometry.n_layers * geometry.n_heads
    if (needed := each * length**2) > PATTERN_BYTES:
        raise InterventionRefused(
            f"Attention patterns of all heads on a prompt of {length:,} tokens take {needed / 1e6:,.0f} MB.",
            wanted=f"at most {PATTERN_BYTES / 1e6:.0f} MB: up to {int((PATTERN_BYTES / each) ** 0.5):,} tokens on this model.",
            remedy="choose a shorter prompt, or measure the heads, which takes no patterns.",
        )


def check_gradients(geometry: Geometry, rows: int, length: int) -> None:
    """Refuse a backward pass that does not fit.

    Raises:
        InterventionRefused: its activations take more than `GRADIENT_BYTES`.
    """
    numbers = length * (_COPIES * geometry.d_model + _MAPS * geometry.n_neurons)
    needed = 4 * rows * geometry.n_layers * (numbers + _MAPS * geometry.n_heads * length**2)
    if needed > GRADIENT_BYTES:
        raise InterventionRefused(
            f"A backward pass over {rows} × {length:,} tokens keeps {needed / 1e9:.1f} GB.",
            wanted=f"at most {GRADIENT_BYTES / 1e9:.1f} GB.",
            remedy="measure exactly, without gradients, or choose shorter prompts.",
        )
