"""Unedited runs of many inputs of one length: what several of them begin with is computed once, as in a tree."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
"""Rows of a group, in rows that fit one pass: what a group shares makes room for more of them."""


def run_tree(runner: WaveRunner, prompts: TokenisedPrompts, *, on_progress: Progress) -> Logits:
    """Logits at the last position of the clean text of each prompt, as `Subject.run` without an edit gives them.

    Values differ by rounding alone: keys and values of a beginning are computed once, in a product of other shape.
    """
    table = LogitTable(prompts, 1, 0)
    rows = [pair.clean_ids for pair in prompts.pairs]
    done = 0
    for group in group_rows(rows, lambda length: count_tokens(runner.geometry, length)):
        ends = _run_group(runner, [rows[at] for at in group])
        runner.read(table, ends[None], [0], group)
        done += len(group)
        on_progress(done, len(rows))
    return table.finish(0)


def group_rows(rows: Sequence[Tokens], count_room: Any) -> Iterator[list[int]]:
    """Indices of inputs of one length that run together, neighbours in the order of their tokens.

    Args:
        count_room: positions that fit one pass at a length.
    """
    by_length: dict[int, list[int]] = {}
    for at in sorted(range(len(rows)), key=rows.__getitem__):
        by_length.setdefault(len(rows[at]), []).append(at)
    for length, members in by_length.items():
        size = max(1, ROWS_PER_ROOM * count_room(length) // length)
        # Equal sizes: a small remainder would need a whole pass over the weights.
        size = -(-len(members) // -(-len(members) // size))
        yield from (members[at : at + size] for at in range(0, len(members), size))


@dataclass(frozen=True)
class Step:
    """Positions `start` to `end` of the distinct beginnings of a group."""

    start: int
    end: int
    beginnings: tuple[Tokens, ...]
    parents: tuple[int, ...]
    """Per beginning, which of those of the step before it continues."""


def plan_steps(rows: Sequence[Tokens]) -> tuple[Step, ...]:
    """Steps over inputs of one length with the fewest positions, a pass counting as `PASS_TOKENS` of them.

    The last step has every row, in the order given.
    """
    length = len(rows[0])
    # Beginnings grow in number only where rows part, so that a cut anywhere else cannot be better.
    counts = [len({row[:end] for row in rows}) for end in range(length)] + [len(rows)]
    ends = [end for end in range(1, length) if counts[end] < counts[end + 1]] + [length]
    least, cut = {0: 0}, {}
    for end in ends:
        least[end], cut[end] = min(
            (least[start] + counts[end] * (end - start) + PASS_TOKENS, start) for start in least if start < end
        )
    places = [length]
    while places[-1]:
        places.append(cut[places[-1]])
    return _make_steps(rows, places[::-1])


def _make_steps(rows: Sequence[Tokens], places: Sequence[int]) -> tuple[Step, ...]:
    steps: list[Step] = []
    number: dict[Tokens, int] = {(): 0}
    for start, end in itertools.pairwise(places):
        own = tuple(rows) if end == len(rows[0]) else tuple(dict.fromkeys(row[:end] for row in rows))
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
    """Final states at the last position, shape (row, d_model)."""
    import torch

    caches: list[dict[str, torch.Tensor]] = [{} for _ in range(runner.model.n_layers)]
    states = torch.empty(0)
    for step in plan_steps(rows):
        calls = runner.find_calls(step.end)
        with runner.turn():
            states = embed_tokens(runner.model, torch.tensor(step.beginnings))[:, step.start :]
        for layer, call in enumerate(calls):
            cache = _Continued(caches[layer], step.parents, step.start)
            with runner.turn():
                states = call_block(runner.model, layer, states, call, start=step.start, cache=cache)
            caches[layer] = cache.kept if step.end < len(rows[0]) else {}
    return states[:, -1]
