"""Two rounds: every strength of every method on the choosing prompts, then the chosen ones on the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit_core.dictionaries.dictionary import Dictionary
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.steering.conditions import UNEDITED, Array, Condition, Outcomes, Writer, prompt_with, steer_along
from audit_core.steering.directions import draw_random, find_directions
from audit_core.steering.results import STEERED, Method
from audit_core.steering.verdicts import choose_strength

TRIED_RANDOM = 4
"""Random directions on the choosing prompts and on all measured ones; the rest are only ranked, on fewer (see `ranking`)."""


@dataclass(frozen=True)
class Group:
    """Conditions of one method on one concept, from which one is chosen."""

    concept: int | None
    """Number of the concept; None for a random direction, which belongs to none."""
    method: Method
    members: tuple[int, ...]
    """Numbers of conditions, weakest first."""


@dataclass(frozen=True, eq=False)
class Tried:
    """The first round."""

    conditions: tuple[Condition, ...]
    """The unedited model first."""
    groups: tuple[Group, ...]
    outcomes: Mapping[int, Outcomes]
    """On the choosing prompts, by the number of the condition."""
    apart: float
    """See `Written.apart`."""

    def choose(self, group: Group, concept: int) -> int:
        """Number of the condition of a group that is measured for a concept."""
        found = [self.outcomes[at] for at in group.members]
        return group.members[choose_strength(found, self.outcomes[0], concept)]

    def choose_all(self, concept: int) -> dict[Method, int]:
        """Number of the chosen condition of each method on a concept."""
        return {group.method: self.choose(group, concept) for group in self.of(concept)}

    def list_judged(self) -> dict[tuple[int, Method], int]:
        """Number of the chosen condition of everything that gets a verdict, by number of the concept and method."""
        concepts = sorted({group.concept for group in self.groups if group.concept is not None})
        return {
            (concept, method): at
            for concept in concepts
            for method, at in self.choose_all(concept).items()
            if method in STEERED
        }

    def list_random(self, strength: float) -> tuple[int, ...]:
        """Numbers of the first random directions at one strength, which are of equal length."""
        members = (at for group in self.groups if group.concept is None for at in group.members)
        return tuple(at for at in members if self.conditions[at].strength == strength)

    def find_strengths(self, concept: int) -> tuple[float, ...]:
        """Chosen strengths of the directions of a concept."""
        found = (self.conditions[self.choose(group, concept)].strength for group in self.of(concept))
        return tuple(sorted({one for one in found if one is not None}))

    def of(self, concept: int) -> tuple[Group, ...]:
        """Groups of one concept."""
        return tuple(group for group in self.groups if group.concept == concept)


@dataclass(frozen=True, eq=False)
class Measured:
    """The second round."""

    outcomes: Mapping[int, Outcomes]
    """Of the chosen conditions and the random ones at a chosen strength, by their number, on the measured prompts."""
    off_target: Mapping[int, Array]
    """Of every condition of a concept and the random ones: divergence on each text, in nats."""
    apart: float


def try_conditions(
    writer: Writer, prompts: TokenisedPrompts, strengths: Sequence[float], dictionary: Dictionary | None, draws: int
) -> Tried:
    """Every strength of every method, and the first random directions.

    Raises:
        NotMeasured: a concept has no direction.
        ControlFailed: see `Writer.write`.
    """
    conditions, groups = [UNEDITED], []

    def add(concept: int | None, found: Sequence[Condition]) -> None:
        first = len(conditions)
        conditions.extend(found)
        groups.append(Group(concept, found[0].method, tuple(range(first, len(conditions)))))

    for number, concept in enumerate(writer.concepts):
        add(number, prompt_with(concept, writer.subject, writer.room))
        for direction in find_directions(writer.subject, concept, writer.layer, dictionary):
            add(number, steer_along(direction, strengths))
    for direction in draw_random(writer.subject.geometry.d_model, min(draws, TRIED_RANDOM), seed=writer.seed):
        add(None, steer_along(direction, strengths))
    outcomes, apart = writer.write(conditions, prompts)
    return Tried(tuple(conditions), tuple(groups), dict(enumerate(outcomes)), apart)


def measure_chosen(writer: Writer, prompts: TokenisedPrompts, tried: Tried, texts: Sequence[Tokens]) -> Measured:
    """The chosen conditions on other prompts, and the off-target cost.

    Args:
        texts: that concern no concept.
    """
    own = [(number, group) for number in range(len(writer.concepts)) for group in tried.of(number)]
    chosen = {tried.choose(group, number) for number, group in own}
    strengths = {one for number in range(len(writer.concepts)) for one in tried.find_strengths(number)}
    random = {at for strength in strengths for at in tried.list_random(strength)}
    order = sorted({0} | chosen | random)
    outcomes, apart = writer.write([tried.conditions[at] for at in order], prompts)
    aside = sorted({at for _, group in own for at in group.members} | random)
    costs = writer.measure_off_target([tried.conditions[at] for at in aside], texts)
    return Measured(dict(zip(order, outcomes, strict=True)), dict(zip(aside, costs, strict=True)), apart)


def list_baselines(tried: Tried, measured: Measured, concept: int, method: Method) -> dict[Method, list[Outcomes]]:
    """What a direction is compared with, on the measured prompts: prompting, DiffMean, and random directions of its length."""
    chosen = tried.choose_all(concept)
    found = {one: [measured.outcomes[chosen[one]]] for one in (Method.PROMPTING, Method.DIFFMEAN) if one is not method}
    strength = tried.conditions[chosen[method]].strength or 0.0
    return found | {Method.RANDOM: [measured.outcomes[at] for at in tried.list_random(strength)]}
