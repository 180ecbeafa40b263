"""The wavefront: each intervention joins the batch at the first layer it touches, and one pass computes them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from audit_core.component import Kind
from audit_core.engine.capture import Capture, Turn
from audit_core.engine.replay import BlockCall, Prefix, call_block
from audit_core.engine.sites import HOOKS, HookedModel, SiteEdit, group_edits, replace_part
from audit_core.errors import ControlFailed
from audit_core.intervention import Intervention, Replacement, Side

if TYPE_CHECKING:
    import torch

_ORDER = {kind: at for at, kind in enumerate(HOOKS)}


@dataclass(frozen=True, eq=False)
class Variant:
    """One intervention, compiled."""

    side: Side
    edits: tuple[SiteEdit, ...]

    @property
    def first_layer(self) -> int:
        return min(edit.layer for edit in self.edits)

    @property
    def takes_other_run(self) -> bool:
        return any(edit.replacement is Replacement.RESAMPLE for edit in self.edits)

    def find_start(self, n_positions: int, first_difference: int) -> int:
        """The first position at which this variant can differ from its unedited run."""
        return min(edit.find_start(n_positions, first_difference) for edit in self.edits)


def compile_intervention(intervention: Intervention) -> Variant:
    return Variant(intervention.side, group_edits(intervention.edits))


@dataclass(frozen=True, eq=False)
class Wave:
    """Where every variant ended."""

    residual: torch.Tensor
    """Residual stream after the last block at the answer position; shape (variant, prompt, d_model)."""
    edits_applied: int
    patterns: dict[int, torch.Tensor]
    """Attention pattern per layer of the first variant, from the layer it joined; empty unless asked for."""


@dataclass(frozen=True, eq=False)
class Sources:
    """Where replacements take their activations from."""

    captures: Mapping[Side, Capture]
    means: Mapping[Replacement, Mapping[Kind, torch.Tensor]]
    """Per kind, shape (prompt, layer, ...)."""

    def read(self, side: Side, edit: SiteEdit) -> torch.Tensor | None:
        """Activation of the whole site for the edited prompts, shape (prompt, ...)."""
        if edit.replacement in self.means:
            kind = Kind.EDGE if edit.kind is Kind.PATTERN else edit.kind
            return self.means[edit.replacement][kind][:, edit.layer]
        wanted = {Replacement.IDENTITY: side, Replacement.RESAMPLE: side.other}.get(edit.replacement)
        return None if wanted is None else self.captures[wanted].sites[(edit.kind, edit.layer)]


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
    """Run every variant over the captured prompts; exact, in one pass through the layers.

    Rows stand in the order in which variants join, one run of `prompt` rows each.

    Args:
        variants: each with at least one edit.
        start: first position to compute; earlier keys and values come from each variant's own unedited run.
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
        with turn(), _Hooks(model, layer, jobs, sources, n_prompts, start, generator) as hooks:
            if with_patterns:
                hooks.watch_pattern(patterns)
            rows = call_block(model, layer, rows, call, start=start, cache=cache)
        applied += hooks.applied
        on_layer(rows.shape[0] * rows.shape[1])
    assert rows is not None
    ends = rows[:, -1].view(len(variants), n_prompts, -1)
    back = torch.empty(len(variants), dtype=torch.long)
    back[torch.tensor(joined)] = torch.arange(len(variants))
    return Wave(ends[back], applied, patterns)


def _find_prefix(sources: Sources, sides: Sequence[Side], layer: int, start: int) -> Prefix | None:
    if not start:
        return None
    runs = [(side, len(list(members))) for side, members in groupby(sides)]
    return Prefix([(sources.captures[side].keys_values[layer], n) for side, n in runs], start)


class _Hooks:
    """Applies one layer's edits while its block runs, and counts that each one happened."""

    def __init__(
        self,
        model: HookedModel,
        layer: int,
        jobs: Sequence[tuple[int, Side, SiteEdit]],
        sources: Sources,
        n_prompts: int,
        start: int,
        generator: torch.Generator,
    ) -> None:
        self.model, self.layer, self.sources = model, layer, sources
        self.n_prompts, self.start, self.generator = n_prompts, start, generator
        self.by_kind: dict[Kind, list[tuple[int, Side, SiteEdit]]] = {}
        for job in sorted(jobs, key=lambda job: _ORDER[job[2].kind]):
            self.by_kind.setdefault(job[2].kind, []).append(job)
        self.points: list[Any] = []
        self.applied = 0

    def __enter__(self) -> _Hooks:
        # All looked up before any is hooked: `__exit__` does not run when entering fails, and a hook left behind
        # would edit every later run.
        points = [self.model.find_point(kind, self.layer) for kind in self.by_kind]
        for point, (kind, jobs) in zip(points, self.by_kind.items()):
            point.add_hook(self._editor(kind, jobs))
            self.points.append(point)
        return self

    def _editor(self, kind: Kind, jobs: Sequence[tuple[int, Side, SiteEdit]]) -> Any:
        is_pattern = kind in (Kind.EDGE, Kind.PATTERN)

        def edit(value: torch.Tensor, hook: Any) -> torch.Tensor:
            value = value.clone()
            n_positions = self.start + value.shape[2 if is_pattern else 1]
            for slot, side, job in jobs:
                rows = value[slot * self.n_prompts : (slot + 1) * self.n_prompts]
                here, there = job.select(n_positions, self.start)
                source = self.sources.read(side, job)
                rows[here] = replace_part(rows[here], job, None if source is None else source[there], self.generator)
                self.applied += job.n_edits
            return value

        return edit

    def watch_pattern(self, patterns: dict[int, torch.Tensor]) -> None:
        """Keep the pattern of the first joined variant; added after the edits, so it sees them."""

        def keep(value: torch.Tensor, hook: Any) -> None:
            patterns[self.layer] = value[: self.n_prompts].detach()

        point: Any = self.model.find_point(Kind.EDGE, self.layer)
        point.add_hook(keep)
        self.points.append(point)

    def __exit__(self, kind: object, *_: object) -> None:
        for point in self.points:
            point.remove_hooks()
        wanted = sum(job.n_edits for jobs in self.by_kind.values() for _, _, job in jobs)
        if kind is None and self.applied != wanted:
            raise ControlFailed(
                f"{wanted - self.applied} of {wanted} edits at layer {self.layer} did not reach their activation; no number is shown."
            )
