"""Wavefront: each intervention joins the batch at its first edited layer; one pass computes all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
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

    @cached_property
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

    finals: torch.Tensor
    """Input of the readout at the last positions, as in `Capture.finals`; shape (variant, prompt, pos, width)."""
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
    n_last: int = 1,
    with_patterns: bool = False,
) -> Wave:
    """Run all variants on the captured prompts; exact, in one pass through the layers.

    Rows are in the order in which variants join, one group of `prompt` rows each.

        Args:
            variants: each with at least one edit.
            start: first computed position; earlier keys and values come from each variant's unedited run.
            on_layer: called after each block with the rows × positions it ran.
            n_last: how many last positions are returned.

        Raises:
            ControlFailed: an edit's hook did not fire.
    """
    steps = WaveSteps(model, variants, start=start, generator=generator, turn=turn, with_patterns=with_patterns)
    for layer, call in enumerate(calls):
        steps.run_layer(layer, call, sources, on_layer, at=layer)
    return steps.finish(n_last)


def order_variants(variants: Sequence[Variant]) -> list[int]:
    """Indices of variants in the order in which they join a wave."""
    return sorted(range(len(variants)), key=lambda i: variants[i].first_layer)


class WaveSteps:
    """A wave that is run layer by layer, so that several waves can use a layer's weights in turn."""

    def __init__(
        self,
        model: HookedModel,
        variants: Sequence[Variant],
        *,
        start: int,
        generator: torch.Generator,
        turn: Turn,
        with_patterns: bool = False,
    ) -> None:
        self.model, self.variants, self.start, self.generator, self.turn = model, variants, start, generator, turn
        self._with_patterns = with_patterns
        self._order = order_variants(variants)
        self._joined: list[int] = []
        self._rows: torch.Tensor | None = None
        self._n_prompts = self._applied = 0
        self.patterns: dict[int, torch.Tensor] = {}
        """Filled layer by layer if asked for; see `Wave.patterns`."""

    def run_layer(
        self, layer: int, call: BlockCall, sources: Sources, on_layer: Callable[[int], None], *, at: int
    ) -> None:
        """Run one block on all variants that have joined; layers must come in order.

        Args:
            at: place of this layer in the residuals, keys and values of the unedited runs; 0 if they hold it alone.
        """
        import torch

        self._n_prompts = len(next(iter(sources.captures.values())).tokens)
        joining = [i for i in self._order[len(self._joined) :] if self.variants[i].first_layer <= layer]
        self._joined += joining
        entering = [sources.captures[self.variants[i].side].residuals[at][:, self.start :] for i in joining]
        if entering:
            self._rows = torch.cat(([self._rows] if self._rows is not None else []) + entering)
        if self._rows is None:
            return
        jobs = list_jobs(self.variants, self._joined, layer)
        cache = _find_prefix(sources, [self.variants[i].side for i in self._joined], at, self.start)
        hooks = EditHooks(self.model, layer, jobs, sources, self._n_prompts, self.start, self.generator)
        with self.turn(), hooks:
            if self._with_patterns and (Kind.EDGE, layer) in self.model.points:
                hooks.watch_pattern(self.patterns)
            self._rows = call_block(self.model, layer, self._rows, call, start=self.start, cache=cache)
        self._applied += hooks.applied
        on_layer(self._rows.shape[0] * self._rows.shape[1])

    def finish(self, n_last: int = 1) -> Wave:
        """Final states at the last positions, after the last layer."""
        import torch

        assert self._rows is not None
        ends = self._rows[:, -n_last:].reshape(len(self.variants), self._n_prompts, n_last, -1)
        back = torch.empty(len(self.variants), dtype=torch.long)
        back[torch.tensor(self._joined)] = torch.arange(len(self.variants))
        return Wave(ends[back.to(ends.device)], self._applied, self.patterns)


def list_jobs(variants: Sequence[Variant], joined: Sequence[int], layer: int) -> list[tuple[int, PromptSide, SiteEdit]]:
    """Edits of one layer, each with the place of its variant among the joined ones."""
    return [(slot, variants[i].side, e) for slot, i in enumerate(joined) for e in variants[i].edits if e.layer == layer]


def _find_prefix(sources: Sources, sides: Sequence[PromptSide], at: int, start: int) -> Prefix | None:
    if not start:
        return None
    runs = [(side, len(list(members))) for side, members in groupby(sides)]
    return Prefix([(sources.captures[side].keys_values[at], n) for side, n in runs], start)
