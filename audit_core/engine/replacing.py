"""How an edit changes the tensor of its site."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audit_core.engine.sites import SiteEdit
from audit_core.errors import InterventionRefused
from audit_core.intervention import FeatureBlock, Replacement

if TYPE_CHECKING:
    import torch

NOISE_SCALE = 10.0
"""Noise of the control, in root mean squares of the activation; large enough to be detected by any working hook."""


def replace_part(
    part: torch.Tensor, edit: SiteEdit, source: torch.Tensor | None, generator: torch.Generator
) -> torch.Tensor:
    """New activation of the edited component.

    Args:
        part: current activation of these rows; shape (row, ...).
        source: activation to insert, same shape, if the replacement needs one.
    """
    import torch

    if edit.block is not None:
        return _replace_features(part, edit, edit.block, source, generator)
    if edit.direction is None:
        return _replace(part, edit, source, generator)
    along = torch.tensor(edit.direction, dtype=part.dtype, device=part.device)
    if edit.replacement is Replacement.ADD:
        return part + edit.factor * along
    reads = along if edit.reads is None else torch.tensor(edit.reads, dtype=part.dtype, device=part.device)
    now = (part @ reads)[..., None]
    put = _replace(now, edit, None if source is None else (source @ reads)[..., None], generator)
    return part + (put - now) * along


def _replace_features(
    part: torch.Tensor, edit: SiteEdit, block: FeatureBlock, source: torch.Tensor | None, generator: torch.Generator
) -> torch.Tensor:
    """New residual stream: the features' share of it is replaced, what the dictionary does not reconstruct stays."""
    import torch

    encoder, bias, threshold, decoder = (
        torch.from_numpy(array).to(part) for array in (block.encoder, block.bias, block.threshold, block.decoder)
    )

    def read(x: torch.Tensor) -> torch.Tensor:
        value = x @ encoder.T + bias
        return torch.where((value > threshold) & (x.norm(dim=-1, keepdim=True) <= block.longest), value, 0.0)

    now = read(part)
    if edit.replacement is Replacement.ADD:
        put = now + edit.factor
    elif edit.replacement is Replacement.SET and block.values is not None:
        put = torch.from_numpy(block.values).to(part).expand_as(now)
    else:
        put = _replace(now, edit, None if source is None else read(source), generator)
    step = torch.where(part.norm(dim=-1, keepdim=True) <= block.longest, put - now, 0.0)
    return part + step @ decoder


def _replace(
    part: torch.Tensor, edit: SiteEdit, source: torch.Tensor | None, generator: torch.Generator
) -> torch.Tensor:
    import torch

    if edit.replacement is Replacement.ZERO:
        return torch.zeros_like(part)
    if edit.replacement is Replacement.SCALE:
        return part * edit.factor
    if edit.replacement is Replacement.SET:
        return torch.full_like(part, edit.factor)
    if edit.replacement is Replacement.NOISE:
        return disturb(part, generator)
    if source is None:
        raise InterventionRefused(
            f"{edit.replacement} of {edit.kind} without a source.",
            wanted="captured activations.",
            remedy="report this defect.",
        )
    return source


def disturb(part: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The activation plus noise of `NOISE_SCALE` times its root mean square."""
    import torch

    noise = torch.randn(part.shape, generator=generator, dtype=torch.float32).to(part)
    return part + NOISE_SCALE * (part.square().mean().sqrt() + 1.0) * noise
