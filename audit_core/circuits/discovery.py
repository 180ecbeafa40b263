"""Discovery: an order of components, those first that a circuit should keep; a hypothesis, never a finding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audit_core.claim import Universe
from audit_core.component import Component
from audit_core.effect import Controls
from audit_core.errors import PromptRefused, Refused
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts, is_exploratory
from audit_core.subject import Means, Progress, Subject, read_only


@dataclass(frozen=True)
class DiscoveryRequest:
    """Where a circuit is looked for."""

    prompts: TokenisedPrompts
    universe: Universe = Universe.HEADS
    replacement: Replacement = Replacement.RESAMPLE
    metric: str = "logit_difference"
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Order:
    """Components of a universe, the most important first."""

    components: tuple[Component, ...]
    scores: NDArray[np.float64]
    """What they are ordered by; shape (component,)."""
    unit: str
    is_measured: bool
    """Whether the scores are effects that were measured; else they are estimates, or no effects at all."""
    controls: Controls | None
    """Of what was measured; None where nothing was."""
    per_prompt: NDArray[np.float64] | None = None
    """What the scores are means of, in the order's order; shape (component, prompt); None where they are no means over prompts."""


class Discovery(Protocol):
    """The contract of the `discoveries/` shelf."""

    name: str
    question: str
    misses: str
    """What it is known not to find, in one sentence that stands beside every circuit it proposes."""

    def count_work(self, subject: Subject, request: DiscoveryRequest) -> int:
        """Units of work, as `Subject.count_work` has them."""

    def order(
        self, subject: Subject, request: DiscoveryRequest, *, means: Means | None, on_progress: Progress
    ) -> Order:
        """Every component of the universe once.

        Raises:
            ComponentRefused: a replacement that it has nothing to say of.
            ControlFailed: a hook did not fire.
        """


def check_exploratory(prompts: TokenisedPrompts) -> None:
    """Refuse prompts that a claim about the circuit could later be judged on.

    Raises:
        PromptRefused: with how many there are.
    """
    if not len(prompts):
        raise PromptRefused(
            "No exploratory prompts.",
            wanted="a set with prompts in both halves: a circuit is looked for in one, and judged on the other.",
            remedy="add prompts; which half one belongs to follows from its text.",
        )
    held_out = sum(not is_exploratory(pair.prompt) for pair in prompts.pairs)
    if held_out:
        raise PromptRefused(
            f"{held_out} of {len(prompts)} prompts belong to the confirmatory half.",
            wanted="the exploratory half: a circuit is judged on prompts that nobody used to find it.",
            remedy="choose the exploratory half.",
        )


def order_by_size(
    parts: Sequence[Component], per_prompt: NDArray[np.float64], unit: str, controls: Controls | None
) -> Order:
    """The largest mean in size first, whatever the sign: a part that pushes against the answer belongs to a circuit too.

    Args:
        per_prompt: shape (component, prompt).
    """
    scores = per_prompt.mean(1)
    ranks = rank_by_size(scores)
    found = read_only(per_prompt[ranks])
    return Order(tuple(parts[at] for at in ranks), scores[ranks], unit, controls is not None, controls, found)


def rank_by_size(scores: NDArray[np.float64]) -> NDArray[np.intp]:
    """Indices, the largest in size first; ties as they come."""
    return np.argsort(-np.abs(scores), kind="stable")


def require_per_prompt(order: Order, method: str) -> NDArray[np.float64]:
    """Scores per prompt, for questions that look again on some of the prompts.

    Raises:
        Refused: the method's order is no mean over prompts.
    """
    if order.per_prompt is None:
        raise Refused(
            f"{method} gives no score per prompt.",
            wanted="a method whose order is a mean over prompts.",
            remedy="choose exact, or one of the estimates from slopes.",
        )
    return order.per_prompt
