"""The residual stream at the last position: read, changed and followed to the answer, with everything before it as it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from audit_core.engine.device import from_numpy, to_numpy
from audit_core.engine.plan import count_prefix_rows
from audit_core.engine.replay import Prefix, call_block
from audit_core.engine.runner import WaveRunner
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Floats, Subject

if TYPE_CHECKING:
    import torch

MOST_STATES = 2048
"""States that run at once."""


def explain_no_states(subject: Subject) -> str:
    """Why the last position of this model cannot be followed alone; empty if it can."""
    runner = getattr(subject, "runner", None)
    if not isinstance(runner, WaveRunner) or runner.fallback or not runner.shares_prefix:
        return "the blocks of this model cannot be run from a changed state at one position."
    return runner.explain_no_gradients()


class LastPosition:
    """States of some prompts at their last position, in their order; lengths may differ."""

    def __init__(self, runner: WaveRunner, pairs: Sequence[TokenPair]) -> None:
        self.runner, self.pairs = runner, pairs
        by_length: dict[int, list[int]] = {}
        for at, pair in enumerate(pairs):
            by_length.setdefault(len(pair.clean_ids), []).append(at)
        self.groups = list(by_length.values())
        self.runs = [runner.capture([pairs[at].clean_ids for at in group], ()) for group in self.groups]

    def read(self, layer: int) -> Floats:
        """States entering a layer, or after the last one; shape (prompt, d_model)."""
        found = np.empty((len(self.pairs), self.runner.geometry.d_model), np.float32)
        for group, run in zip(self.groups, self.runs, strict=True):
            states = run.finals if layer == self.runner.model.n_layers else run.residuals[layer]
            found[group] = to_numpy(states[:, -1])
        return found

    def finish(self, states: Floats, layer: int) -> Floats:
        """Logit difference with these states entering a layer; shape (time · prompt, d_model) → (time · prompt,)."""

        times = len(states) // len(self.pairs)
        asked = np.asarray(states, np.float32).reshape(times, len(self.pairs), -1)
        found = np.empty((times, len(self.pairs)), np.float32)
        for number, group in enumerate(self.groups):
            most = min(MOST_STATES, count_prefix_rows(self.runner.geometry, len(self.pairs[group[0]].clean_ids)))
            size = max(1, most // len(group))
            for start in range(0, times, size):
                part = from_numpy(np.ascontiguousarray(asked[start : start + size, group]), self.runner.model.device)
                with self.runner.turn():
                    found[start : start + size, group] = to_numpy(self._follow(part, layer, number))
        return found.reshape(-1)

    def differentiate(self, layer: int) -> Floats:
        """Gradient of the logit difference at the states entering a layer; shape (prompt, d_model)."""
        import torch

        found = np.empty((len(self.pairs), self.runner.geometry.d_model), np.float32)
        states = self.read(layer)
        for number, group in enumerate(self.groups):
            with self.runner.gradient_turn():
                leaf = from_numpy(states[group], self.runner.model.device)[None].requires_grad_()
                (gradient,) = torch.autograd.grad(self._follow(leaf, layer, number).sum(), leaf)
                found[group] = to_numpy(gradient[0])
        return found

    def _follow(self, states: torch.Tensor, layer: int, number: int) -> torch.Tensor:
        """Shape (time, prompt, d_model) → (time, prompt)."""
        run, pairs = self.runs[number], [self.pairs[at] for at in self.groups[number]]
        length, times = run.tokens.shape[1], len(states)
        rows = states.reshape(times * len(pairs), 1, -1)
        for at in range(layer, self.runner.model.n_layers):
            # Copies: a tensor of inference mode cannot take part in a backward pass.
            kept = {name: value.clone() for name, value in run.keys_values[at].items()}
            call = self.runner.find_calls(length)[at]
            cache = Prefix([(kept, times)], length - 1) if length > 1 else None
            rows = call_block(self.runner.model, at, rows, call, start=length - 1, cache=cache)
        end = rows[:, 0].reshape(states.shape)
        answers, foils = _list_ids(pairs)
        read = self.runner.readout.read_tokens
        found: torch.Tensor = read(end, answers) - read(end, foils)
        return found


def _list_ids(pairs: Sequence[TokenPair]) -> tuple[list[Tokens], list[Tokens]]:
    return [pair.answer_ids for pair in pairs], [pair.foil_ids for pair in pairs]
