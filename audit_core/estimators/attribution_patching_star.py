"""AtP*: attribution patching with exact softmax for queries and keys, and with GradDrop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit_core.component import Kind
from audit_core.engine.gradients import (
    GRADIENT_TOKENS,
    Batch,
    capture_plain,
    draw_patterns_with,
    embed,
    estimate_batches,
    measure_gradients,
    sum_parts,
)
from audit_core.engine.runner import WaveRunner
from audit_core.engine.sites import count_indices
from audit_core.estimator import EffectEstimates, EstimateRequest, check_request
from audit_core.intervention import PromptSide, Replacement
from audit_core.subject import Progress, Subject

if TYPE_CHECKING:
    import torch

_QUERY_KEY = (Kind.QUERY, Kind.KEY)


@dataclass(frozen=True)
class AttributionPatchingStar:
    """ĉ(n) = 1/(L − 1) · Σ over dropped layers ℓ of |ĉ_ℓ(n)|, per prompt, then averaged.

    ĉ_ℓ is attribution patching with gradients that skip the contribution of layer ℓ to the residual stream (GradDrop), so
    that direct and indirect effects of opposite sign do not cancel. For queries and keys the attention pattern under the
    other run's vector is computed exactly, and only the part after the pattern is linearised. With grouped-query
    attention a key head includes the patterns of all heads that share it.

        Source: Kramár et al. 2024, arXiv:2403.00745, sections 3.1.1 (query and key correction) and 3.1.2 (GradDrop).
    """

    name: str = "attribution_patching_star"
    question: str = "How large is each component's effect at most, with cancellation between layers removed?"
    kinds: tuple[Kind, ...] = (Kind.HEAD, Kind.MLP, Kind.QUERY, Kind.KEY, Kind.VALUE)
    replacements: tuple[Replacement, ...] = (Replacement.RESAMPLE,)
    misses: str = "It estimates magnitudes without sign, which tend to be too large, and misses self-repair."

    def estimate(self, subject: Subject, request: EstimateRequest, *, on_progress: Progress) -> EffectEstimates:
        check_request(self, subject, request)

        def estimate(runner: WaveRunner, batch: Batch) -> torch.Tensor:
            return _estimate(runner, batch, request.kind, request.side)

        return estimate_batches(
            subject, request, estimate, rows_each=subject.geometry.n_layers, is_signed=False, on_progress=on_progress
        )


def _estimate(runner: WaveRunner, batch: Batch, kind: Kind, side: PromptSide) -> torch.Tensor:
    """Magnitude of the change of the metric by each component; shape (prompt, component)."""
    import torch

    site = Kind.PATTERN if kind in _QUERY_KEY else kind
    n_layers, n_prompts = runner.model.n_layers, len(batch.pairs)
    changes = _list_changes(runner, batch, kind, side)
    rows = embed(runner, batch.list_ids(side))
    sizes = [rows.new_zeros(n_prompts, count_indices(kind, runner.geometry)) for _ in range(n_layers)]
    # One row per dropped layer and prompt, as many layers at once as fit in memory.
    step = max(1, GRADIENT_TOKENS // (n_prompts * rows.shape[1]))
    for first in range(0, n_layers, step):
        layers = range(first, min(first + step, n_layers))
        found = measure_gradients(
            runner,
            rows.repeat(len(layers), 1, 1),
            batch.answers * len(layers),
            batch.foils * len(layers),
            (site,),
            batch.calls,
            dropped=[layer for layer in layers for _ in range(n_prompts)],
        )
        with runner.turn():
            for layer, change in enumerate(changes):
                gradients = found.gradients[site, layer]
                product = gradients * change.repeat(len(layers), *(1,) * (change.dim() - 1))
                part = _sum_heads(product, sizes[layer].shape[1]) if site is Kind.PATTERN else sum_parts(site, product)
                sizes[layer] += part.view(len(layers), n_prompts, -1).abs().sum(0)
    return torch.cat(sizes, dim=1) / max(1, n_layers - 1)


def _sum_heads(product: torch.Tensor, n_components: int) -> torch.Tensor:
    """Sum patterns (row, head, query, key) per query head, or over the group of each key head."""
    return product.sum((2, 3)).view(product.shape[0], n_components, -1).sum(2)


def _list_changes(runner: WaveRunner, batch: Batch, kind: Kind, side: PromptSide) -> list[torch.Tensor]:
    """Change of each component's activation (for queries and keys: of its pattern), per layer."""
    kinds = (kind, Kind.PATTERN) if kind in _QUERY_KEY else (kind,)
    here, there = (capture_plain(runner, batch, of, kinds) for of in (side, side.other))
    layers = range(runner.model.n_layers)
    if kind not in _QUERY_KEY:
        return [there.sites[kind, n] - here.sites[kind, n] for n in layers]
    patterns = draw_patterns_with(runner, kind, here.residuals, there.sites, batch.calls)
    return [patterns[n] - here.sites[Kind.PATTERN, n] for n in layers]


PLUGIN = AttributionPatchingStar()
