"""Attention patterns of prompts, with gradients of the logit difference at every weight."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from audit_core.capability import PATTERNS
from audit_core.component import Kind
from audit_core.engine.device import to_numpy
from audit_core.engine.gradients import batch_prompts, embed, get_runner, measure_gradients
from audit_core.intervention import CLEAN_RUN, PromptSide
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Subject
from audit_core.view import AttentionRecord


def read_attention_records(
    subject: Subject, prompts: TokenisedPrompts, *, with_gradients: bool
) -> Iterator[tuple[int, AttentionRecord]]:
    """Yield the index of each prompt and the patterns of its clean run, one prompt at a time.

    Prompts come batch by batch and not in order, to limit memory.

        Raises:
            Refused: gradients were requested of a model without them.
            ControlFailed: a pattern's hook did not fire or received no gradient.
    """
    if not with_gradients:
        for at, pair in enumerate(prompts.pairs):
            yield at, AttentionRecord(PATTERNS.of(subject).patterns(pair, CLEAN_RUN), None)
        return
    runner = get_runner(subject)
    for batch in batch_prompts(runner, prompts):
        rows = embed(runner, batch.list_ids(PromptSide.CLEAN))
        found = measure_gradients(runner, rows, batch.answers, batch.foils, (Kind.PATTERN,), batch.calls)
        layers = range(runner.model.n_layers)
        for row, at in enumerate(batch.prompts):
            patterns, gradients = (
                np.stack([to_numpy(kept[Kind.PATTERN, layer][row]) for layer in layers])
                for kept in (found.activations, found.gradients)
            )
            yield at, AttentionRecord(patterns, gradients)
