"""What a screening method returns: estimated effects, never to be taken for measured ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from audit_core.component import Component, Kind
from audit_core.errors import ComponentRefused
from audit_core.intervention import Replacement, Side
from audit_core.prompts import TokenisedPrompts
from audit_core.subject import Floats, Progress, Subject, read_only


@dataclass(frozen=True, eq=False)
class Screen:
    """Estimated effect of replacing each component alone."""

    components: tuple[Component, ...]
    support: Floats
    """Estimated push towards the answer, in logits; shape (component, prompt). Without sign where `is_signed` is false."""
    is_signed: bool


class Method(Protocol):
    """The contract of the `methods/` shelf."""

    @property
    def name(self) -> str: ...

    @property
    def question(self) -> str: ...

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of components it can estimate."""

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        """Replacements whose effect it can estimate."""

    @property
    def misses(self) -> str:
        """What it is known not to see, in one sentence that stands beside every figure drawn from it."""

    def screen(
        self,
        subject: Subject,
        prompts: TokenisedPrompts,
        kind: Kind,
        replacement: Replacement,
        side: Side,
        *,
        on_progress: Progress,
    ) -> Screen:
        """Estimate every component of a kind.

        Args:
            side: the run that is edited: clean is noising, corrupted is denoising.

        Raises:
            ComponentRefused: a kind or replacement it cannot estimate.
            ControlFailed: a hook did not fire or no slope reached it.
        """


def can_estimate(method: Method, kind: Kind, replacement: Replacement) -> bool:
    """Whether a method has anything to say of a sweep."""
    return kind in method.kinds and replacement in method.replacements


def check_asked(method: Method, subject: Subject, kind: Kind, replacement: Replacement) -> None:
    """Refuse what the method cannot estimate, or this model does not have.

    Raises:
        ComponentRefused: with what it can.
    """
    if not can_estimate(method, kind, replacement):
        raise ComponentRefused(
            f"{method.name} of {kind} under {replacement}.",
            wanted=f"one of {', '.join(method.kinds)} under {' or '.join(method.replacements)}.",
            remedy="choose another method, or measure it exactly.",
        )
    if not subject.components(kind):
        raise ComponentRefused(
            f"This model has no {kind} that can be reached.", wanted="another kind.", remedy="choose heads or MLPs."
        )


def collect(
    subject: Subject, kind: Kind, columns: Mapping[int, Sequence[float]], side: Side, *, is_signed: bool
) -> Screen:
    """Put estimated changes of the metric, per prompt, together.

    Args:
        columns: per prompt, the change of the metric by each component; logits.
        side: on the clean run a loss is support, on the corrupted run a gain is.
    """
    change = np.array([columns[i] for i in range(len(columns))], np.float32).T
    support = change if side is Side.CORRUPTED or not is_signed else -change
    return Screen(subject.components(kind), read_only(np.ascontiguousarray(support)), is_signed)
