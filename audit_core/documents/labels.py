"""The label of a question: what its answer relies on, from measured effects alone; attention and retrieval are not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from audit_core.stats.estimates import Estimate

DELTA = 0.10
"""Smallest effect that matters, as a fraction of the answer's lead or of the gap to documents that are all replaced."""
FOLLOWS, IGNORES = 0.8, 0.2
"""An answer follows a document if the lower bound of the share of followed edits reaches the first, and ignores it if the
upper bound stays at the second."""


class Label(StrEnum):
    """What the answer to one question relies on."""

    GROUNDED = "grounded"
    """One document that states the answer: replacing it costs the answer, and editing it changes the answer."""
    REDUNDANT = "redundant"
    """Either of two: each can be replaced, both cannot."""
    COMPLEMENTARY = "complementary"
    """Two together: neither alone restores the answer."""
    PARAMETRIC = "parametric"
    """No document: the answer is the same without them, and follows no edit."""
    OVERRIDES = "overrides"
    """No document, although one states another value."""
    WRONG_SOURCE = "wrong source"
    """A document that does not state the answer."""
    CITATION_MISMATCH = "citation mismatch"
    """A document, but not the cited one."""
    POSITION_BOUND = "position-bound"
    """The order of the documents moves the answer more than any document."""
    UNRESOLVED = "unresolved"
    """None of these; the reason says why."""


@dataclass(frozen=True)
class Measured:
    """What the label of a question is made from; effects in logits."""

    delta: float
    """Smallest effect that matters, in logits."""
    given: str
    closed_book: str
    """Answer without documents; empty without a preference."""
    stated: tuple[str | None, ...]
    """Value that each document states for the question."""
    replaced: tuple[Estimate, ...]
    """Loss when one document is replaced, per document."""
    follow: tuple[Estimate | None, ...]
    """Share of edits that the answer follows; None where a document has no value to edit."""
    alone: tuple[Estimate, ...]
    """Gain when only one document is kept, over none."""
    joint: Mapping[tuple[int, int], Estimate]
    """Loss when two documents are replaced."""
    interaction: Mapping[tuple[int, int], Estimate]
    together: Mapping[tuple[int, int], Estimate]
    """Gain when only two documents are kept, over none."""
    order: float
    """Mean change over every other order of the documents."""
    order_flips: int
    cited: int | None

    def relies_on(self, number: int) -> bool:
        """Whether the answer needs this document, and changes with its value."""
        follow = self.follow[number]
        return (
            is_above(self.replaced[number], self.delta) and follow is not None and is_above(follow, FOLLOWS, or_at=True)
        )


@dataclass(frozen=True)
class Judged:
    """The label with the documents that it names."""

    label: Label
    documents: tuple[int, ...]
    reason: str = ""
    """Why nothing else is said; empty unless unresolved."""


def judge_question(found: Measured) -> Judged:
    """The first rule that holds, in the order of the code."""
    biggest = max((abs(end) for one in found.replaced for end in (one.low, one.high) if end is not None), default=0.0)
    if found.order_flips and found.order > max(biggest, found.delta):
        return Judged(Label.POSITION_BOUND, ())
    for pair in found.interaction:
        if _is_complementary(found, pair):
            return Judged(Label.COMPLEMENTARY, pair)
    relied = sorted(
        (at for at in range(len(found.replaced)) if found.relies_on(at)), key=lambda at: -found.replaced[at].value
    )
    if relied:
        first = relied[0]
        if found.stated[first] != found.given:
            return Judged(Label.WRONG_SOURCE, (first,))
        if found.cited is not None and found.cited not in relied:
            return Judged(Label.CITATION_MISMATCH, (first,))
        return Judged(Label.GROUNDED, (first,))
    for pair in found.joint:
        if _is_redundant(found, pair):
            return Judged(Label.REDUNDANT, pair)
    return _judge_unrelied(found)


def _is_complementary(found: Measured, pair: tuple[int, int]) -> bool:
    """Whether both are needed and restore the answer together, and neither does alone."""
    is_needed = all(is_above(found.replaced[at], found.delta) for at in pair)
    is_alone = any(not is_below(found.alone[at], found.delta) for at in pair)
    restores = is_above(found.together[pair], found.delta) and is_above(found.interaction[pair], found.delta)
    return is_needed and restores and not is_alone


def _is_redundant(found: Measured, pair: tuple[int, int]) -> bool:
    """Whether replacing both costs the answer, replacing either does not, and either restores it alone."""
    is_spared = all(is_below(found.replaced[at], found.delta) for at in pair)
    restores = all(is_above(found.alone[at], found.delta) for at in pair)
    return is_above(found.joint[pair], found.delta) and is_spared and restores


def _judge_unrelied(found: Measured) -> Judged:
    """The label where no document is relied on alone."""
    edited = [follow for follow in found.follow if follow is not None]
    ignored = bool(edited) and all(is_below(follow, IGNORES, or_at=True) for follow in edited)
    if found.closed_book == found.given and ignored:
        other = tuple(at for at, value in enumerate(found.stated) if value not in (None, found.given))
        return Judged(Label.OVERRIDES, other) if other else Judged(Label.PARAMETRIC, ())
    top = max(range(len(found.replaced)), key=lambda at: found.replaced[at].value)
    return Judged(Label.UNRESOLVED, (), _explain(found, top))


def _explain(found: Measured, top: int) -> str:
    if found.given not in (*found.stated, found.closed_book):
        return "the answer is stated by no document, and is not the one without documents"
    follow = found.follow[top]
    if is_above(found.replaced[top], found.delta):
        if follow is None:
            return f"replacing [{top + 1}] costs the answer, but it has no value that can be edited"
        return (
            f"replacing [{top + 1}] costs the answer, which follows {follow.value:.2f} [{follow.low:.2f}, {follow.high:.2f}] of its "
            f"{follow.n} edits: {FOLLOWS} or more is needed to rely on it, {IGNORES} or less to ignore it"
        )
    if found.closed_book != found.given:
        return "no document alone matters, and the answer without documents is another one"
    return "no document alone matters, and whether the answer follows edits is not decided"


def is_above(one: Estimate, bound: float, *, or_at: bool = False) -> bool:
    """Whether the whole interval is above a bound."""
    return one.low is not None and (one.low >= bound if or_at else one.low > bound)


def is_below(one: Estimate, bound: float, *, or_at: bool = False) -> bool:
    """Whether the whole interval is below a bound."""
    return one.high is not None and (one.high <= bound if or_at else one.high < bound)
