"""Measured effects of interventions on a metric: the only numbers that verdicts use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audit_core.controls import (
    Controls,
    check_arrived,
    check_controls,
    join_controls,
    plan_controls,
    run_controls,
)
from audit_core.errors import NotMeasured
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Intervention, PromptSide
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair, require_distinguished
from audit_core.prompts.sequences import Places, list_beginnings, list_places
from audit_core.registry import get_plugin
from audit_core.subject import Logits, Means, Progress, Subject, no_progress, read_only

MIN_ACCURACY = 0.75
"""Minimum share of prompts on which the model prefers the answer to the foil (methods 1.2)."""
_MAX_VOCABULARY_FLOATS = 40_000_000


class Metric(Protocol):
    """Interface of the plug-ins in `metrics/`."""

    name: str
    question: str
    unit: str
    needs_vocabulary: bool
    reads_sequences: bool
    """Whether it reads logits at every answer token, not only at the first one that differs from the foil."""
    is_preference: bool
    """Whether it is positive where the model prefers the answer to the foil. Where it is not, answer and foil logits of
    the clean run say whether the model does the task."""
    min_gap: float
    """Smallest clean – corrupted gap, in the metric's unit, of which a fraction is meaningful."""

    def read(self, logits: Logits, pairs: Sequence[TokenPair]) -> NDArray[np.float64]:
        """Metric per intervention and prompt; shape (intervention, prompt). The first rows are the clean and the corrupted
        run, which a metric may compare the others with.

        Args:
            logits: of these prompts, or of their answer tokens (`sequences.list_places`) if the metric reads sequences.
        """


def get_metric(name: str) -> Metric:
    """A metric by name.

    Raises:
        Refused: no such metric.
    """
    metric: Metric = get_plugin("metrics", name)
    return metric


@dataclass(frozen=True, eq=False)
class Effect:
    """A metric on the clean run, the corrupted run, and under each intervention."""

    prompts: TokenisedPrompts
    interventions: tuple[Intervention, ...]
    metric: str
    unit: str
    min_gap: float
    """See `Metric.min_gap`."""
    clean: NDArray[np.float64]
    """Shape (prompt,)."""
    corrupted: NDArray[np.float64]
    """Shape (prompt,)."""
    patched: NDArray[np.float64]
    """Shape (intervention, prompt)."""
    vocabulary: NDArray[np.float32] | None
    """If requested, on one prompt: all logits at the answer position; shape (run, vocabulary); runs are clean,
    corrupted, then the interventions."""
    controls: Controls
    norms: NDArray[np.float64] | None = None
    """Norm of the final residual stream at the answer position; shape (run, prompt), runs as in `vocabulary`; None
    if the subject returns logits only."""
    is_right: NDArray[np.bool_] | None = None
    """Whether the clean run prefers the answer; shape (prompt,); None where the sign of the metric says it."""

    def __post_init__(self) -> None:
        for array in (self.clean, self.corrupted, self.patched):
            read_only(array)

    @property
    def gap(self) -> NDArray[np.float64]:
        """Clean minus corrupted, shape (prompt,)."""
        return self.clean - self.corrupted

    @property
    def support(self) -> NDArray[np.float64]:
        """Support of the edited components for the answer; shape (intervention, prompt).

        Noising: loss of the metric. Denoising: gain of the metric. Negative: the components act against the answer.
        """
        noising = np.array([i.side is PromptSide.CLEAN for i in self.interventions])[:, None]
        return np.where(noising, self.clean - self.patched, self.patched - self.corrupted)

    @property
    def accuracy(self) -> float:
        """Share of prompts on which the clean run prefers the answer."""
        return float((self.clean > 0 if self.is_right is None else self.is_right).mean())


def measure_effect(
    subject: Subject,
    prompts: TokenisedPrompts,
    interventions: Sequence[Intervention],
    metric: Metric,
    *,
    means: Means | None = None,
    seed: int,
    next_tokens: bool = False,
    on_progress: Progress = no_progress,
) -> Effect:
    """Run the pair and every intervention, with instrument checks of the hooks.

    Args:
        next_tokens: keep the logits of the whole vocabulary; one prompt only.

    Raises:
        ControlFailed: an edit was not applied, an identity patch changed logits, or noise changed none.
        NotMeasured: the model produced NaN.
        PromptRefused: the metric reads one position, where answer and foil have the same token.
    """
    if not metric.reads_sequences:
        require_distinguished(prompts.pairs)
    runs = (CLEAN_RUN, CORRUPTED_RUN, *interventions)
    controls = plan_controls(subject, interventions)
    share_batch = _share_batch(prompts, metric)
    all_runs = (*runs, *controls.runs) if share_batch else runs
    chunks = tuple(_chunk_prompts(subject, prompts, len(all_runs), metric))

    vocabulary = metric.needs_vocabulary or next_tokens

    def run(rows: TokenisedPrompts, progress: Progress) -> Logits:
        logits = subject.run(rows, all_runs, means=means, vocabulary=vocabulary, seed=seed, on_progress=progress)
        check_arrived(logits.edits_applied, all_runs, rows)
        return logits

    work = [subject.count_work(rows.prompts, all_runs) for _, rows in chunks]
    steps = [_from(sum(work[:step]), sum(work), on_progress) for step in range(len(chunks))]
    read = _read_chunks(run, prompts, chunks, steps, metric, len(runs))
    logits, edits = read.last, sum(len(i.edits) for i in interventions) * len(prompts)
    words = logits.vocabulary[: len(runs), 0] if next_tokens and logits.vocabulary is not None else None
    found = (
        check_controls(subject, controls, logits, len(runs), edits)
        if share_batch
        else run_controls(subject, chunks[0][1].prompts, controls, edits, seed=seed)
    )
    return Effect(
        prompts,
        tuple(interventions),
        metric.name,
        metric.unit,
        metric.min_gap,
        read.values[0],
        read.values[1],
        read.values[2:],
        words,
        found,
        None if logits.norms is None else read.norms,
        None if metric.is_preference else read.is_right,
    )


def _share_batch(prompts: TokenisedPrompts, metric: Metric) -> bool:
    """One prompt: controls share its batch, which saves a pass. A set: controls run on the first prompt."""
    return len(prompts) == 1 and not metric.reads_sequences


def list_runs(
    subject: Subject, prompts: TokenisedPrompts, interventions: Sequence[Intervention], metric: Metric
) -> list[tuple[TokenisedPrompts, tuple[Intervention, ...]]]:
    """What `measure_effect` has a subject run, to predict its price; means are not included."""
    runs = (CLEAN_RUN, CORRUPTED_RUN, *interventions)
    controls = plan_controls(subject, interventions).runs
    if _share_batch(prompts, metric):
        return [(prompts, (*runs, *controls))]
    chunks = [rows.prompts for _, rows in _chunk_prompts(subject, prompts, len(runs), metric)]
    first = replace(chunks[0], pairs=chunks[0].pairs[:1])
    return [*((rows, runs) for rows in chunks), (first, (CLEAN_RUN, CORRUPTED_RUN, *controls))]


@dataclass(frozen=True, eq=False)
class _Read:
    """A metric of every run on every prompt."""

    values: NDArray[np.float64]
    """Shape (run, prompt)."""
    norms: NDArray[np.float64]
    """Shape (run, prompt); NaN where the subject returns logits only."""
    is_right: NDArray[np.bool_]
    """Whether the clean run prefers the answer; shape (prompt,)."""
    last: Logits
    """Logits of the last chunk, with the controls' rows if they share its batch."""


def _read_chunks(
    run: Callable[[TokenisedPrompts, Progress], Logits],
    prompts: TokenisedPrompts,
    chunks: Sequence[tuple[slice, Places]],
    steps: Sequence[Progress],
    metric: Metric,
    n_runs: int,
) -> _Read:
    """Run each chunk of prompts, and read the metric of the first `n_runs` runs; the others are controls.

    Raises:
        NotMeasured: the model produced NaN.
    """
    values, norms = np.empty((n_runs, len(prompts))), np.full((n_runs, len(prompts)), np.nan)
    is_right = np.zeros(len(prompts), bool)
    for (where, rows), progress in zip(chunks, steps, strict=True):
        logits, first = run(rows.prompts, progress), list(rows.starts)
        values[:, where] = metric.read(logits, prompts.pairs[where])[:n_runs]
        is_right[where] = logits.answer[0, first] > logits.foil[0, first]
        if logits.norms is not None:
            norms[:, where] = logits.norms[:n_runs, first]
    if not np.isfinite(values).all():
        raise NotMeasured("control_failed", "the model produced NaN under an intervention.")
    return _Read(values, norms, is_right, logits)


def _from(before: int, total: int, on_progress: Progress) -> Progress:
    """Map progress of one chunk to progress of the whole run."""
    return lambda done, _: on_progress(before + done, total)


def _chunk_prompts(
    subject: Subject, prompts: TokenisedPrompts, n_runs: int, metric: Metric
) -> Iterator[tuple[slice, Places]]:
    """Chunks of interventions: one, unless logits of the whole vocabulary would exceed memory."""
    size = len(prompts)
    if metric.needs_vocabulary:
        most = max(len(list_beginnings(pair)) for pair in prompts.pairs) if metric.reads_sequences else 1
        size = max(1, _MAX_VOCABULARY_FLOATS // (n_runs * most * subject.geometry.n_vocabulary))
    for start in range(0, len(prompts), size):
        where = slice(start, start + size)
        part = replace(prompts, pairs=prompts.pairs[where])
        yield where, list_places(part) if metric.reads_sequences else Places(part, tuple(range(len(part))))


def check_task(effect: Effect) -> None:
    """Check that the model does the task and that there is a gap to normalise by.

    Raises:
        NotMeasured: the model does not do the task, or clean and corrupted metric hardly differ.
    """
    check_gap(effect.clean, effect.corrupted, effect.unit, effect.min_gap, is_right=effect.is_right)


def check_gap(
    clean: NDArray[np.float64],
    corrupted: NDArray[np.float64],
    unit: str,
    min_gap: float,
    *,
    is_right: NDArray[np.bool_] | None = None,
) -> None:
    """`check_task` for arrays, each of shape (prompt,)."""
    accuracy = float((clean > 0 if is_right is None else is_right).mean())
    gap = float((clean - corrupted).mean())
    if accuracy < MIN_ACCURACY:
        raise NotMeasured(
            "model_fails_task",
            f"the model prefers the answer on {accuracy:.0%} of {len(clean)} prompts, {MIN_ACCURACY:.0%} needed; "
            "only a task that the model does can be explained.",
        )
    if not gap >= min_gap:
        raise NotMeasured(
            "model_fails_task",
            f"the corrupted prompt changes the metric by {gap:.2f} {unit}, {min_gap} needed; choose a corruption that changes the answer.",
        )


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
