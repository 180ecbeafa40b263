"""Measures effects in blocks, so that long runs have intermediate results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit_core.effect import Effect, Metric, join_controls, measure_effect
from audit_core.intervention import Intervention
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Means, Progress, Subject, no_progress

CUTS = (1 / 16, 1 / 4, 1 / 2)
"""Shares of the interventions after which intermediate results are reported. Each cut repeats the unedited runs, a
twentieth of a sweep of all heads (measured)."""
Block = NDArray[np.int_]
"""Indices of the interventions of one block; shape (intervention of the block,)."""


def cut(order: Block) -> list[Block]:
    """Split an order of interventions into blocks that end at `CUTS`."""
    return [block for block in np.split(order, [round(share * order.size) for share in CUTS]) if block.size]


def measure_in_blocks(
    subject: Subject,
    prompts: TokenisedPrompts,
    interventions: Sequence[Intervention],
    metric: Metric,
    blocks: Sequence[Block],
    *,
    means: Means | None = None,
    seed: int,
    on_progress: Progress = no_progress,
    on_block: Callable[[Block, Effect], None],
) -> Effect:
    """`measure_effect` block by block; `on_block` receives each block except the last.

    Raises:
        ControlFailed, NotMeasured: as `measure_effect`, of any block.
    """
    chosen = [[interventions[i] for i in block] for block in blocks]
    work = [subject.count_work(prompts, edits) for edits in chosen]
    effects: list[Effect] = []
    for step, edits in enumerate(chosen):
        if effects:
            on_block(blocks[step - 1], effects[-1])

        def advance(done: int, total: int, before: int = sum(work[:step]), own: int = work[step]) -> None:
            on_progress(before + own * done // total, sum(work))

        effects.append(measure_effect(subject, prompts, edits, metric, means=means, seed=seed, on_progress=advance))
    patched = np.empty((len(interventions), len(prompts)))
    norms = None if effects[0].norms is None else np.empty((2 + len(interventions), len(prompts)))
    for block, effect in zip(blocks, effects, strict=True):
        patched[block] = effect.patched
        if norms is not None and effect.norms is not None:
            norms[:2], norms[2 + block] = effect.norms[:2], effect.norms[2:]
    return replace(
        effects[0],
        interventions=tuple(interventions),
        patched=patched,
        norms=norms,
        controls=join_controls([effect.controls for effect in effects]),
    )
