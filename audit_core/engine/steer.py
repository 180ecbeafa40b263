"""Steering: a vector is added to the residual stream entering one layer, while the model writes and while it reads.

It is added at every position after the first, of the input and of every token that is written. The first position is left
out, as in dictionaries: its activation is a hundred times longer than others and holds nothing of the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from audit_core.activations import Sampling, Shift, Written
from audit_core.component import Kind
from audit_core.engine.capture import Turn
from audit_core.engine.device import from_numpy, to_numpy
from audit_core.engine.sites import HookedModel
from audit_core.errors import ControlFailed
from audit_core.prompts.answers import Tokens
from audit_core.subject import Floats, Progress

if TYPE_CHECKING:
    import torch

ROWS, READ_ROWS = 64, 8
"""Texts that are written at once, and that are read with all of their logits."""
FULL_LENGTH = 256
"""Tokens up to which so many texts fit: the logits of eight such texts take 400 MB on the default model."""


def write_steered(
    model: HookedModel,
    rows: Sequence[Tokens],
    layer: int,
    steps: Floats | None,
    sampling: Sampling,
    watched: Sequence[Sequence[int]],
    turn: Turn,
    on_progress: Progress,
) -> Written:
    """See `Steerable.write_steered`.

    Raises:
        ControlFailed: the hook did not fire at a token, or a whole pass over a written text has other logits.
    """
    ids = np.empty((len(rows), sampling.n_tokens), np.int64)
    first, apart, done = np.empty((len(rows), len(watched)), np.float32), 0.0, 0
    for where in _list_batches(rows):
        batch = [rows[at] for at in where]
        step = None if steps is None else steps[where]
        noise = [sampling.draws[at] for at in where]

        def report(written: int, before: int = done, size: int = len(batch)) -> None:
            # After every token, so that a person can cancel between two.
            on_progress(before * sampling.n_tokens + size * written, len(rows) * sampling.n_tokens)

        texts, ends = _write(model, batch, layer, step, sampling, noise, turn, report)
        ids[where] = to_numpy(texts[:, len(batch[0]) :])
        with turn():
            logs = ends[0].log_softmax(-1)
            for at, tokens in enumerate(watched):
                first[where, at] = to_numpy(logs[:, list(tokens)].logsumexp(-1))
        # The text with the longest vector in a single pass: what was written token by token had it at every token.
        longest = 0 if step is None else int(np.linalg.norm(step, axis=1).argmax())
        own = slice(longest, longest + 1)
        whole = _run(model, texts[own, :-1], layer, None if step is None else step[own], turn)[0, -1]
        apart = max(apart, float((whole - ends[1][longest]).abs().max()))
        done += len(where)
    return Written(ids, first, apart)


def _write(
    model: HookedModel,
    batch: Sequence[Tokens],
    layer: int,
    step: Floats | None,
    sampling: Sampling,
    noise: Sequence[int],
    turn: Turn,
    report: Callable[[int], None],
) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Texts with what was written, shape (row, pos), and the logits of the first and of the last written token."""
    import torch

    texts = model.place_tokens(batch)
    new, cache, begin = texts, None, None
    for number in range(sampling.n_tokens):
        with turn(), _added(model, layer, step, is_start=number == 0):
            logits, cache = model.bridge(
                new,
                return_type="logits_and_cache",
                use_cache=True,
                **({} if cache is None else {"past_key_values": cache}),
            )
            end = logits[:, -1].float()
            begin = end if begin is None else begin
            new = _choose(end, sampling, noise, number)
            texts = torch.cat([texts, new], 1)
        report(number + 1)
    assert begin is not None
    return texts, (begin, end)


def _choose(end: torch.Tensor, sampling: Sampling, noise: Sequence[int], number: int) -> torch.Tensor:
    """The likeliest token, or one drawn by the Gumbel-max rule: rows with the same draw have the same noise, so that a small
    change of the logits changes few tokens; shape (row, 1)."""

    if sampling.temperature:
        drawn = {
            one: np.random.default_rng([sampling.seed, one, number]).gumbel(size=end.shape[1]).astype(np.float32)
            for one in set(noise)
        }
        end = end / sampling.temperature + from_numpy(np.stack([drawn[one] for one in noise]), end.device)
    return end.argmax(-1, keepdim=True)


def measure_shift(
    model: HookedModel, row: Tokens, changed: Sequence[Tokens], layer: int, steps: Floats | None, turn: Turn
) -> Shift:
    """See `Steerable.measure_shift`.

    Raises:
        ControlFailed: the hook did not fire.
    """

    n = len(row) - 1
    own = _run(model, model.place_tokens([row]), layer, None, turn)[:, 1:]
    kl, largest = np.empty(len(changed), np.float32), np.empty(len(changed), np.float32)
    for where in _list_batches(changed, READ_ROWS):
        batch = model.place_tokens([changed[at] for at in where])
        logits = _run(model, batch, layer, None if steps is None else steps[where], turn)[:, -n:]
        with turn():
            before, after = own.log_softmax(-1), logits.log_softmax(-1)
            kl[where] = to_numpy((before.exp() * (before - after)).sum(-1).mean(1))
            largest[where] = to_numpy((logits - own).abs().amax((1, 2)))
    return Shift(kl, largest)


def _run(model: HookedModel, batch: torch.Tensor, layer: int, step: Floats | None, turn: Turn) -> torch.Tensor:
    """Logits at every position."""
    with turn(), _added(model, layer, step, is_start=True):
        found: torch.Tensor = model.bridge(batch).float()
        return found


@contextmanager
def _added(model: HookedModel, layer: int, step: Floats | None, *, is_start: bool) -> Iterator[None]:
    """Add a vector to each row during one pass; without vectors no hook is set.

    Args:
        step: shape (row, d_model).
        is_start: whether the pass begins with the first position of the texts.
    """
    import torch

    if step is None:
        yield
        return
    point, fired = model.find_point(Kind.RESID, layer), []
    added = torch.from_numpy(np.ascontiguousarray(step, np.float32))[:, None]

    def add(value: torch.Tensor, hook: Any) -> torch.Tensor:
        fired.append(value.shape[1])
        new = value.clone()
        new[:, int(is_start) :] += added.to(value)
        return new

    try:
        point.add_hook(add)
        yield
    finally:
        point.remove_hooks()
    if len(fired) != 1:
        raise ControlFailed(
            f"The hook of the residual stream entering layer {layer} fired {len(fired)} times in one pass."
        )


def _list_batches(rows: Sequence[Tokens], most: int = ROWS) -> list[list[int]]:
    """Numbers of texts of equal length, at most this many; fewer of those longer than `FULL_LENGTH`."""
    by_length: dict[int, list[int]] = {}
    for at, row in enumerate(rows):
        by_length.setdefault(len(row), []).append(at)
    sizes = {length: max(1, min(most, most * FULL_LENGTH // length)) for length in by_length}
    return [
        members[at : at + sizes[length]]
        for length, members in by_length.items()
        for at in range(0, len(members), sizes[length])
    ]
