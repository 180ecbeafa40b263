"""Layer-wise relevance: the answer's logit difference handed back layer by layer, each layer giving on what it received."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from audit_core.capability import GRADIENTS, Capability
from audit_core.component import Kind
from audit_core.engine.device import to_numpy
from audit_core.engine.gradients import batch_prompts, embed, get_runner, measure_gradients
from audit_core.engine.runner import WaveRunner
from audit_core.errors import NotMeasured
from audit_core.evidence.kind import Evidence
from audit_core.explanations.method import Array, Scores, Task
from audit_core.explanations.units import pool_positions
from audit_core.intervention import PromptSide

Tensor = Any
"""Of torch, which only the engine names."""
CONSERVED = 1e-3
"""Largest |Σ relevance − m| / |m|; a prompt beyond it is refused."""
_NORM = re.compile(r"(?:^|\.)ln\w*\.hook_out$")
_GATED = ("mlp.gate.hook_out", "mlp.in.hook_out", "mlp.out.hook_in")


class Rules:
    """Hooks that keep every value and change what the backward pass gives on, so that gradient × input is relevance.

    Patterns and the scale of RMS norms are constants: all relevance of attention goes to the values. A gated product gives
    half to each factor, and an activation gives its input all of its own.
    """

    def __init__(self, runner: WaveRunner) -> None:
        bridge = runner.model.bridge
        self.points: dict[str, Any] = bridge.hook_dict
        self.patterns = [f"blocks.{layer}.attn.hook_pattern" for layer in range(runner.model.n_layers)]
        self.gated = [tuple(f"blocks.{layer}.{name}" for name in _GATED) for layer in range(runner.model.n_layers)]
        self.norms = [name for name in self.points if _NORM.search(name)]
        self.why_not = self._explain(bridge)
        self.fired: set[str] = set()
        self._kept: dict[str, Tensor] = {}

    def _explain(self, bridge: Any) -> str:
        """Why relevance would not be conserved in this architecture; empty if it is."""
        modules = [bridge.get_submodule(name.removesuffix(".hook_out")) for name in self.norms]
        if not all(getattr(norm, "uses_rms_norm", False) for norm in modules):
            return "its norms subtract the mean; the rules are those of RMS norms."
        if missing := [
            name for name in (*self.patterns, *(n for three in self.gated for n in three)) if name not in self.points
        ]:
            return f"it has no {missing[0]}; the rules are those of blocks with attention and a gated MLP."
        return ""

    @contextmanager
    def apply(self) -> Iterator[None]:
        """Install the rules for one pass; the caller holds the model lock.

        Raises:
            NotMeasured: a rule did not fire.
        """
        hooks = {name: self._hold_constant(name) for name in self.patterns}
        for norm in self.norms:
            start = norm.replace("hook_out", "hook_in")
            hooks |= {start: self._keep(start), norm: self._give_on(norm, (start,))}
        for gate, up, product in self.gated:
            hooks |= {gate: self._keep(gate), up: self._keep(up), product: self._give_on(product, (gate, up))}
        self.fired.clear()
        try:
            for name, hook in hooks.items():
                self.points[name].add_hook(hook)
            yield
        finally:
            for name in hooks:
                self.points[name].remove_hooks()
            self._kept.clear()
        if missing := hooks.keys() - self.fired:
            raise NotMeasured("control_failed", f"the rule of {min(missing)} was not applied.")

    def _keep(self, name: str) -> Any:
        def keep(value: Tensor, hook: Any) -> None:
            self.fired.add(name)
            self._kept[name] = value

        return keep

    def _hold_constant(self, name: str) -> Any:
        def hold(value: Tensor, hook: Any) -> Tensor:
            self.fired.add(name)
            return value.detach()

        return hold

    def _give_on(self, name: str, inputs: tuple[str, ...]) -> Any:
        """An equal part of the output's relevance to each input, element by element: x · (y / x), with y / x constant."""

        def give(value: Tensor, hook: Any) -> Tensor:
            self.fired.add(name)
            found = value.detach().clone()
            for part in (self._kept[each] for each in inputs):
                own = part.detach()
                factor = (value.detach() / own).masked_fill(own == 0, 0.0) / len(inputs)
                # The value stays exactly what it was; only its derivative is new.
                found = found + factor * (part - own)
            return found

        return give


@dataclass(frozen=True)
class Relevance:
    """R_i = Σ_d e_d g_d, with g the gradient of m under `Rules`; Σ_i R_i = m, checked for every prompt.

    Holding patterns constant makes relevance add up exactly, and hides what queries and keys do. With a rule for the softmax
    instead it does not add up. The beginning-of-sequence token takes part in the sum and is no unit.

    Source: Ali et al. 2022, arXiv:2202.07304 (attention, norms); Achtibat et al. 2024, arXiv:2402.05602 (products, activations).
    """

    name: str = "relevance"
    title: str = "Layer-wise relevance (LRP)"
    question: str = "How does the answer divide among tokens if each layer hands back what it received?"
    assumes: str = (
        "It assumes that attention patterns and norms are constants, so that only values, MLPs and the residual stream carry "
        "relevance. What moves attention gets none."
    )
    costs: str = "One forward and one backward pass."
    evidence: Evidence = Evidence.ESTIMATED
    is_signed: bool = True
    is_random: bool = False
    check: str = "conservation error"
    demands: tuple[Capability[Any], ...] = field(default=(GRADIENTS,))

    def score(self, task: Task, *, seed: int) -> Scores:
        runner = get_runner(task.subject)
        rules = Rules(runner)
        if rules.why_not:
            raise NotMeasured("control_failed", f"relevance is not conserved in this model: {rules.why_not}")
        found: dict[int, tuple[Array, float]] = {}
        for batch in batch_prompts(runner, task.prompts):
            rows = embed(runner, batch.list_ids(PromptSide.CLEAN))
            with runner.lock, rules.apply():
                measured = measure_gradients(runner, rows, batch.answers, batch.foils, (Kind.RESID,), batch.calls)
            relevance = to_numpy((rows * measured.gradients[Kind.RESID, 0]).sum(-1)).astype(float)
            wanted = to_numpy(measured.metric).astype(float)
            missed = np.abs(relevance.sum(1) - wanted) / np.maximum(np.abs(wanted), 1e-9)
            found |= {at: (relevance[row], float(missed[row])) for row, at in enumerate(batch.prompts)}
            task.on_progress(len(found), len(task.prompts))
        return _collect(task, [found[at] for at in range(len(task.prompts))])


def _collect(task: Task, found: list[tuple[Array, float]]) -> Scores:
    """Scores of units, without the prompts whose relevance does not add up."""
    kept = [missed <= CONSERVED for _, missed in found]
    worst = max(missed for _, missed in found)
    errors = tuple(missed if is_kept else None for (_, missed), is_kept in zip(found, kept, strict=True))
    return Scores(
        tuple(
            pool_positions(values, units) if is_kept else None
            for (values, _), units, is_kept in zip(found, task.units, kept, strict=True)
        ),
        errors,
        errors,
        "" if all(kept) else f"relevance differs by up to {worst:.1%} from the answer's logit difference, "
        f"at most {CONSERVED:.1%} allowed: biases, or an answer of several tokens, keep a part.",
    )  # fmt: skip


PLUGIN = Relevance()
