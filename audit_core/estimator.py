"""Estimators: cheap estimates of component effects, kept apart from measured effects."""

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
    """Estimated support for the answer, in logits; shape (component, prompt). Magnitudes if `is_signed` is false."""
    is_signed: bool


@dataclass(frozen=True)
class EstimateRequest:
    """Components to estimate, each replaced alone."""

    prompts: TokenisedPrompts
    kind: Kind
    replacement: Replacement
    side: PromptSide
    """The edited run: clean is noising, corrupted is denoising."""


class Estimator(Protocol):
    """Interface of the plug-ins in `estimators/`."""

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
        """Known blind spots, in one sentence that is shown with every figure of its estimates."""

    def estimate(self, subject: Subject, request: EstimateRequest, *, on_progress: Progress) -> EffectEstimates:
        """Estimate every component of a kind.

        Raises:
            ComponentRefused: a kind or replacement it cannot estimate.
            ControlFailed: a hook did not fire or received no gradient.
        """


def can_estimate(method: Estimator, kind: Kind, replacement: Replacement) -> bool:
    """Whether an estimator supports a sweep."""
    return kind in method.kinds and replacement in method.replacements


def check_request(method: Estimator, subject: Subject, request: EstimateRequest) -> None:
    """Check that the estimator supports the request and that the model has such components.

    Raises:
        ComponentRefused: it does not; lists what is supported.
    """
    kind, replacement = request.kind, request.replacement
    if not can_estimate(method, kind, replacement):
        raise ComponentRefused(
            f"{method.name} of {kind} under {replacement}.",
            wanted=f"one of {', '.join(method.kinds)} under {' or '.join(method.replacements)}.",
            remedy="choose another estimator, or measure exactly.",
        )
    if not subject.components(kind):
        raise ComponentRefused(
            f"This model has no accessible {kind}.", wanted="another kind.", remedy="choose heads or MLPs."
        )
