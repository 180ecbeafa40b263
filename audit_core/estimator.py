"""What a screening method returns: estimated effects, never to be taken for measured ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from audit_core.component import Component, Kind
from audit_core.errors import ComponentRefused
from audit_core.intervention import PromptSide, Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Floats, Progress, Subject


@dataclass(frozen=True, eq=False)
class EffectEstimates:
    """Estimated effect of replacing each component alone."""

    components: tuple[Component, ...]
    support: Floats
    """Estimated push towards the answer, in logits; shape (component, prompt). Without sign where `is_signed` is false."""
    is_signed: bool


@dataclass(frozen=True)
class EstimateRequest:
    """Which components are estimated, each replaced alone."""

    prompts: TokenisedPrompts
    kind: Kind
    replacement: Replacement
    side: PromptSide
    """The run that is edited: clean is noising, corrupted is denoising."""


class Estimator(Protocol):
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

    def screen(self, subject: Subject, request: EstimateRequest, *, on_progress: Progress) -> EffectEstimates:
        """Estimate every component of a kind.

        Raises:
            ComponentRefused: a kind or replacement it cannot estimate.
            ControlFailed: a hook did not fire or no slope reached it.
        """


def can_estimate(method: Estimator, kind: Kind, replacement: Replacement) -> bool:
    """Whether a method has anything to say of a sweep."""
    return kind in method.kinds and replacement in method.replacements


def check_asked(method: Estimator, subject: Subject, request: EstimateRequest) -> None:
    """Refuse what the method cannot estimate, or this model does not have.

    Raises:
        ComponentRefused: with what it can.
    """
    kind, replacement = request.kind, request.replacement
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
