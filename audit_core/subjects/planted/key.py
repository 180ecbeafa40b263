"""What is known of a planted model before anything is measured: its tasks, and the verdicts that are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from audit_core.claim import Role
from audit_core.component import Component
from audit_core.intervention import Replacement
from audit_core.judging.verdict import State
from audit_core.prompts.prompt_set import PromptSet


class PlantedRole(StrEnum):
    """Why the components of a claim do what they do."""

    CAUSE = "cause"
    """Carries the answer; nothing else would if it were gone."""
    NEGATIVE = "negative"
    """Pushes against the answer."""
    DECOY = "decoy"
    """Looks where the answer stands, and what it writes is never read."""
    BYSTANDER = "bystander"
    """Random weights, small writes."""
    BACKED_UP = "backed up"
    """Carries the answer, and wakes a backup where it is set to zero."""
    BACKUP = "backup"
    """Asleep while the part that it backs up is there."""
    GATE = "gate"
    """Supplies a constant: needed, though it carries nothing of the answer."""
    REDUNDANT = "redundant"
    """One of two that each suffice: missed only when both are gone."""
    JOINT = "joint"
    """One of two that are both needed."""
    CANCELLED = "cancelled"
    """One of two large effects that add up to nothing."""
    CONDITIONAL = "conditional"
    """Carries the answer on some templates only."""


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
"""What the wiring says of a part, whoever asks and however: the parts are used, idle, or push against the answer. Roles
whose worth depends on the question are not here. No rule had a part in writing it, the combined one neither."""


@dataclass(frozen=True)
class PlantedClaim:
    """A claim about a planted model, and what is true of it."""

    components: tuple[Component, ...]
    task: str
    planted: PlantedRole
    expected: State
    """What the combined rule should find with enough prompts, at the default δ."""
    support: Mapping[Replacement, float]
    """Mean loss of the metric when the components are replaced, in logits, as it follows from the weights; a family is
    missing where it depends on the prompts drawn."""
    role: Role = Role.NECESSARY
    by_family: Mapping[Replacement, State] = field(default_factory=lambda: MappingProxyType({}))
    """What one ablation family alone would say, where that differs from `expected`."""


@dataclass(frozen=True)
class PlantedTask:
    """Prompts that a planted model was built for."""

    name: str
    make: Callable[[int, int], PromptSet]
    """Prompts per template and seed → prompts over at least eight templates, all ending at their answer position."""


@dataclass(frozen=True)
class PlantedModel:
    """A model whose weights are set by hand."""

    name: str
    """What a person types; starts with "planted-"."""
    title: str
    story: str
    """What is wired how, in a sentence or two, for the page."""
    build: Callable[[Path, int], None]
    """Folder and seed → a Hugging Face folder with tokenizer; the seed decides the random parts and nothing else."""
    tasks: tuple[PlantedTask, ...]
    claims: tuple[PlantedClaim, ...]

    def find_task(self, name: str) -> PlantedTask:
        return next(task for task in self.tasks if task.name == name)
