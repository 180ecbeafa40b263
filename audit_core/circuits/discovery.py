"""Circuit discovery: components ordered by importance; a hypothesis to be tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audit_core.circuits.circuit_question import refuse_features
from audit_core.claim import Universe
from audit_core.component import Component
from audit_core.controls import Controls
from audit_core.errors import PromptRefused, Refused
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts, is_exploratory
from audit_core.subject import Means, Progress, Subject, read_only


@dataclass(frozen=True)
class DiscoveryRequest:
    """Request of a circuit discovery."""

    prompts: TokenisedPrompts
    universe: Universe = Universe.HEADS
    replacement: Replacement = Replacement.RESAMPLE
    metric: str = "logit_difference"
    seed: int = 0

    def __post_init__(self) -> None:
        refuse_features(self.universe)


@dataclass(frozen=True, eq=False)
class Order:
    """Components of a universe, most important first."""

    components: tuple[Component, ...]
    scores: NDArray[np.float64]
    """Scores that define the order; shape (component,)."""
    unit: str
    is_measured: bool
    """Whether the scores are measured effects; otherwise they are estimates or ranks."""
    controls: Controls | None
    """Controls of the measurements; None if nothing was measured."""
    per_prompt: NDArray[np.float64] | None = None
    """Scores per prompt, in the same order; shape (component, prompt); None if the scores are not means over prompts."""


class Discovery(Protocol):
    """Interface of the plug-ins in `circuit_discovery/`."""

    name: str
    question: str
    misses: str
    """Known blind spots, in one sentence that is shown with every proposed circuit."""

    def count_work(self, subject: Subject, request: DiscoveryRequest) -> int:
        """Units of work; see `Subject.count_work`."""

    def order(
        self, subject: Subject, request: DiscoveryRequest, *, means: Means | None, on_progress: Progress
    ) -> Order:
        """Order all components of the universe, each once.

        Raises:
            ComponentRefused: the method does not support the replacement.
            ControlFailed: a hook did not fire.
        """


def check_exploratory(prompts: TokenisedPrompts) -> None:
    """Refuse prompts of the confirmatory split.

    Raises:
        PromptRefused: with their number.
    """
    if not len(prompts):
        raise PromptRefused(
            "No exploratory prompts.",
            wanted="a set with prompts in both splits: exploratory for discovery, confirmatory for testing.",
            remedy="add prompts; the text of a prompt determines its split.",
        )
    held_out = sum(not is_exploratory(pair.prompt) for pair in prompts.pairs)
    if held_out:
        raise PromptRefused(
            f"{held_out} of {len(prompts)} prompts belong to the confirmatory split.",
            wanted="the exploratory split: the confirmatory one is reserved for testing the circuit.",
            remedy="choose the exploratory split.",
        )


def order_by_size(
    parts: Sequence[Component], per_prompt: NDArray[np.float64], unit: str, controls: Controls | None
) -> Order:
    """Order by magnitude of the mean, ignoring the sign: components that act against the answer are part of a circuit.

    Args:
        per_prompt: shape (component, prompt).
    """
    scores = per_prompt.mean(1)
    ranks = rank_by_size(scores)
    found = read_only(per_prompt[ranks])
    return Order(tuple(parts[at] for at in ranks), scores[ranks], unit, controls is not None, controls, found)


def rank_by_size(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices by descending magnitude; ties keep their order."""
    return np.argsort(-np.abs(scores), kind="stable")


def require_per_prompt(order: Order, method: str) -> NDArray[np.float64]:
    """Scores per prompt, for audits that resample prompts.

    Raises:
        Refused: the scores of the method are not means over prompts.
    """
    if order.per_prompt is None:
        raise Refused(
            f"{method} gives no score per prompt.",
            wanted="a method whose scores are means over prompts.",
            remedy="choose exact, or a gradient-based estimator.",
        )
    return order.per_prompt
