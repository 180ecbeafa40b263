"""How far each component's output moves when it is replaced, without running anything on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from audit_core.component import Component, Kind
from audit_core.engine.device import to_numpy
from audit_core.engine.hooks import Sources, measure_change
from audit_core.engine.memory import KEPT_BYTES, measure_kept
from audit_core.engine.needs import gather_sources, list_edited, list_needs
from audit_core.engine.sites import check_places
from audit_core.engine.wave import compile_intervention
from audit_core.intervention import Intervention, PromptSide, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import Floats, Means

if TYPE_CHECKING:
    from audit_core.engine.runner import WaveRunner


def measure_change_rms(
    runner: WaveRunner,
    prompts: TokenisedPrompts,
    parts: Sequence[Component],
    replacement: Replacement,
    means: Means | None,
) -> Floats:
    """Change of each component's output by a replacement; see `Subject.activation_change_rms`."""
    edits = [intervene([part], replacement) for part in parts]
    runner.model.check_sites(edits)
    totals, counts = np.zeros(len(parts)), np.zeros(len(parts))
    for where in runner.batch(prompts):
        pairs = [prompts.pairs[i] for i in where]
        check_places(edits, runner.geometry, len(pairs[0].clean_ids))
        for sources in _list_sources(runner, pairs, edits, means, [part.kind for part in parts]):
            there = sources.captures[PromptSide.CLEAN].sites
            for at, edit in enumerate(edits):
                (job,) = compile_intervention(edit).edits
                if (job.kind, job.layer) in there:
                    with runner.turn():
                        lengths = to_numpy(measure_change(runner.model, job, sources))
                    totals[at] += (lengths**2).sum()
                    counts[at] += (lengths > 0).sum()
    return np.sqrt(totals / np.maximum(counts, 1)).astype(np.float32)


def _list_sources(
    runner: WaveRunner,
    pairs: Sequence[TokenPair],
    edits: Sequence[Intervention],
    means: Means | None,
    kinds: Collection[Kind],
) -> Iterator[Sources]:
    """The unedited runs, or one layer of them after the other where all are too large to keep."""
    needs = list_needs(edits, kinds)
    rows = needs.list_rows(pairs)
    if runner.fallback or measure_kept(runner.geometry, needs.kinds, len(rows), len(rows[0])) <= KEPT_BYTES:
        yield runner.prepare(pairs, edits, means, extra=kinds)
        return
    inserted = gather_sources(means, pairs, edits, runner.model.device, kinds=list_edited(edits))
    for layer in runner.capture_layers(rows, needs.kinds):
        yield Sources(needs.divide(layer, len(pairs)), *inserted)
