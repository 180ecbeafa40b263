"""Hooks of an encoder–decoder: where its parts are, and the edits of one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from audit_core.component import Kind
from audit_core.engine.replacing import replace_part
from audit_core.engine.sites import SiteEdit, group_edits, locate_position
from audit_core.engine.source_positions import HEADS, localise
from audit_core.errors import ControlFailed
from audit_core.intervention import Intervention, PromptSide, Replacement

if TYPE_CHECKING:
    from audit_core.engine.encoder_decoder import EncoderDecoderRunner

MASK_NOISE = 1_000.0
"""Noise of the control on attention scores, before the softmax: T5 does not scale its scores, and a trained head may have a
margin above ten, which smaller noise leaves as it is."""
Site = tuple[Kind, int]


@dataclass(frozen=True, eq=False)
class Unedited:
    """Activations of the runs of some prompts without edits."""

    sites: Mapping[PromptSide, Mapping[Site, torch.Tensor]]
    """Per side, (kind, layer) → shape (prompt, pos, head, d_head); of the source (prompt, pos, d_model)."""
    means: Mapping[Replacement, Mapping[Kind, torch.Tensor]]
    """Per kind, shape (prompt, layer, ...)."""

    def read(self, side: PromptSide, edit: SiteEdit) -> torch.Tensor | None:
        """What an edit puts in, for all positions; None if it needs no source."""
        if edit.replacement in self.means:
            return self.means[edit.replacement][edit.kind][:, edit.layer]
        wanted = {Replacement.IDENTITY: side, Replacement.RESAMPLE: side.other}.get(edit.replacement)
        return None if wanted is None else self.sites[wanted][edit.kind, edit.layer]


def find_modules(model: Any) -> dict[Site, Any]:
    """Module of each site: output projections, whose input is the heads' outputs, and cross-attentions."""
    found: dict[Site, Any] = {(Kind.SOURCE, 0): model.get_input_embeddings()}
    for layer, block in enumerate(model.encoder.block):
        found[Kind.ENCODER_HEAD, layer] = block.layer[0].SelfAttention.o
    for layer, block in enumerate(model.decoder.block):
        found[Kind.DECODER_HEAD, layer] = block.layer[0].SelfAttention.o
        found[Kind.CROSS_HEAD, layer] = block.layer[1].EncDecAttention.o
        found[Kind.CROSS_EDGE, layer] = block.layer[1].EncDecAttention
    return found


Jobs = dict[Site, list[tuple[int, PromptSide, SiteEdit]]]


class EditHooks:
    """Applies the edits of one forward pass, and counts them."""

    def __init__(
        self, runner: EncoderDecoderRunner, jobs: Jobs, unedited: Unedited, n_prompts: int, generator: torch.Generator
    ) -> None:
        self.modules, self.n_heads = runner.modules, runner.geometry.n_heads
        self.jobs, self.unedited = jobs, unedited
        self.n_prompts, self.generator, self.neutral = n_prompts, generator, runner.neutral
        self.applied = 0
        self._handles: list[Any] = []

    def __enter__(self) -> EditHooks:
        for site in self.jobs:
            if site[0] in HEADS:
                self._handles.append(self.modules[site].register_forward_pre_hook(self._edit_heads(site)))
            elif site[0] is Kind.CROSS_EDGE:
                self._handles.append(
                    self.modules[site].register_forward_pre_hook(self._mask_edges(site), with_kwargs=True)
                )
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for handle in self._handles:
            handle.remove()
        wanted = sum(job.n_edits for jobs in self.jobs.values() for *_, job in jobs)
        if kind is None and self.applied != wanted:
            raise ControlFailed(f"{wanted - self.applied} of {wanted} edits were not applied; no number is reported.")

    def edit_source(self, value: torch.Tensor) -> torch.Tensor:
        """The embeddings that enter the encoder."""
        return self._replace(value.clone(), (Kind.SOURCE, 0)) if (Kind.SOURCE, 0) in self.jobs else value

    def _edit_heads(self, site: Site) -> Callable[[Any, Any], tuple[torch.Tensor]]:
        def edit(module: Any, args: Any) -> tuple[torch.Tensor]:
            value = args[0].view(*args[0].shape[:2], self.n_heads, -1).clone()
            return (self._replace(value, site).flatten(2),)

        return edit

    def _replace(self, value: torch.Tensor, site: Site) -> torch.Tensor:
        for slot, side, job in self.jobs[site]:
            rows = value[slot * self.n_prompts : (slot + 1) * self.n_prompts]
            here, there = job.select(value.shape[1], 0)
            source = self.unedited.read(side, job)
            put = None if source is None else source[there]
            rows[here] = replace_activation(rows[here], job, put, self.neutral, self.generator)
            self.applied += job.n_edits
        return value

    def _mask_edges(self, site: Site) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
        """Masks an edge before the softmax, so that the other source tokens share its weight."""

        def edit(module: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
            rows, n_target = args[0].shape[:2]
            n_source = kwargs["key_value_states"].shape[1]
            mask = torch.zeros(rows, module.n_heads, n_target, n_source)
            if kwargs.get("mask") is not None:
                mask = mask + kwargs["mask"]
            for slot, _, job in self.jobs[site]:
                part = mask[slot * self.n_prompts : (slot + 1) * self.n_prompts]
                where = (
                    slice(None),
                    list(job.indices),
                    _span(job.position, n_target),
                    _span(job.key, n_source),
                )
                if job.replacement is Replacement.ZERO:
                    part[where] = torch.finfo(mask.dtype).min
                elif job.replacement is Replacement.NOISE:
                    noise = torch.randn(part[where].shape, generator=self.generator)
                    part[where] = part[where] + MASK_NOISE * noise
                self.applied += job.n_edits
            return args, {**kwargs, "mask": mask}

        return edit


def replace_activation(
    part: torch.Tensor, edit: SiteEdit, source: torch.Tensor | None, neutral: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """New activation of the edited component; see `replace_part`.

    Args:
        neutral: embedding of the padding token, shape (d_model,). A zero source token is replaced by it, because an embedding
            of zeros is outside of what the encoder ever reads: normalising what is left multiplies it.
    """
    if edit.kind is Kind.SOURCE and edit.replacement is Replacement.ZERO:
        return neutral.expand_as(part)
    return replace_part(part, edit, source, generator)


def reaches_encoder(intervention: Intervention) -> bool:
    """Whether it changes what the encoder computes."""
    return any(part.kind in (Kind.SOURCE, Kind.ENCODER_HEAD) for part in intervention.components)


def _span(position: int | None, n_positions: int) -> slice:
    if position is None:
        return slice(None)
    at = locate_position(position, n_positions)
    return slice(at, at + 1)


def list_jobs(edits: Sequence[Intervention], middle: int, length: int) -> Jobs:
    """Edits of a batch by site; positions are those of their own side."""
    jobs: Jobs = {}
    for slot, intervention in enumerate(edits):
        for job in group_edits([localise(edit, middle, length) for edit in intervention.edits]):
            jobs.setdefault((job.kind, job.layer), []).append((slot, intervention.side, job))
    return jobs
