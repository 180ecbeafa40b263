"""Attribution methods: what each is given, and the scores that it returns. Their grade is measured elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from audit_core.capability import Capability
from audit_core.evidence.kind import Evidence
from audit_core.explanations.replacing import draw_donors, replace_units
from audit_core.explanations.units import Unit, UnitKind, split_units
from audit_core.explanations.values import InputValues
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Progress, Subject, no_progress

Array = NDArray[np.float64]
SANITY_OF_COSTLY = 8
"""Prompts that a method with `is_costly` is scored on with randomised weights; their number is given with the correlation."""


@dataclass(frozen=True, eq=False)
class Task:
    """Prompts whose answers are explained, by their units, compared with one draw of other tokens."""

    subject: Subject
    prompts: TokenisedPrompts
    units: tuple[tuple[Unit, ...], ...]
    """Per prompt."""
    donors: tuple[Tokens, ...]
    """Per prompt, the tokens that replace its own; also the baseline of methods that need one."""
    values: InputValues
    pool: TokenisedPrompts
    """Prompts that other tokens and average embeddings are taken from."""
    on_progress: Progress = field(default=no_progress)

    def measure(self, kept: Sequence[NDArray[np.bool_]]) -> list[Array]:
        """The metric with some units kept and the others replaced, in logits.

        Args:
            kept: per prompt, shape (mask, unit).

        Returns:
            Per prompt, shape (mask,).
        """
        wanted = [
            (pair, replace_units(pair, units, donor, mask))
            for pair, units, donor, masks in zip(self.prompts.pairs, self.units, self.donors, kept, strict=True)
            for mask in masks
        ]
        found = self.values.read(wanted, on_progress=self.on_progress)
        ends = np.cumsum([len(masks) for masks in kept])[:-1]
        return list(np.split(found, ends))

    def take(self, rows: Sequence[int]) -> Task:
        """The same task on some of the prompts."""
        return replace(
            self,
            prompts=self.prompts.take(rows),
            units=tuple(self.units[at] for at in rows),
            donors=tuple(self.donors[at] for at in rows),
        )


def make_task(
    subject: Subject, prompts: TokenisedPrompts, pool: TokenisedPrompts, kind: UnitKind, *, seed: int
) -> Task:
    """Split prompts into units and draw what replaces them.

    Raises:
        PromptRefused: a prompt with too few units, or a pool with one token.
    """
    units = tuple(split_units(pair, kind, start_id=subject.tokenizer.bos_id) for pair in prompts.pairs)
    return Task(subject, prompts, units, draw_donors(prompts, pool, seed=seed), InputValues(subject), pool)


@dataclass(frozen=True, eq=False)
class Scores:
    """A method's score of every unit."""

    values: tuple[Array | None, ...]
    """Per prompt, shape (unit,); None where the method refuses the prompt."""
    error: tuple[float | None, ...] = ()
    """Per prompt, the method's own check, as it names it; empty if it has none."""
    missed: tuple[float | None, ...] = ()
    """Per prompt, |Σ scores − change| / |change| of the change that the scores divide; empty if they divide none."""
    refusal: str = ""
    """Why prompts were refused; empty if none was."""


class AttributionMethod(Protocol):
    """Interface of the plug-ins in `attributions/`.

    Every score is a proposal: only the measured curves say whether its order is better than a random one. A method whose
    class has `is_costly = True` is scored on fewer prompts with randomised weights.
    """

    @property
    def name(self) -> str: ...

    @property
    def title(self) -> str:
        """As figures name it."""

    @property
    def question(self) -> str: ...

    @property
    def assumes(self) -> str:
        """What must hold for its numbers to mean what they seem to, in one sentence."""

    @property
    def costs(self) -> str:
        """Work per prompt, in one sentence."""

    @property
    def evidence(self) -> Evidence:
        """Kind of its numbers."""

    @property
    def is_signed(self) -> bool:
        """Whether a negative score means that a unit acts against the answer."""

    @property
    def is_random(self) -> bool:
        """Whether another seed may give other scores."""

    @property
    def check(self) -> str:
        """What `Scores.error` is; empty if there is none."""

    @property
    def demands(self) -> tuple[Capability[Any], ...]: ...

    def score(self, task: Task, *, seed: int) -> Scores:
        """Score every unit of every prompt; the same seed gives the same scores.

        Raises:
            NotMeasured, Refused: it cannot be computed on this subject.
        """
