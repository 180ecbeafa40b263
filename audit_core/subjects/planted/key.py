"""Ground truth of planted models: tasks and correct verdicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from audit_core.claim import Role, Universe
from audit_core.component import Component
from audit_core.intervention import Replacement
from audit_core.judging.verdict import State
from audit_core.prompts.prompt_set import PromptSet


class PlantedRole(StrEnum):
    """Planted role of the components of a claim."""

    CAUSE = "cause"
    """Carries the answer, without a backup."""
    NEGATIVE = "negative"
    """Acts against the answer."""
    DECOY = "decoy"
    """Attends to the answer, or is chosen by the router, but its output is not read."""
    BYSTANDER = "bystander"
    """Random weights, small writes."""
    BACKED_UP = "backed up"
    """Carries the answer; a backup becomes active if it is set to zero."""
    BACKUP = "backup"
    """Inactive unless the primary component is ablated."""
    GATE = "gate"
    """Supplies a constant: necessary, but independent of the answer."""
    REDUNDANT = "redundant"
    """One of two that are each sufficient: an effect only if both are ablated."""
    JOINT = "joint"
    """One of two that are both necessary."""
    CANCELLED = "cancelled"
    """One of two large effects that cancel."""
    CONDITIONAL = "conditional"
    """Carries the answer on some templates only."""
    ARTEFACT = "artefact"
    """Matters only where it is replaced, because that makes an input that no text makes."""
    RARE = "rare"
    """Carries the answer in a small share of the templates."""
    PADDED = "padded"
    """A set in which only some carry the answer."""
    UNROUTED = "not routed"
    """No token of the prompts is sent to it."""


WIRED: Mapping[PlantedRole, State] = MappingProxyType(
    {
        PlantedRole.CAUSE: State.SUPPORTED,
        PlantedRole.BACKED_UP: State.SUPPORTED,
        PlantedRole.GATE: State.SUPPORTED,
        PlantedRole.JOINT: State.SUPPORTED,
        PlantedRole.DECOY: State.NEGLIGIBLE,
        PlantedRole.BYSTANDER: State.NEGLIGIBLE,
        PlantedRole.NEGATIVE: State.REVERSED,
    }
)
"""Ground truth by role, for any ablation: components are used, unused, or act against the answer. Roles whose effect
depends on the ablation are excluded. Written from the wiring, without using any verdict rule."""


@dataclass(frozen=True)
class PlantedClaim:
    """A claim about a planted model, with its ground truth."""

    components: tuple[Component, ...]
    task: str
    planted: PlantedRole
    expected: State
    """Expected state of the combined rule with enough prompts, at the default δ."""
    support: Mapping[Replacement, float]
    """Mean loss of the metric when the components are replaced, in logits, derived from the weights; families whose loss
    depends on the drawn prompts are absent."""
    role: Role = Role.NECESSARY
    by_family: Mapping[Replacement, State] = field(default_factory=lambda: MappingProxyType({}))
    """Expected state of single families that differ from `expected`."""
    universe: Universe | None = None
    """What counts as everything; None: the narrowest universe that contains the components."""
    in_range: State | None = None
    """Expected state with the check of ranges (`judging/usual_range.py`), where it differs from `expected`."""


@dataclass(frozen=True)
class PlantedTask:
    """A task of a planted model."""

    name: str
    make: Callable[[int, int], PromptSet]
    """Prompts per template and seed → prompts over at least eight templates, all ending at their answer position."""


@dataclass(frozen=True)
class PlantedModel:
    """A planted model: weights are set by hand."""

    name: str
    """Name on the command line; starts with "planted-"."""
    title: str
    story: str
    """Description of the wiring, for display."""
    build: Callable[[Path, int], None]
    """Folder and seed → a Hugging Face folder with tokenizer; the seed affects background weights only, and in
    mixtures also gains and gate weights."""
    tasks: tuple[PlantedTask, ...]
    claims: tuple[PlantedClaim, ...]

    def find_task(self, name: str) -> PlantedTask:
        return next(task for task in self.tasks if task.name == name)
