"""Unedited runs of many inputs: what several of them begin with is computed once, as in a tree."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from audit_core.engine.capture import embed_tokens
from audit_core.engine.plan import PASS_TOKENS, count_tokens
from audit_core.engine.readout import LogitTable
from audit_core.engine.replay import call_block
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Logits, Progress

if TYPE_CHECKING:
    import torch

    from audit_core.engine.runner import WaveRunner

ROWS_PER_ROOM = 2
"""Inputs of a group, in inputs that fit one pass: what a group shares makes room for more of them."""


def run_tree(runner: WaveRunner, prompts: TokenisedPrompts, *, on_progress: Progress) -> Logits:
    """Logits at the last position of the clean text of each prompt, as `Subject.run` without an edit gives them.

    Values differ by rounding alone: keys and values of a beginning are computed once, in a product of other shape.
    """
    table = LogitTable(prompts, 1, 0)
    rows = [pair.clean_ids for pair in prompts.pairs]
    done = 0
    for group, ends in run_groups(runner, rows):
        runner.read(table, ends[None], [0], group)
        done += len(group)
        on_progress(done, len(rows))
    return table.finish(0)


def run_groups(runner: WaveRunner, rows: Sequence[Tokens]) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Indices of inputs of any lengths, and their final states at their own last positions, shape (row, d_model)."""
    for group in group_rows(rows, lambda length: count_tokens(runner.geometry, length)):
        yield group, _run_group(runner, [rows[at] for at in group])


def group_rows(rows: Sequence[Tokens], count_room: Any) -> Iterator[list[int]]:
    """Indices of inputs that run together, neighbours in the order of their tokens.

    Args:
        count_room: positions that fit one pass at a length.
    """
    if not rows:
        return
    length = max(map(len, rows))
    size = max(1, ROWS_PER_ROOM * count_room(length) // length)
    # Equal sizes: a small remainder would need a whole pass over the weights.
    size = -(-len(rows) // -(-len(rows) // size))
    order = sorted(range(len(rows)), key=rows.__getitem__)
    yield from (order[at : at + size] for at in range(0, len(rows), size))


@dataclass(frozen=True)
class Step:
    """Positions `start` to `end` of the distinct beginnings of a group; one that is shorter is a whole input."""

    start: int
    end: int
    beginnings: tuple[Tokens, ...]
    parents: tuple[int, ...]
    """Per beginning, which of those of the step before it continues."""

    def pad(self) -> list[Tokens]:
        """The beginnings up to `end`: no position of a causal decoder sees what follows it."""
        return [(*one, *[one[-1]] * (self.end - len(one))) for one in self.beginnings]


def plan_steps(rows: Sequence[Tokens]) -> tuple[Step, ...]:
    """Steps over inputs with the fewest positions, a pass counting as `PASS_TOKENS` of them.

    An input that is the beginning of another is read from the longer one.
    """
    leaves = keep_longest(rows)
    lengths = np.array([len(leaf) for leaf in leaves])
    shared = np.array([0, *(_count_shared(a, b) for a, b in itertools.pairwise(leaves))])
    # Beginnings grow in number only where inputs part, and shrink only where one ends: a cut anywhere else cannot be better.
    ends = np.array(sorted({*shared[shared > 0].tolist(), *lengths.tolist()}))
    least, cut = {0: 0}, {}
    for start in (0, *ends[:-1].tolist()):
        later = ends[ends > start]
        for end, count in zip(later.tolist(), _count_beginnings(lengths, shared, start, later), strict=True):
            positions = least[start] + int(count) * (end - start) + PASS_TOKENS
            if end not in least or positions < least[end]:
                least[end], cut[end] = positions, start
    places = [int(lengths.max())]
    while places[-1]:
        places.append(cut[places[-1]])
    return _make_steps(leaves, places[::-1])


def keep_longest(rows: Sequence[Tokens]) -> list[Tokens]:
    """Distinct inputs in the order of their tokens, without those that another begins with."""
    order = sorted(set(rows))
    return [row for row, other in zip(order, [*order[1:], ()], strict=True) if other[: len(row)] != row]


def _count_beginnings(
    lengths: NDArray[np.int64], shared: NDArray[np.int64], start: int, ends: NDArray[np.int64]
) -> NDArray[np.int64]:
    """How many different beginnings of each length the inputs longer than `start` have.

    Args:
        lengths: of sorted inputs.
        shared: with the input before, in tokens.
    """
    # What is shared with an input that has ended is shorter than any of these beginnings, so that it parts them all.
    found: NDArray[np.int64] = 1 + (shared[lengths > start][1:, None] < ends[None]).sum(0)
    return found


def _count_shared(first: Tokens, other: Tokens) -> int:
    """Tokens before the first difference."""
    return next((at for at, (a, b) in enumerate(zip(first, other)) if a != b), min(len(first), len(other)))


def _make_steps(leaves: Sequence[Tokens], places: Sequence[int]) -> tuple[Step, ...]:
    steps: list[Step] = []
    number: dict[Tokens, int] = {(): 0}
    for start, end in itertools.pairwise(places):
        own = tuple(dict.fromkeys(leaf[:end] for leaf in leaves if len(leaf) > start))
        steps.append(Step(start, end, own, tuple(number[row[:start]] for row in own)))
        number = {beginning: at for at, beginning in enumerate(own)}
    return tuple(steps)


class _Continued:
    """Cache of one layer: keys and values of the beginnings that are continued, and of what is running."""

    def __init__(self, before: dict[str, torch.Tensor], parents: Sequence[int], start: int) -> None:
        self.before, self.parents, self.start = before, parents, start
        self.kept: dict[str, torch.Tensor] = {}

    def get_seq_length(self, *_: Any) -> int:
        return self.start

    def update(self, keys: torch.Tensor, values: torch.Tensor, *_: Any, **__: Any) -> tuple[Any, Any]:
        import torch

        self.kept = {"keys": keys, "values": values}
        if self.start:
            where = list(self.parents)
            self.kept = {name: torch.cat([self.before[name][where], new], 2) for name, new in self.kept.items()}
        return self.kept["keys"], self.kept["values"]


def _run_group(runner: WaveRunner, rows: Sequence[Tokens]) -> torch.Tensor:
    """Final states at each input's last position, shape (row, d_model)."""
    import torch

    steps, found = plan_steps(rows), [torch.empty(0)] * len(rows)
    caches: list[dict[str, torch.Tensor]] = [{} for _ in range(runner.model.n_layers)]
    for step in steps:
        calls = runner.find_calls(step.end)
        with runner.turn():
            states = embed_tokens(runner.model, runner.model.place_tokens(step.pad()))[:, step.start :]
        for layer, call in enumerate(calls):
            cache = _Continued(caches[layer], step.parents, step.start)
            with runner.turn():
                states = call_block(runner.model, layer, states, call, start=step.start, cache=cache)
            caches[layer] = cache.kept if step is not steps[-1] else {}
        for at, row in enumerate(rows):
            if step.start < len(row) <= step.end:
                number = next(i for i, one in enumerate(step.beginnings) if one[: len(row)] == row)
                found[at] = states[number, len(row) - 1 - step.start]
    return torch.stack(found)
