"""Attribution patching: first-order estimates of all component effects at the clean run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from audit_core.component import Kind
from audit_core.engine.gradients import (
    Batch,
    capture_plain,
    embed,
    estimate_batches,
    measure_gradients,
    sum_parts,
)
from audit_core.engine.runner import WaveRunner
from audit_core.estimator import EffectEstimates, EstimateRequest, check_request
from audit_core.intervention import Replacement
from audit_core.subject import Progress, Subject

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class AttributionPatching:
    """ĉ(n) = (n(x′) − n(x))ᵀ ∂m/∂n at x: two forward passes and one backward pass for all components.

    Source: Nanda 2023; Kramár et al. 2024, arXiv:2403.00745, section 2.2.
    """

    name: str = "attribution_patching"
    question: str = "What is each component's estimated effect, to first order?"
    kinds: tuple[Kind, ...] = (Kind.HEAD, Kind.MLP, Kind.RESID, Kind.QUERY, Kind.KEY, Kind.VALUE, Kind.NEURON)
    replacements: tuple[Replacement, ...] = (Replacement.RESAMPLE, Replacement.ZERO)
    misses: str = (
        "It misses effects through a saturated softmax and self-repair, and direct and indirect effects may cancel."
    )

    def estimate(self, subject: Subject, request: EstimateRequest, *, on_progress: Progress) -> EffectEstimates:
        check_request(self, subject, request)

        def estimate(runner: WaveRunner, batch: Batch) -> torch.Tensor:
            return _estimate(runner, batch, request)

        return estimate_batches(subject, request, estimate, on_progress=on_progress)


def _estimate(runner: WaveRunner, batch: Batch, request: EstimateRequest) -> torch.Tensor:
    """Change of the metric by each component; shape (prompt, component)."""
    import torch

    kind, side = request.kind, request.side
    taken = request.replacement is Replacement.RESAMPLE
    put = capture_plain(runner, batch, side.other, (kind,)).sites if taken else {}
    rows = embed(runner, batch.list_ids(side))
    here = measure_gradients(runner, rows, batch.answers, batch.foils, (kind,), batch.calls)
    with runner.turn():
        parts = [
            sum_parts(kind, ((put[place] if taken else 0.0) - here.activations[place]) * gradient)
            for place, gradient in sorted(here.gradients.items(), key=lambda item: item[0][1])
        ]
        return torch.cat(parts, dim=1)


PLUGIN = AttributionPatching()
