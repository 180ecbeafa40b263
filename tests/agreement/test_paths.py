"""Path patching against one whole forward pass per step and connection, hooks by name, in families with and without shared keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from toy.prompts import tokenise_letters

from audit_core.component import Component, Kind, head, mlp
from audit_core.connection import Connection, Terminal, Through, list_connections
from audit_core.engine.paths import find_shape, run_connections
from audit_core.prompts import TokenPair
from audit_core.subjects.transformer import TransformerSubject

Load = Callable[[str], TransformerSubject]
PARTS = (head(0, 1), head(0, 2), mlp(0), head(1, 0), head(1, 3), mlp(1), head(2, 1), mlp(2))
CLOSE = 1e-4
FAMILIES = ("gpt2", "llama", "qwen3", "gpt_neox", "mistral", "mixtral")
_INPUTS = {Through.QUERY: "hook_q", Through.KEY: "hook_k", Through.VALUE: "hook_v"}


class LiteralPaths:
    """One connection, one prompt, whole forward passes; a head's writing by its rows of the output matrix, by name."""

    def __init__(self, bridge: Any) -> None:
        self.bridge = bridge

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
        kept: list[torch.Tensor] = []
        keep = (name, lambda value, hook: kept.append(value.detach().clone()))
        with torch.inference_mode():
            self.bridge.run_with_hooks(torch.tensor([list(ids)]), fwd_hooks=[*hooks, keep])
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
    subject = load_family(family)
    prompts = tokenise_letters(subject.tokenizer, [6, 6, 9])
    connections = list_all(subject)
    if family in ("gpt2", "llama"):
        assert len(connections) > 60
    fast = run_connections(subject, prompts, [(c,) for c in connections])
    literal, biggest = LiteralPaths(subject.bridge), 0.0
    for at, pair in enumerate(prompts.pairs):
        for row, connection in enumerate(connections, start=2):
            slow = literal.read(pair, connection)
            found = fast.answer[row, at], fast.foil[row, at]
            np.testing.assert_allclose(
                found, read_pairs(slow, pair), rtol=0, atol=CLOSE * max(1, np.abs(slow).max()), err_msg=str(connection)
            )
            biggest = max(biggest, abs(found[0] - fast.answer[0, at]))
    assert biggest > 0.1, "nothing moved: the comparison would pass on an engine that does nothing"
    assert fast.edits_applied == len(connections) * len(prompts)
