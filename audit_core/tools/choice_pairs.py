"""Pairs of prompts on the choice of a tool: what the sweep, the circuit and the verdict need to ask which parts carry it.

Each pair differs in one factor of the choice, between two of the three tools: the name of one is the answer, that of the other the
foil. Both sides have the same length, wording and order; wordings and orders take turns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from audit_core.errors import PromptRefused
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import Prompt, PromptSet
from audit_core.subject import Subject
from audit_core.tools.asking import ROTATED
from audit_core.tools.requests import encode, encode_name, list_unknown
from audit_core.tools.texts import BASE, DESCRIPTIONS_ALONE, NAMES_ALONE, name_tools
from audit_core.tools.toolbox import KINDS, Toolbox, call_tool
from audit_core.tools.wordings import Wording, list_wordings

_MOST_DIGITS, _DRAWS = 4, 3


class Factor(StrEnum):
    """What differs between the two sides of a pair."""

    REQUEST = "request"
    REQUEST_OF_NAMES = "request, names alone"
    DESCRIPTIONS = "descriptions"


CELL_OF = {Factor.REQUEST: BASE, Factor.REQUEST_OF_NAMES: NAMES_ALONE, Factor.DESCRIPTIONS: DESCRIPTIONS_ALONE}
"""The list that a factor is varied in."""
VARIES = {
    Factor.REQUEST: "the list has names and descriptions; the other side asks for another tool",
    Factor.REQUEST_OF_NAMES: "the list has names alone; the other side asks for another tool",
    Factor.DESCRIPTIONS: "names say nothing; on the other side two tools have exchanged their descriptions",
}


@dataclass(frozen=True)
class ChoicePairs:
    """The pairs, and why requests have none."""

    prompts: PromptSet
    left_out: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class _Asked:
    """A request that a tool can answer."""

    id: str
    text: str
    kind: int
    """Index into `KINDS`."""


def write_pairs(
    rows: Sequence[tuple[str, str]], name: str, subject: Subject, *, factor: Factor, toolbox: Toolbox | None = None
) -> ChoicePairs:
    """One pair for each request that a side of the same length in tokens can be written for.

    Args:
        rows: id and text of each request.

    Raises:
        PromptRefused: a tool's name is several tokens of this model, or no request has a pair.

    Example:
        >>> from audit_core import open_subject
        >>> rows = [("a", "How much is 10 plus 24?"), ("b", "How many inches are 2 feet?")]
        >>> found = write_pairs(rows, "mine", open_subject("planted-tools-follower"), factor=Factor.DESCRIPTIONS)
        >>> [(one.answer, one.foil) for one in found.prompts.prompts]
        [(' alpha', ' beta'), (' beta', ' alpha')]
    """
    writer = _Writer(subject, factor, toolbox or Toolbox())
    asked, left = _call_all(rows)
    found = []
    for at, one in enumerate(asked):
        pair = writer.write(at, one, asked)
        if pair is None:
            left["no other side of the same length"] += 1
        else:
            found.append(pair)
    if not found:
        why = "; ".join(f"{n} × {text}" for text, n in left.items()) or "there is none"
        raise PromptRefused(
            f"No pair of requests in {name[:60]}: {why}.", wanted="requests for two tools, of the same length in tokens.",
            remedy="add requests for another tool, or vary the descriptions.",
        )  # fmt: skip
    return ChoicePairs(PromptSet(f"{name[:60]}, choice by {factor.value}", tuple(found)), tuple(sorted(left.items())))


def _call_all(rows: Sequence[tuple[str, str]]) -> tuple[list[_Asked], Counter[str]]:
    found, left = [], Counter[str]()
    for row, text in rows:
        try:
            found.append(_Asked(row, text, KINDS.index(call_tool(text).kind)))
        except PromptRefused:
            left["no tool can answer it"] += 1
    return found, left


class _Writer:
    """Writes pairs for one model and factor."""

    def __init__(self, subject: Subject, factor: Factor, toolbox: Toolbox) -> None:
        self.subject, self.toolbox, self.is_words = subject, toolbox, factor is Factor.DESCRIPTIONS
        self.cell = CELL_OF[factor]
        self.names = name_tools(self.cell, toolbox)
        ids = [encode_name(one, subject) for one in self.names]
        if len(set(ids)) != len(ids):
            raise PromptRefused("Tool names that begin alike.", wanted="different names.", remedy="choose others.")
        self.wordings = [one for one in list_wordings() if self._is_known(one)]

    def _is_known(self, wording: Wording) -> bool:
        """Whether the model's vocabulary has every word; a model of few words is asked in the audited form alone."""
        text = f"{wording.before}{wording.between}{wording.after}"
        return not list_unknown(self.subject) & set(self.subject.tokenizer.encode(text))

    def write(self, at: int, one: _Asked, asked: Sequence[_Asked]) -> Prompt | None:
        """The pair of one request: the other two tools take turns, then whichever has a side of the same length."""
        wording, order = self.wordings[at % len(self.wordings)], ROTATED[at % len(ROTATED)]
        clean = wording.write(self.cell, order, self.toolbox, one.text)
        ids = encode(clean, self.subject)
        for step in (1 + at % 2, 2 - at % 2):
            kind = (one.kind + step) % len(KINDS)
            if self.is_words:
                other = [wording.write(self.cell, order, self._exchange(one.kind, kind), one.text)]
            else:
                texts = _list_others(at, kind, asked)
                other = (wording.write(self.cell, order, self.toolbox, text) for text in texts)  # type: ignore[assignment]
            fit = next((text for text in other if self._fits(text, ids)), None)
            if fit is not None:
                names = self.names[one.kind], self.names[kind]
                return Prompt(
                    one.id, clean, fit, f" {names[0]}", f" {names[1]}", wording.name, f"{names[0]} or {names[1]}"
                )
        return None

    def _fits(self, text: str, ids: Tokens) -> bool:
        other = encode(text, self.subject)
        unknown = list_unknown(self.subject)
        return len(other) == len(ids) and sum(one in unknown for one in other) <= sum(one in unknown for one in ids)

    def _exchange(self, one: int, other: int) -> Toolbox:
        """The tools with two descriptions exchanged."""
        words = list(self.toolbox.descriptions)
        words[one], words[other] = words[other], words[one]
        return replace(self.toolbox, descriptions=tuple(words))


def _list_others(at: int, kind: int, asked: Sequence[_Asked]) -> Iterator[str]:
    """Requests for a tool: those asked, from another one at each place, then the same with numbers of other lengths."""
    texts = [one.text for one in asked if one.kind == kind]
    first = at % max(1, len(texts))
    turned = texts[first:] + texts[:first]
    yield from turned
    for text in turned:
        draw = Random(f"choice {at} {text}")
        n_numbers = len(re.findall("[0-9]+", text))
        for digits in range(1, _MOST_DIGITS + 1):
            for _ in range(_DRAWS if n_numbers else 0):
                other = re.sub("[0-9]+", lambda _: _draw_number(draw, digits), text)  # noqa: B023 - used at once
                try:
                    call_tool(other)
                except PromptRefused:
                    continue
                yield other


def _draw_number(draw: Random, digits: int) -> str:
    """A number of at most so many digits, of so many in half of the draws."""
    digits = digits if draw.random() < 0.5 else draw.randint(1, digits)
    return str(draw.randint(10 ** (digits - 1) if digits > 1 else 2, 10**digits - 1))
