"""Path patching against one whole forward pass per step and connection, hooks by name, in families with and without shared keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from toy.prompts import tokenise_letters

from audit_core.component import Component, Kind, head, mlp
from audit_core.connection import SPLIT, Connection, Terminal, Through, comes_before, list_connections
from audit_core.engine.paths import find_shape, run_connections
from audit_core.intervention import CLEAN_RUN, CORRUPTED_RUN, Intervention, Replacement, intervene
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]
PARTS = (head(0, 1), head(0, 2), mlp(0), head(1, 0), head(1, 3), mlp(1), head(2, 1), mlp(2))
CLOSE = 1e-4
FAMILIES = ("gpt2", "llama", "qwen3", "gpt_neox", "mistral", "mixtral")
"""Keys of their own; shared keys (grouped-query attention); norms of queries and keys; attention beside the MLP; a window
shorter than the prompts; experts."""
_INPUTS = {Through.QUERY: "hook_q", Through.KEY: "hook_k", Through.VALUE: "hook_v"}


class LiteralPaths:
    """One connection, one prompt, whole forward passes; a head's writing by its rows of the output matrix, by name."""

    def __init__(self, bridge: Any) -> None:
        self.bridge = bridge
        self._seen: dict[tuple, torch.Tensor] = {}

    def read(self, pair: TokenPair, connection: Connection) -> np.ndarray:
        """Logits of the vocabulary at the answer position."""
        change = self._contribution(pair, pair.corrupted_ids, connection) - self._contribution(
            pair, pair.clean_ids, connection
        )
        add = lambda value, hook: value + change  # noqa: E731
        receiver = connection.receiver
        if receiver is Terminal.OUTPUT:
            return self._logits(pair, [("ln_final.hook_in", add)])
        assert isinstance(receiver, Component)
        attn = f"blocks.{receiver.layer}.attn"
        clean_z = self._see(pair.clean_ids, f"{attn}.hook_z")
        if receiver.kind is Kind.MLP:
            # The MLP reads what attention adds to, so attention is held and the stream in front of it is moved.
            hold = (f"{attn}.hook_z", lambda value, hook: clean_z.clone())
            said = self._see(pair.clean_ids, f"blocks.{receiver.layer}.hook_mlp_out", [self._at(receiver, add), hold])
            put = (f"blocks.{receiver.layer}.hook_mlp_out", lambda value, hook: said)
            return self._logits(pair, [put])
        if connection.through is Through.WHOLE:
            said = self._see(pair.clean_ids, f"{attn}.hook_z", [self._at(receiver, add)])
        else:
            name = f"{attn}.{_INPUTS[connection.through]}"
            moved = self._see(pair.clean_ids, name, [self._at(receiver, add)])
            index = receiver.index * moved.shape[2] // clean_z.shape[2]

            def put_input(value: torch.Tensor, hook: Any) -> torch.Tensor:
                value = value.clone()
                value[:, :, index] = moved[:, :, index]
                return value

            said = self._see(pair.clean_ids, f"{attn}.hook_z", [(name, put_input)])

        def put_z(value: torch.Tensor, hook: Any) -> torch.Tensor:
            value = value.clone()
            value[:, :, receiver.index] = said[:, :, receiver.index]
            return value

        return self._logits(pair, [(f"{attn}.hook_z", put_z)])

    def _at(self, receiver: Component, add: Any) -> tuple[str, Any]:
        return f"blocks.{receiver.layer}.hook_resid_pre", add

    def _contribution(self, pair: TokenPair, ids: Sequence[int], connection: Connection) -> torch.Tensor:
        sender = connection.sender
        if sender is Terminal.INPUT:
            return self._see(ids, "blocks.0.hook_resid_pre")
        assert isinstance(sender, Component)
        if sender.kind is Kind.MLP:
            return self._see(ids, f"blocks.{sender.layer}.hook_mlp_out")
        z = self._see(ids, f"blocks.{sender.layer}.attn.hook_z")[:, :, sender.index]
        size = z.shape[-1]
        rows = slice(sender.index * size, (sender.index + 1) * size)
        with torch.inference_mode():
            return z @ find_output_matrix(self.bridge, sender.layer)[rows]

    def _see(self, ids: Sequence[int], name: str, hooks: Sequence[tuple[str, Any]] = ()) -> torch.Tensor:
        key = (tuple(ids), name)
        if not hooks and key in self._seen:
            return self._seen[key]
        kept: list[torch.Tensor] = []
        keep = (name, lambda value, hook: kept.append(value.detach().clone()))
        with torch.inference_mode():
            self.bridge.run_with_hooks(torch.tensor([list(ids)]), fwd_hooks=[*hooks, keep])
        if not hooks:
            self._seen[key] = kept[-1]
        return kept[-1]

    def _logits(self, pair: TokenPair, hooks: Sequence[tuple[str, Any]]) -> np.ndarray:
        with torch.inference_mode():
            logits = self.bridge.run_with_hooks(torch.tensor([pair.clean_ids]), fwd_hooks=list(hooks))
        return logits[0, -1].numpy()


def find_output_matrix(bridge: Any, layer: int) -> torch.Tensor:
    """Rows are coordinates of the heads' outputs; GPT-2 stores them as they are multiplied, the others turned over."""
    inner = bridge.blocks[layer].attn.o.original_component
    weight: torch.Tensor = inner.weight
    return weight if type(inner).__name__ == "Conv1D" else weight.T


def list_all(subject: TransformerSubject) -> list[Connection]:
    parallel = find_shape(subject)
    both = [list_connections(PARTS, split=split, is_parallel=parallel) for split in (False, True)]
    return list(dict.fromkeys([*both[0], *both[1]]))


def read_pairs(logits: np.ndarray, pair: TokenPair) -> tuple[float, float]:
    return logits[pair.answer_id], logits[pair.foil_id]


@pytest.mark.parametrize("family", FAMILIES)
def test_every_connection_does_what_whole_forward_passes_say(family: str, load_family: Load) -> None:
    """In one family on both prompts, in the others on one of them by turns: whole passes take nearly all of the time."""
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, [6, 9])
    connections = list_all(subject)
    if family in ("gpt2", "llama"):
        assert len(connections) > 60
    fast = run_connections(subject, prompts, [(c,) for c in connections])
    literal, biggest = LiteralPaths(subject.bridge), 0.0
    for at, pair in enumerate(prompts.pairs):
        for row, connection in enumerate(connections, start=2):
            if family != "gpt2" and row % len(prompts) != at:
                continue
            slow = literal.read(pair, connection)
            found = fast.answer[row, at], fast.foil[row, at]
            np.testing.assert_allclose(
                found, read_pairs(slow, pair), rtol=0, atol=CLOSE * max(1, np.abs(slow).max()), err_msg=str(connection)
            )
            biggest = max(biggest, abs(found[0] - fast.answer[0, at]))
    assert biggest > 0.1, "nothing moved: the comparison would pass on an engine that does nothing"
    assert fast.edits_applied == len(connections) * len(prompts)


def list_upstream(
    subject: TransformerSubject, receiver: Any, through: Through = Through.WHOLE
) -> tuple[Connection, ...]:
    parts = [*subject.components(Kind.HEAD), *subject.components(Kind.MLP)]
    parallel = find_shape(subject)
    found = [Connection(s, receiver, through) for s in (Terminal.INPUT, *parts) if comes_before(s, receiver)]
    return tuple(connection for connection in found if not (parallel and connection.is_in_one_layer))


@pytest.mark.parametrize("family", ["gpt2", "llama", "gpt_neox"])
def test_all_that_a_receiver_hears_exchanged_at_once_makes_it_say_what_it_says_on_the_corrupted_run(
    family: str, load_family: Load
) -> None:
    """Contributions add up to the whole residual stream, biases being the same in both runs: then patching all paths
    into a component is patching the component, and all paths to the output give the corrupted run itself."""
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, [6, 6, 9])
    receivers = (head(0, 1), head(1, 3), head(2, 0), mlp(0), mlp(1), mlp(2), Terminal.OUTPUT)
    found = run_connections(subject, prompts, [list_upstream(subject, receiver) for receiver in receivers])
    whole: list[Intervention] = [intervene([r], Replacement.RESAMPLE) for r in receivers[:-1]]
    wanted = subject.run(prompts, [CLEAN_RUN, CORRUPTED_RUN, *whole, CORRUPTED_RUN])
    np.testing.assert_allclose(found.answer, wanted.answer, rtol=0, atol=CLOSE * np.abs(wanted.answer).max())
    np.testing.assert_allclose(found.foil, wanted.foil, rtol=0, atol=CLOSE * np.abs(wanted.foil).max())
    assert np.abs(found.answer[2:] - found.answer[0]).max() > 0.1


@pytest.mark.parametrize("through", SPLIT)
def test_through_one_input_it_is_that_input_of_the_corrupted_run(through: Through, load_family: Load) -> None:
    """Where every head has keys and values of its own, all paths through one input are that input resampled."""
    subject = load_family("gpt2")
    prompts = tokenise_letters(subject.tokenizer, [6, 6, 9])
    found = run_connections(subject, prompts, [list_upstream(subject, head(1, 2), through)])
    wanted = subject.run(prompts, [intervene([Component(1, Kind(through.value), 2)], Replacement.RESAMPLE)])
    np.testing.assert_allclose(found.answer[2:], wanted.answer, rtol=0, atol=CLOSE * np.abs(wanted.answer).max())


@pytest.mark.parametrize("chunk", [1, 40, 10_000])
def test_how_paths_are_cut_into_chunks_changes_no_number(
    chunk: int, load_family: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_family("llama")
    prompts = tokenise_letters(subject.tokenizer, [6, 6, 9])
    bundles = [(connection,) for connection in list_all(subject)]
    whole = run_connections(subject, prompts, bundles).answer
    monkeypatch.setattr("audit_core.engine.plan.CHUNK_TOKENS", chunk)
    seen: list[tuple[int, int]] = []
    cut = run_connections(subject, prompts, bundles, on_progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_allclose(cut.answer, whole, rtol=0, atol=CLOSE * np.abs(whole).max())
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]
