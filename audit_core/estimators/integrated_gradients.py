"""Attribution patching with integrated gradients, averaged between the embeddings of the two prompts."""

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
from audit_core.intervention import PromptSide, Replacement
from audit_core.subject import Progress, Subject

if TYPE_CHECKING:
    import torch

STEPS = 8
"""Points on the path, by the midpoint rule. Five are usual for EAP-IG (Hanna et al. 2024); attributions that must sum to
the change of the metric need about fifty (methods 2.12)."""


@dataclass(frozen=True)
class IntegratedGradients:
    """ĉ(n) = (n(x′) − n(x))ᵀ · mean over α of ∂m/∂n at embedding x + α (x′ − x).

    Source: Hanna, Pezzelle and Belinkov 2024, arXiv:2403.17806 (EAP-IG), applied to nodes.
    """

    name: str = "integrated_gradients"
    question: str = "What is each component's estimated effect, by the average gradient between the two prompts?"
    kinds: tuple[Kind, ...] = (Kind.HEAD, Kind.MLP, Kind.RESID, Kind.QUERY, Kind.KEY, Kind.VALUE, Kind.NEURON)
    replacements: tuple[Replacement, ...] = (Replacement.RESAMPLE,)
    misses: str = "Points between two prompts are not prompts; self-repair stays invisible."

    def estimate(self, subject: Subject, request: EstimateRequest, *, on_progress: Progress) -> EffectEstimates:
        check_request(self, subject, request)

        def estimate(runner: WaveRunner, batch: Batch) -> torch.Tensor:
            return _estimate(runner, batch, request.kind, request.side)

        return estimate_batches(subject, request, estimate, rows_each=STEPS, on_progress=on_progress)


def _estimate(runner: WaveRunner, batch: Batch, kind: Kind, side: PromptSide) -> torch.Tensor:
    """Change of the metric by each component; shape (prompt, component)."""
    import torch

    runs = {of: capture_plain(runner, batch, of, (kind,)) for of in PromptSide}
    near, far = (embed(runner, batch.list_ids(of)) for of in (side, side.other))
    alphas = [(step + 0.5) / STEPS for step in range(STEPS)]
    path = torch.cat([near + alpha * (far - near) for alpha in alphas])
    found = measure_gradients(runner, path, batch.answers * STEPS, batch.foils * STEPS, (kind,), batch.calls)
    with runner.turn():
        parts = []
        for place, gradient in sorted(found.gradients.items(), key=lambda item: item[0][1]):
            mean = gradient.view(STEPS, len(batch.pairs), *gradient.shape[1:]).mean(0)
            parts.append(sum_parts(kind, (runs[side.other].sites[place] - runs[side].sites[place]) * mean))
        return torch.cat(parts, dim=1)


PLUGIN = IntegratedGradients()
