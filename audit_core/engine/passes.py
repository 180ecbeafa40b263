"""Plan of a run layer by layer: passes through the layers, each with as many waves as fit in memory, and the noise of each wave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit_core.engine.hooks import sort_jobs
from audit_core.engine.plan import Chunk, Group
from audit_core.engine.sites import SiteEdit, find_site_shape
from audit_core.engine.wave import Variant, list_jobs, order_variants
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Geometry

if TYPE_CHECKING:
    import torch

ROWS_BYTES = 1024**3
"""Memory for the residual streams of all waves of one pass; more interventions or prompts need more passes."""
_CAPTURED = 8
"""Float32 copies of the residual stream that one layer of an unedited run holds: residual, sites, keys and values."""


@dataclass(frozen=True)
class Part:
    """What one pass runs of one group of prompts: its unedited runs, and some of its waves."""

    number: int
    """Of the group."""
    group: Group
    chunks: tuple[int, ...]
    """Indices in `Group.chunks`."""
    is_first: bool
    """Whether no earlier pass ran this group."""

    @property
    def work(self) -> int:
        """Rows × positions × layers."""
        return self.group.capture_work + sum(self.group.chunks[i].work for i in self.chunks)


@dataclass(frozen=True)
class Pass:
    """One pass through all layers."""

    parts: tuple[Part, ...]
    rows_bytes: int
    """Residual streams that are kept from layer to layer."""


def plan_passes(
    groups: Sequence[Group], lengths: Sequence[int], geometry: Geometry, *, room: int = ROWS_BYTES
) -> tuple[Pass, ...]:
    """Fill each pass with groups and their waves in order, until their rows fill the room.

    Args:
        lengths: tokens of each group's prompts.
    """
    passes: list[Pass] = []
    parts: list[Part] = []
    held = 0
    for number, (group, length) in enumerate(zip(groups, lengths, strict=True)):
        captured = _CAPTURED * 4 * geometry.d_model * group.capture_work // geometry.n_layers
        waiting: list[int] = []
        is_first, is_open = True, False
        for at, chunk in enumerate(group.chunks):
            needed = count_rows(group, chunk, length) * 4 * geometry.d_model
            if (parts or waiting) and held + needed + (0 if is_open else captured) > room:
                if is_open:
                    parts.append(Part(number, group, tuple(waiting), is_first))
                    is_first = False
                passes.append(Pass(tuple(parts), held))
                parts, waiting, held, is_open = [], [], 0, False
            held += needed + (0 if is_open else captured)
            is_open = True
            waiting.append(at)
        if not is_open:
            held += captured
        parts.append(Part(number, group, tuple(waiting), is_first))
    return (*passes, Pass(tuple(parts), held))


def list_lengths(groups: Sequence[Group], prompts: TokenisedPrompts) -> list[int]:
    """Tokens of each group's prompts."""
    return [len(prompts.pairs[group.prompts[0]].clean_ids) for group in groups]


def count_rows(group: Group, chunk: Chunk, length: int) -> int:
    """Rows × positions of a wave after its last variant has joined."""
    return len(chunk.variants) * len(group.prompts) * (length - chunk.start)


def draw_states(
    groups: Sequence[Group],
    lengths: Sequence[int],
    variants: Sequence[Variant],
    geometry: Geometry,
    generator: torch.Generator,
) -> list[list[torch.Tensor | None]]:
    """State of the random generator at the beginning of each wave, as if waves ran one after the other.

    Waves that run one after the other share one generator. Here they take turns at each layer, so that each has a
    generator of its own, which begins where that one would be; the draws between are made here and thrown away.

    Args:
        generator: of the run; left where it would be after these waves.

    Returns:
        By group and wave; None for a wave that draws nothing.
    """
    import torch

    states: list[list[torch.Tensor | None]] = []
    for group, length in zip(groups, lengths, strict=True):
        states.append([])
        for chunk in group.chunks:
            chosen = [variants[i] for i in chunk.variants]
            shapes = _list_noise(chosen, geometry, len(group.prompts), length, chunk.start)
            states[-1].append(generator.get_state() if shapes else None)
            for shape in shapes:
                torch.randn(shape, generator=generator, dtype=torch.float32)
    return states


def _list_noise(
    variants: Sequence[Variant], geometry: Geometry, n_prompts: int, length: int, start: int
) -> list[tuple[int, ...]]:
    """Shapes of the noise that a wave draws, in order; see `replacing.disturb`."""
    if not any(edit.replacement is Replacement.NOISE for variant in variants for edit in variant.edits):
        return []
    shapes, order = [], order_variants(variants)
    for layer in range(geometry.n_layers):
        joined = [i for i in order if variants[i].first_layer <= layer]
        for _, _, edit in sort_jobs(list_jobs(variants, joined, layer)):
            if edit.replacement is Replacement.NOISE:
                shapes.append(_shape_of(edit, geometry, n_prompts, length, start))
    return shapes


def _shape_of(edit: SiteEdit, geometry: Geometry, n_prompts: int, length: int, start: int) -> tuple[int, ...]:
    """Shape of the part of a site that an edit replaces."""
    import torch

    whole = find_site_shape(edit.kind, geometry, length - start, length)
    here, _ = edit.select(length, start)
    part = tuple(torch.empty((n_prompts, *whole), device="meta")[here].shape)
    return part if edit.direction is None else (*part[:-1], 1)
