"""Applies the edits of one layer at its hook points while the layer runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from audit_core.component import Kind
from audit_core.engine.capture import Capture
from audit_core.engine.pattern_ablation import ablate_pattern, find_visible
from audit_core.engine.replacing import replace_part
from audit_core.engine.sites import HOOKS, HookedModel, SiteEdit
from audit_core.errors import ControlFailed, InterventionRefused
from audit_core.intervention import PATTERN_ABLATIONS, PromptSide, Replacement

if TYPE_CHECKING:
    import torch

    from audit_core.engine.experts import MixtureLayer, Routed

_ORDER = {kind: at for at, kind in enumerate(HOOKS)}


@dataclass(frozen=True, eq=False)
class Sources:
    """Sources of replacement activations."""

    captures: Mapping[PromptSide, Capture]
    means: Mapping[Replacement, Mapping[Kind, torch.Tensor]]
    """Per kind, shape (prompt, layer, ...)."""
    ranges: torch.Tensor | None = None
    """See `Means.ranges`."""

    def read(self, side: PromptSide, edit: SiteEdit) -> Any:
        """Activation of the whole site for the edited prompts, shape (prompt, ...), or None."""
        if edit.replacement in self.means:
            kind = Kind.EDGE if edit.kind is Kind.PATTERN else edit.kind
            return self.means[edit.replacement][kind][:, edit.layer]
        wanted = {Replacement.IDENTITY: side, Replacement.RESAMPLE: side.other}.get(edit.replacement)
        return None if wanted is None else self.captures[wanted].sites[(edit.kind, edit.layer)]


def measure_change(model: HookedModel, edit: SiteEdit, sources: Sources) -> torch.Tensor:
    """Norm of the change of a component by an edit of the clean run; shape (prompt, pos)."""
    import torch

    from audit_core.engine.experts import edit_experts

    clean = sources.captures[PromptSide.CLEAN]
    now, source = clean.sites[edit.kind, edit.layer], sources.read(PromptSide.CLEAN, edit)
    here, there = edit.select(clean.tokens.shape[1], 0)
    generator = torch.Generator().manual_seed(0)
    if edit.kind is Kind.EXPERT:
        layer, part = model.find_point(Kind.EXPERT, edit.layer), now[here]
        put = edit_experts(layer, part, edit, _cut(edit, source, there), generator, restores=False)
        return (put - part.outputs).norm(dim=2)
    put = (
        ablate_pattern(now[here], edit, find_visible(now), clean.tokens, 0, generator)
        if edit.replacement in PATTERN_ABLATIONS
        else replace_part(now[here], edit, _cut(edit, source, there), generator)
    )
    return (put - now[here]).flatten(2).norm(dim=2)


def _cut(edit: SiteEdit, source: Any, there: tuple) -> Any:
    """A source at the edited positions; a mean of experts has no positions."""
    is_expert_mean = edit.kind is Kind.EXPERT and edit.replacement in (Replacement.MEAN, Replacement.MEAN_TEMPLATE)
    return source if source is None or is_expert_mean else source[there]


def keep_in_range(neurons: torch.Tensor, edit: SiteEdit, sources: Sources, start: int) -> torch.Tensor:
    """Neurons between their smallest and largest values on unedited runs.

    Args:
        neurons: of all positions from `start` on; shape (prompt, pos, neuron).

    Raises:
        InterventionRefused: no ranges were captured, or only a position is edited.
    """
    import torch

    if sources.ranges is None or edit.position is not None:
        raise InterventionRefused(
            f"Neurons of layer {edit.layer} kept in range.",
            wanted="ranges of unedited runs, and all positions.",
            remedy="capture the ranges first (`capture_ranges`).",
        )
    low, high = sources.ranges[:, edit.layer].to(neurons)
    # The first token has a range of its own: many models put their largest activations there.
    where = torch.tensor([int(start + at > 0) for at in range(neurons.shape[1])], device=neurons.device)
    return neurons.clamp(low[where], high[where])


def sort_jobs(jobs: Sequence[tuple[int, PromptSide, SiteEdit]]) -> list[tuple[int, PromptSide, SiteEdit]]:
    """Edits of one layer in the order in which its block reaches their sites; features after a stream that is replaced as a
    whole, so that they can be kept in it."""
    return sorted(jobs, key=lambda job: (_ORDER[job[2].kind], job[2].block is not None))


class EditHooks:
    """Applies one layer's edits while its block runs, and counts the applied ones."""

    def __init__(
        self,
        model: HookedModel,
        layer: int,
        jobs: Sequence[tuple[int, PromptSide, SiteEdit]],
        sources: Sources,
        n_prompts: int,
        start: int,
        generator: torch.Generator,
    ) -> None:
        self.model, self.layer, self.sources = model, layer, sources
        self.n_prompts, self.start, self.generator = n_prompts, start, generator
        self.by_kind: dict[Kind, list[tuple[int, PromptSide, SiteEdit]]] = {}
        for job in sort_jobs(jobs):
            self.by_kind.setdefault(job[2].kind, []).append(job)
        self.points: list[Any] = []
        self.applied = 0

    def __enter__(self) -> EditHooks:
        # Look up all sites before hooking any: if entering fails, `__exit__` does not run, and a remaining hook would
        # edit later runs.
        points = [self.model.find_point(kind, self.layer) for kind in self.by_kind]
        for point, (kind, jobs) in zip(points, self.by_kind.items()):
            point.add_hook(self._editor(kind, jobs))
            self.points.append(point)
        return self

    def _editor(self, kind: Kind, jobs: Sequence[tuple[int, PromptSide, SiteEdit]]) -> Any:
        if kind is Kind.EXPERT:
            return self._expert_editor(jobs)
        is_pattern = kind in (Kind.EDGE, Kind.PATTERN)

        def edit(value: torch.Tensor, hook: Any) -> torch.Tensor:
            unedited, value = value, value.clone()
            n_positions = self.start + value.shape[2 if is_pattern else 1]
            for slot, side, job in jobs:
                rows = value[slot * self.n_prompts : (slot + 1) * self.n_prompts]
                here, there = job.select(n_positions, self.start)
                if job.replacement in PATTERN_ABLATIONS:
                    visible = find_visible(unedited[slot * self.n_prompts : (slot + 1) * self.n_prompts])
                    tokens = self.sources.captures[side].tokens
                    rows[here] = ablate_pattern(rows[here], job, visible, tokens, self.start, self.generator)
                elif job.replacement is Replacement.IN_RANGE:
                    rows[here] = keep_in_range(rows[here], job, self.sources, self.start)
                else:
                    put = _cut(job, self.sources.read(side, job), there)
                    rows[here] = replace_part(rows[here], job, put, self.generator)
                self.applied += job.n_edits
            return value

        return edit

    def _expert_editor(self, jobs: Sequence[tuple[int, PromptSide, SiteEdit]]) -> Any:
        from audit_core.engine.experts import edit_experts

        layer: MixtureLayer = self.model.find_point(Kind.EXPERT, self.layer)

        def edit(value: Routed, hook: Any) -> torch.Tensor:
            outputs = value.outputs.clone()
            n_positions = self.start + outputs.shape[1]
            for slot, side, job in jobs:
                rows = slice(slot * self.n_prompts, (slot + 1) * self.n_prompts)
                here, there = job.select(n_positions, self.start)
                part, source = value[rows][here], _cut(job, self.sources.read(side, job), there)
                restores = side is PromptSide.CORRUPTED and job.replacement is Replacement.RESAMPLE
                put = edit_experts(layer, part, job, source, self.generator, restores=restores)
                # As a change, because edits of other experts of this layer may have been applied before.
                outputs[rows][here] += put - part.outputs
                self.applied += job.n_edits
            return outputs

        return edit

    def watch_pattern(self, patterns: dict[int, torch.Tensor]) -> None:
        """Record the pattern of the first joined variant; added after the edits, so that it includes them."""

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
                f"{wanted - self.applied} of {wanted} edits at layer {self.layer} were not applied; no number is reported."
            )
