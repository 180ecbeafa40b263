"""Wavefront: each intervention joins the batch at its first edited layer; one pass computes all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from audit_core.component import Kind
from audit_core.engine.capture import Turn
from audit_core.engine.hooks import EditHooks, Sources
from audit_core.engine.replay import BlockCall, Prefix, call_block
from audit_core.engine.sites import HookedModel, SiteEdit, group_edits
from audit_core.intervention import Intervention, PromptSide, Replacement

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, eq=False)
class Variant:
    """One intervention, compiled."""

    side: PromptSide
    edits: tuple[SiteEdit, ...]

    @property
    def first_layer(self) -> int:
        return min(edit.layer for edit in self.edits)

    @property
    def takes_other_run(self) -> bool:
        return any(edit.replacement is Replacement.RESAMPLE for edit in self.edits)

    def find_start(self, n_positions: int, first_difference: int) -> int:
        """First position at which this variant can differ from its unedited run."""
        return min(edit.find_start(n_positions, first_difference) for edit in self.edits)


def compile_intervention(intervention: Intervention) -> Variant:
    return Variant(intervention.side, group_edits(intervention.edits))


@dataclass(frozen=True, eq=False)
class Wave:
    """Final states of all variants."""

    ends: torch.Tensor
    """Input of the readout, as in `Capture.ends`; shape (variant, prompt, width)."""
    edits_applied: int
    patterns: dict[int, torch.Tensor]
    """Attention pattern per layer of the first variant, from the layer it joined; empty unless requested."""


def run_wave(
    model: HookedModel,
    calls: Sequence[BlockCall],
    sources: Sources,
    variants: Sequence[Variant],
    *,
    start: int,
    generator: torch.Generator,
    turn: Turn,
    on_layer: Callable[[int], None],
    with_patterns: bool = False,
) -> Wave:
    """Run all variants on the captured prompts; exact, in one pass through the layers.

    Rows are in the order in which variants join, one group of `prompt` rows each.

        Args:
            variants: each with at least one edit.
            start: first computed position; earlier keys and values come from each variant's unedited run.
            on_layer: called after each block with the rows × positions it ran.

        Raises:
            ControlFailed: an edit's hook did not fire.
    """
    import torch

    n_prompts = next(iter(sources.captures.values())).residuals[0].shape[0]
    order = sorted(range(len(variants)), key=lambda i: variants[i].first_layer)
    joined: list[int] = []
    rows: torch.Tensor | None = None
    applied = 0
    patterns: dict[int, torch.Tensor] = {}
    for layer, call in enumerate(calls):
        joining = [i for i in order[len(joined) :] if variants[i].first_layer <= layer]
        joined += joining
        entering = [sources.captures[variants[i].side].residuals[layer][:, start:] for i in joining]
        rows = torch.cat(([rows] if rows is not None else []) + entering) if entering else rows
        if rows is None:
            continue
        jobs = [
            (slot, variants[i].side, e) for slot, i in enumerate(joined) for e in variants[i].edits if e.layer == layer
        ]
        cache = _find_prefix(sources, [variants[i].side for i in joined], layer, start)
        with turn(), EditHooks(model, layer, jobs, sources, n_prompts, start, generator) as hooks:
            if with_patterns and (Kind.EDGE, layer) in model.points:
                hooks.watch_pattern(patterns)
            rows = call_block(model, layer, rows, call, start=start, cache=cache)
        applied += hooks.applied
        on_layer(rows.shape[0] * rows.shape[1])
    assert rows is not None
    ends = rows[:, -1].view(len(variants), n_prompts, -1)
    back = torch.empty(len(variants), dtype=torch.long)
    back[torch.tensor(joined)] = torch.arange(len(variants))
    return Wave(ends[back], applied, patterns)


def _find_prefix(sources: Sources, sides: Sequence[PromptSide], layer: int, start: int) -> Prefix | None:
    if not start:
        return None
    runs = [(side, len(list(members))) for side, members in groupby(sides)]
    return Prefix([(sources.captures[side].keys_values[layer], n) for side, n in runs], start)
