"""Occlusion: each unit replaced alone, and the loss of the answer measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from audit_core.capability import Capability
from audit_core.evidence.kind import Evidence
from audit_core.explanations.method import Scores, Task


@dataclass(frozen=True)
class Occlusion:
    """m(x) − m(x with one unit replaced); measured by running the model on each changed input.

    Source: Zeiler and Fergus 2013, arXiv:1311.2901; by replacement instead of a grey patch.
    """

    name: str = "occlusion"
    title: str = "Occlusion (measured)"
    question: str = "By how much does the answer fall when a token alone is replaced by one of another prompt?"
    assumes: str = "Nothing about the model: each number is measured. Effects of several tokens together can differ from their sum."
    costs: str = "One forward pass per unit."
    evidence: Evidence = Evidence.CAUSAL
    is_signed: bool = True
    is_random: bool = True
    check: str = ""
    demands: tuple[Capability[Any], ...] = ()

    def score(self, task: Task, *, seed: int) -> Scores:
        kept = [np.concatenate([np.ones((1, n), bool), ~np.eye(n, dtype=bool)]) for n in map(len, task.units)]
        return Scores(tuple(values[0] - values[1:] for values in task.measure(kept)))


PLUGIN = Occlusion()
