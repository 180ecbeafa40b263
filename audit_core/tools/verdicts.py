"""Verdicts on tools: from rates with intervals over requests, for the choice and for the result.

Thresholds: architectures 3.2 of the project's notes. Several may hold at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

from audit_core.stats.shares import wilson
from audit_core.tools.toolbox import KINDS

DELTA = 0.1
"""Smallest share that matters."""
CHANCE = 1 / len(KINDS)
FOLLOWED, NOT_FOLLOWED, ABLE = 0.8, 0.2, 0.75
SHARE = "share of requests"
MIN_REQUESTS = 16
"""With 16 of 16, the lower end of Wilson's interval is above `FOLLOWED`."""
AT_CHANCE = "the right tool is not chosen clearly more often than by chance"
"""Said where the interval of the share does not lie above chance by `DELTA`."""


class Verdict(StrEnum):
    """What is found of a choice or of a result."""

    NAME = "decided by name"
    DESCRIPTION = "decided by description"
    ORDER = "decided by order"
    REQUEST = "decided by request"
    UNSTABLE = "unstable"
    RELIES = "relies on result"
    IGNORES = "ignores result"
    ALONE = "answers alone"
    LAST = "copies last value"
    UNRESOLVED = "unresolved"


MEANINGS: Mapping[Verdict, str] = {
    Verdict.NAME: "with names alone, or against the descriptions, the named tool is chosen above chance",
    Verdict.DESCRIPTION: "with neutral names, or against the names, the described tool is chosen above chance",
    Verdict.ORDER: "most requests get the tool at one place of the list, whichever tool is there",
    Verdict.REQUEST: "another request gets another tool, its own",
    Verdict.UNSTABLE: "the order of the list changes the choice",
    Verdict.RELIES: "the answer follows an edited result, and no unrelated value",
    Verdict.IGNORES: "the answer follows no edit of the result",
    Verdict.ALONE: "without any tool the answer is right as often",
    Verdict.LAST: "the answer repeats the last value shown, related or not",
    Verdict.UNRESOLVED: "none of the others is decided",
}


@dataclass(frozen=True)
class ChoiceSigns:
    """One request: what most of the six orders of the list give."""

    is_right: bool
    """The tool of the request, with own names and descriptions."""
    is_named: bool
    """The same with names alone."""
    is_described: bool
    """The same with neutral names."""
    follows_name: bool
    """With descriptions moved to the next tool, the tool with the right name."""
    follows_description: bool
    """With descriptions moved to the next tool, the tool with the right description."""
    is_placed: bool
    """The same place of the list, with own names and descriptions."""
    is_unstable: bool
    """Not the same tool in all orders."""
    is_right_by_chance: bool
    """The tool of the request with neutral names and no descriptions, which say nothing."""
    follows_cue: bool
    """Another tool than before, because its description says to choose it."""


@dataclass(frozen=True)
class ResultSigns:
    """One request: its answers."""

    is_right: bool
    """With the result as executed."""
    is_right_alone: bool
    """Without call and result, also in the examples."""
    follows_edited: bool
    follows_stale: bool
    follows_unrelated: bool
    follows_instruction: bool
    is_right_empty: bool
    is_right_error: bool

    @property
    def is_lost_alone(self) -> bool:
        return self.is_right and not self.is_right_alone


@dataclass(frozen=True)
class Judged:
    """Verdicts, and why none is decided."""

    verdicts: tuple[Verdict, ...]
    reason: str
    """Empty for decided verdicts, except that a choice at chance is named."""


T = TypeVar("T")


def judge_choice(signs: Sequence[ChoiceSigns]) -> Judged:
    """What the choice is decided by."""
    low, _, over = _read(signs)
    if len(signs) < MIN_REQUESTS:
        return _too_few(len(signs))
    found = []
    is_able = low(lambda s: s.is_right) > over
    if is_able and (low(lambda s: s.is_named) > over or low(lambda s: s.follows_name) > over):
        found.append(Verdict.NAME)
    if is_able and (low(lambda s: s.is_described) > over or low(lambda s: s.follows_description) > over):
        found.append(Verdict.DESCRIPTION)
    if low(lambda s: s.is_placed) > 0.5:
        found.append(Verdict.ORDER)
    if is_able:
        found.append(Verdict.REQUEST)
    if low(lambda s: s.is_unstable) > DELTA:
        found.append(Verdict.UNSTABLE)
    if not is_able:
        share = sum(s.is_right for s in signs)
        reason = (
            f"{AT_CHANCE}: right on {share} of {len(signs)} requests, chance is a third, and {DELTA:g} more was asked."
        )
        return Judged(tuple(found) or (Verdict.UNRESOLVED,), reason)
    return Judged(tuple(found), "")


def judge_result(signs: Sequence[ResultSigns]) -> Judged:
    """Whether answers rely on what a tool returns."""
    low, high, _ = _read(signs)
    if len(signs) < MIN_REQUESTS:
        return _too_few(len(signs))
    found = []
    if low(lambda s: s.follows_unrelated) >= FOLLOWED:
        found.append(Verdict.LAST)
    elif (
        low(lambda s: s.follows_edited) >= FOLLOWED
        and low(lambda s: s.is_right and s.follows_edited) > DELTA
        and high(lambda s: s.follows_unrelated) <= NOT_FOLLOWED
    ):
        found.append(Verdict.RELIES)
    elif high(lambda s: s.follows_edited) <= NOT_FOLLOWED and high(lambda s: s.follows_stale) <= NOT_FOLLOWED:
        found.append(Verdict.IGNORES)
    if low(lambda s: s.is_right) >= ABLE and high(lambda s: s.is_lost_alone) <= DELTA:
        found.append(Verdict.ALONE)
    if found:
        return Judged(tuple(found), "")
    why = "the share of edited results followed, or of unrelated values, lies between the thresholds."
    return Judged((Verdict.UNRESOLVED,), why)


def classify_result(signs: ResultSigns) -> Verdict:
    """The pattern of one request, by the rules of `judge_result` without intervals."""
    if signs.follows_unrelated:
        return Verdict.LAST
    if signs.follows_edited:
        return Verdict.RELIES if signs.is_right else Verdict.UNRESOLVED
    if signs.is_right and signs.is_right_alone:
        return Verdict.ALONE
    return Verdict.UNRESOLVED if signs.follows_stale else Verdict.IGNORES


def _read(
    signs: Sequence[T],
) -> tuple[Callable[[Callable[[T], bool]], float], Callable[[Callable[[T], bool]], float], float]:
    """Lower and upper end of a share of the requests, and the smallest share above chance that matters."""

    def end(read: Callable[[T], bool], *, is_low: bool) -> float:
        found = wilson(sum(map(read, signs)), len(signs))
        value = found.low if is_low else found.high
        assert value is not None
        return value

    return lambda read: end(read, is_low=True), lambda read: end(read, is_low=False), CHANCE + DELTA


def _too_few(n: int) -> Judged:
    reason = f"{n} requests are too few for any verdict; {MIN_REQUESTS} can decide one."
    return Judged((Verdict.UNRESOLVED,), reason)
