"""Path patching: replaces a sender's contribution in the input of one receiver only, then runs the model from there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from audit_core.component import Component, Kind
from audit_core.connection import Connection, Endpoint, Terminal
from audit_core.engine.path_wave import Bundle, PathWave, count_replays, find_layer
from audit_core.engine.plan import Group, plan_groups
from audit_core.engine.readout import LogitTable
from audit_core.engine.receivers import check_reaction, find_is_parallel
from audit_core.engine.runner import WaveRunner
from audit_core.engine.senders import ADDS_UP, Senders, check_paths, check_sums
from audit_core.engine.sites import check_places
from audit_core.engine.wave import compile_intervention
from audit_core.errors import ControlFailed, InterventionRefused
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Intervention, PromptSide, Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Logits, Means, Progress, Subject, no_progress

if TYPE_CHECKING:
    import torch

    from audit_core.engine.hooks import Sources

_BOTH = (CLEAN_RUN, CORRUPTED_RUN)


def run_connections(
    subject: Subject,
    prompts: TokenisedPrompts,
    bundles: Sequence[Bundle],
    *,
    replacement: Replacement = Replacement.RESAMPLE,
    means: Means | None = None,
    seed: int = 0,
    on_progress: Progress = no_progress,
) -> Logits:
    """Logits of the clean run, the corrupted run, and the clean run under each replaced bundle, in this order.

    The receiver's input is the clean residual stream with the senders' contributions replaced. The receiver's output for
    this input is patched into the clean run, which continues from there.

    Args:
        bundles: see `Bundle`.
        replacement: of the senders' activations; `noise` is added to the receiver's input, for any sender.

    Raises:
        Refused: components of this subject are not additive, or a connection does not exist in its blocks.
        ControlFailed: a hook did not fire.

    Source: Wang et al. 2022, arXiv:2211.00593, appendix B; Goldowsky-Dill et al. 2023, arXiv:2304.05969.
    """
    import torch

    runner = check_paths(getattr(subject, "runner", None))
    _check_bundles(runner, prompts, bundles)
    # Sorted, so that bundles of one sender and layer share the computation of their receivers.
    order = sorted(range(len(bundles)), key=lambda i: (find_layer(bundles[i]), *map(str, bundles[i])))
    bundles = [bundles[i] for i in order]
    work = plan_work(runner, prompts, bundles, replacement)
    table = LogitTable(prompts, 2 + len(bundles), 0)
    generator = torch.Generator().manual_seed(seed)
    done = applied = 0

    def advance(units: int) -> None:
        nonlocal done
        done += units
        on_progress(done, work.total)

    edits = (*_BOTH, *(_stand_in(bundle, replacement) for bundle in bundles))
    for number, group in enumerate(work.groups):
        pairs = [prompts.pairs[i] for i in group.prompts]
        sources = runner.prepare(pairs, edits, means, extra=(Kind.HEAD, Kind.MLP))
        if number == 0:
            check_sums(runner, sources.captures[PromptSide.CLEAN])
        advance(group.capture_work)
        runner.read(table, torch.stack([sources.captures[i.side].ends for i in _BOTH]), (0, 1), group.prompts)
        writers = _Writers(runner, sources, replacement, generator)
        applied += _run_group(writers, group, work.last, bundles, table, advance)
    _check_applied(applied, len(bundles) * len(prompts))
    rows = np.concatenate([[0, 1], 2 + np.argsort(order)]).astype(int)
    return Logits(table.answer[rows], table.foil[rows], None, applied)


@dataclass(frozen=True)
class _Writers:
    """What one group's senders write, from any position on."""

    runner: WaveRunner
    sources: Sources
    replacement: Replacement
    generator: torch.Generator

    def start_at(self, position: int) -> Senders:
        return Senders(self.runner, self.sources, self.replacement, position, self.generator)


def _run_group(
    writers: _Writers,
    group: Group,
    last: Sequence[int],
    bundles: Sequence[Bundle],
    table: LogitTable,
    advance: Callable[[int], None],
) -> int:
    """Fill the table's rows of every bundle for prompts of one length; returns the number of receivers' outputs applied.

    Args:
        last: rows whose receiver is the output.
    """
    runner, applied = writers.runner, 0
    n_positions = writers.sources.captures[PromptSide.CLEAN].tokens.shape[1]
    at_end = writers.start_at(n_positions - 1)
    for row in last:
        runner.read(table, _write_to_output(runner, at_end, bundles[row - 2]), (row,), group.prompts)
        applied += len(group.prompts)
    for chunk in group.chunks:
        wave = PathWave(runner, writers.start_at(chunk.start), [bundles[row - 2] for row in chunk.variants], advance)
        runner.read(table, wave.run(), chunk.variants, group.prompts)
        applied += wave.applied
    return applied


def _check_applied(applied: int, wanted: int) -> None:
    if applied != wanted:
        raise ControlFailed(f"{wanted - applied} of {wanted} receivers' outputs were not applied.")


def _write_to_output(runner: WaveRunner, last: Senders, bundle: Bundle) -> torch.Tensor:
    """The clean stream at the last position with the senders' contributions replaced; shape (1, prompt, d_model)."""
    with runner.turn():
        end = last.clean.ends + last.change_stream(bundle, last.clean.ends[:, None])[:, 0]
    return end[None]


def count_connection_work(
    subject: Subject, prompts: TokenisedPrompts, bundles: Sequence[Bundle], replacement: Replacement
) -> int:
    """Rows × positions × layers of `run_connections`: the total of its progress."""
    return plan_work(check_paths(getattr(subject, "runner", None)), prompts, bundles, replacement).total


@dataclass(frozen=True)
class PathWork:
    """A run, divided into captures and waves."""

    groups: tuple[Group, ...]
    last: tuple[int, ...]
    """Rows of the table whose receiver is the output: they need no further run."""
    total: int


def plan_work(
    runner: WaveRunner, prompts: TokenisedPrompts, bundles: Sequence[Bundle], replacement: Replacement
) -> PathWork:
    """Deterministic, so that work can be counted before the run."""
    variants = [compile_intervention(i) for i in _BOTH] + [
        compile_intervention(_stand_in(bundle, replacement)) for bundle in bundles
    ]
    groups = plan_groups(prompts, variants, runner.geometry, can_share_prefix=runner.shares_prefix, is_whole=False)
    last = tuple(row for row, variant in enumerate(variants) if row > 1 and not variant.edits)
    total = sum(
        group.capture_work
        + sum(
            chunk.work
            + count_replays([bundles[row - 2] for row in chunk.variants])
            * len(group.prompts)
            * (len(prompts.pairs[group.prompts[0]].clean_ids) - chunk.start)
            for chunk in group.chunks
        )
        for group in groups
    )
    return PathWork(groups, last, max(1, total))


def _stand_in(bundle: Bundle, replacement: Replacement) -> Intervention:
    """An intervention on the receiver that joins the wave at the same layer and needs the same sources."""
    receiver = bundle[0].receiver
    return intervene([receiver] if isinstance(receiver, Component) else [], replacement)


def _check_bundles(runner: WaveRunner, prompts: TokenisedPrompts, bundles: Sequence[Bundle]) -> None:
    if not bundles or not len(prompts):
        raise InterventionRefused(
            f"{len(bundles)} sets of connections on {len(prompts)} prompts.",
            wanted="at least one of each.",
            remedy="choose a prompt and two components.",
        )
    for bundle in bundles:
        if len({(connection.receiver, connection.through) for connection in bundle}) != 1:
            raise InterventionRefused(
                f"{', '.join(map(str, bundle)) or 'No connection'} replaced together.",
                wanted="connections into one receiver, through one of its inputs.",
                remedy="measure them separately.",
            )
    ends = {end for bundle in bundles for connection in bundle for end in (connection.sender, connection.receiver)}
    parts = [end for end in ends if isinstance(end, Component)]
    shortest = min(len(pair.clean_ids) for pair in prompts.pairs)
    check_places([intervene([part], Replacement.IDENTITY) for part in parts], runner.geometry, shortest)
    beside = [str(connection) for bundle in bundles for connection in bundle if connection.is_in_one_layer]
    if beside and find_is_parallel(runner):
        raise InterventionRefused(
            f"{beside[0]}: this model's attention and MLP of one block read the same input.",
            wanted="an MLP of a later layer.",
            remedy="remove connections within a layer.",
        )


def find_shape(subject: Subject) -> bool:
    """Whether heads and MLP of one block run in parallel, so that no connection exists between them.

    Raises:
        Refused: path patching is not supported on this subject.
    """
    return find_is_parallel(check_paths(getattr(subject, "runner", None)))


def check_reactions(subject: Subject, prompts: TokenisedPrompts, bundles: Sequence[Bundle], *, seed: int) -> None:
    """Noise control: large noise on every measured input, on the first prompt.

    All heads of a layer are checked together, because a single head may ignore its input. For MLPs the input must
    change, because an MLP may have a constant output.

        Raises:
            ControlFailed: a layer did not react.
    """
    import torch

    runner = check_paths(getattr(subject, "runner", None))
    pair = prompts.pairs[0]
    run = runner.prepare([pair], [CLEAN_RUN], None, extra=(Kind.HEAD, Kind.MLP)).captures[PromptSide.CLEAN]
    calls, generator = runner.find_calls(len(pair.clean_ids)), torch.Generator().manual_seed(seed)
    inputs = {
        (bundle[0].receiver.layer, bundle[0].receiver.kind, bundle[0].through)
        for bundle in bundles
        if not isinstance(bundle[0].receiver, Terminal)
    }
    for layer, kind, through in sorted(inputs):
        with runner.turn():
            check_reaction(runner, run, layer, kind, through, calls[layer], generator)


def check_contributions(subject: Subject, prompts: TokenisedPrompts) -> None:
    """Completeness control: replacing all contributions, on the first prompt, must give the corrupted run's stream.

    Raises:
        Refused: components of this subject are not additive.
        ControlFailed: a contribution is missing or wrong.
    """
    import torch

    runner = check_paths(getattr(subject, "runner", None))
    sources = runner.prepare([prompts.pairs[0]], _BOTH, None, extra=(Kind.HEAD, Kind.MLP))
    clean, corrupted = (sources.captures[side] for side in (PromptSide.CLEAN, PromptSide.CORRUPTED))
    check_sums(runner, clean)
    parts = [*subject.components(Kind.HEAD), *subject.components(Kind.MLP)]
    before = [part for part in parts if part.layer + 1 < runner.model.n_layers]
    # The input of the last block is known at every position, its output at the answer position only.
    places: tuple[tuple[int, list[Endpoint], torch.Tensor, torch.Tensor], ...] = (
        (0, [Terminal.INPUT, *before], clean.residuals[-1], corrupted.residuals[-1]),
        (clean.tokens.shape[1] - 1, [Terminal.INPUT, *parts], clean.ends[:, None], corrupted.ends[:, None]),
    )
    for start, written, now, wanted in places:
        senders = Senders(runner, sources, Replacement.RESAMPLE, start, torch.Generator())
        with runner.turn():
            found = now + senders.change_stream([Connection(end, Terminal.OUTPUT) for end in written], now)
        off, allowed = float((found - wanted).abs().max()), ADDS_UP * float(wanted.abs().max() + now.abs().max() + 1)
        if not off <= allowed:
            raise ControlFailed(f"All contributions replaced at once leave the corrupted run's stream by {off:.3g}.")
