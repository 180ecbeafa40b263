"""Attribution patching: the effect of every component at once, by a straight line through the clean run."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.component import Kind
from audit_core.engine.gradients import (
    Batch,
    batch_prompts,
    capture_plain,
    embed,
    get_runner,
    measure_slopes,
    sum_parts,
)
from audit_core.engine.runner import WaveRunner
from audit_core.intervention import Replacement, Side
from audit_core.prompts import TokenisedPrompts
from audit_core.screen import Screen, check_asked, collect
from audit_core.subject import Progress, Subject


@dataclass(frozen=True)
class AttributionPatching:
    """ĉ(n) = (n(x′) − n(x))ᵀ ∂m/∂n at x: two forward passes and one backward pass for all components.

    Source: Nanda 2023; Kramár et al. 2024, arXiv:2403.00745, section 2.2.
    """

    name: str = "attribution_patching"
    question: str = "What would each component do, if the model were a straight line?"
    kinds: tuple[Kind, ...] = (Kind.HEAD, Kind.MLP, Kind.RESID, Kind.QUERY, Kind.KEY, Kind.VALUE, Kind.NEURON)
    replacements: tuple[Replacement, ...] = (Replacement.RESAMPLE, Replacement.ZERO)
    misses: str = (
        "It sees no effect through a saturated softmax and no self-repair, and direct and indirect effects may cancel."
    )

    def screen(
        self,
        subject: Subject,
        prompts: TokenisedPrompts,
        kind: Kind,
        replacement: Replacement,
        side: Side,
        *,
        on_progress: Progress,
    ) -> Screen:
        check_asked(self, subject, kind, replacement)
        runner = get_runner(subject)
        columns: dict[int, list[float]] = {}
        for batch in batch_prompts(runner, prompts):
            columns |= zip(batch.prompts, _estimate(runner, batch, kind, replacement, side))
            on_progress(len(columns), len(prompts))
        return collect(subject, kind, columns, side, is_signed=True)


def _estimate(runner: WaveRunner, batch: Batch, kind: Kind, replacement: Replacement, side: Side) -> list[list[float]]:
    """Change of the metric by each component; shape (prompt, component)."""
    import torch

    taken = replacement is Replacement.RESAMPLE
    put = capture_plain(runner, batch, side.other, (kind,)).sites if taken else {}
    rows = embed(runner, batch.list_ids(side))
    here = measure_slopes(runner, rows, batch.answers, batch.foils, (kind,), batch.calls)
    with runner.turn():
        parts = [
            sum_parts(kind, ((put[place] if taken else 0.0) - here.activations[place]) * slope)
            for place, slope in sorted(here.slopes.items(), key=lambda item: item[0][1])
        ]
        return torch.cat(parts, dim=1).tolist()


PLUGIN = AttributionPatching()
