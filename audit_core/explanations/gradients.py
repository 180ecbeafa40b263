"""Gradients of the answer at the embeddings of prompts."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.component import Kind
from audit_core.engine.device import to_numpy
from audit_core.engine.gradients import batch_prompts, embed, get_runner, measure_gradients
from audit_core.explanations.method import Task
from audit_core.intervention import PromptSide
from audit_core.subject import Floats


@dataclass(frozen=True, eq=False)
class EmbeddingGradient:
    """One prompt's embeddings, and the gradient of the logit difference there."""

    embedding: Floats
    """Input of the first block; shape (pos, d_model)."""
    gradient: Floats
    """Logits per unit of the embedding; shape (pos, d_model)."""


def differentiate_embeddings(task: Task) -> tuple[EmbeddingGradient, ...]:
    """Embeddings and gradients of each prompt.

    Raises:
        Refused: this subject has no gradients.
    """
    runner = get_runner(task.subject)
    found: dict[int, EmbeddingGradient] = {}
    for batch in batch_prompts(runner, task.prompts):
        rows = embed(runner, batch.list_ids(PromptSide.CLEAN))
        measured = measure_gradients(runner, rows, batch.answers, batch.foils, (Kind.RESID,), batch.calls)
        gradients = measured.gradients[Kind.RESID, 0]
        for row, at in enumerate(batch.prompts):
            found[at] = EmbeddingGradient(to_numpy(rows[row]), to_numpy(gradients[row]))
        task.on_progress(len(found), len(task.prompts))
    return tuple(found[at] for at in range(len(task.prompts)))


def find_baseline(task: Task, at: int) -> Floats:
    """Mean embedding at each place over the pool's prompts of this length, or the donor's if there is no other; shape
    (pos, d_model). A token that is no part of a unit keeps its own.

    Raises:
        Refused: this subject has no gradients.
    """
    runner, pair, own = (
        get_runner(task.subject),
        task.prompts.pairs[at],
        {p for u in task.units[at] for p in u.positions},
    )
    length = len(pair.clean_ids)
    rows = sorted({other.clean_ids for other in task.pool.pairs if len(other.clean_ids) == length})
    found = embed(runner, rows if len(rows) > 1 else [task.donors[at]]).mean(0)
    kept = [place for place in range(length) if place not in own]
    found[kept] = embed(runner, [pair.clean_ids])[0, kept]
    result: Floats = to_numpy(found)
    return result
