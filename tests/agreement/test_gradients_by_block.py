"""Gradients block by block are those of one backward pass, bit for bit, and other work gets the lock between blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from toy.prompts import tokenise_letters

from audit_core import Kind, Subject
from audit_core.engine.gradients import embed, measure_gradients
from audit_core.engine.replay import call_block
from audit_core.engine.runner import WaveRunner

KINDS = (Kind.RESID, Kind.HEAD, Kind.QUERY, Kind.PATTERN, Kind.MLP, Kind.NEURON)
Load = Callable[[str], Subject]


def differentiate_at_once(
    runner: WaveRunner, rows: torch.Tensor, pairs: Any, calls: Any, dropped: tuple[int, ...]
) -> dict[Any, torch.Tensor]:
    """One graph of all blocks and one backward pass."""
    leaves: dict[Any, torch.Tensor] = {}

    def add(place: Any) -> Any:
        def hook(value: torch.Tensor, hook: Any) -> torch.Tensor:
            leaves[place] = torch.zeros_like(value, requires_grad=True)
            return value + leaves[place]

        return hook

    with torch.enable_grad():
        stream = rows.clone().requires_grad_()
        for layer, call in enumerate(calls):
            points: list[Any] = [runner.model.find_point(kind, layer) for kind in KINDS]
            for kind, point in zip(KINDS, points, strict=True):
                point.add_hook(add((kind, layer)))
            out = call_block(runner.model, layer, stream, call, start=0, cache=None)
            for point in points:
                point.remove_hooks()
            kept, change = torch.tensor([float(which != layer) for which in dropped])[:, None, None], out - stream
            stream = stream + kept * change + (1 - kept) * change.detach() if layer in dropped else out
        read, end = runner.readout.read_tokens, stream[None, :, -1]
        metric = read(end, [pair.answer_ids for pair in pairs]) - read(end, [pair.foil_ids for pair in pairs])
        found = torch.autograd.grad(metric.sum(), list(leaves.values()))
    return dict(zip(leaves, found, strict=True))


@pytest.mark.parametrize("family", ["gpt2", "llama"])
@pytest.mark.parametrize("dropped", [(), (0, 2)])
def test_gradients_by_block_are_those_of_one_pass(
    load_family: Load, monkeypatch: pytest.MonkeyPatch, family: str, dropped: tuple[int, ...]
) -> None:
    subject: Any = load_family(family)
    runner, pairs = subject.runner, tokenise_letters(subject.tokenizer, (6, 6)).pairs
    calls, rows = runner.find_calls(len(pairs[0].clean_ids)), embed(runner, [pair.clean_ids for pair in pairs])
    turns = []

    @contextmanager
    def count(turn: Any = runner.gradient_turn) -> Iterator[None]:
        turns.append(1)
        with turn():
            yield

    monkeypatch.setattr(runner, "gradient_turn", count)
    answers, foils = [pair.answer_ids for pair in pairs], [pair.foil_ids for pair in pairs]
    found = measure_gradients(runner, rows, answers, foils, KINDS, calls, dropped=dropped)
    wanted = differentiate_at_once(runner, rows, pairs, calls, dropped)
    assert found.gradients.keys() == wanted.keys()
    for place, gradient in wanted.items():
        assert torch.equal(found.gradients[place], gradient), place
        # A dropped layer's own sites get no gradient from that row; every other one gets some.
        for row, which in zip(gradient, dropped or (-1, -1), strict=True):
            assert bool(row.any()) is (which != place[1])
    assert len(turns) == 2 * len(calls) + 1
