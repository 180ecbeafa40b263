"""Three real tools: how they are named and described, which requests each can answer, and what a call returns.

The program, not the model, fills the arguments: each tool has a grammar of requests, and a request outside all of them is none.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from audit_core.errors import PromptRefused, Refused
from audit_core.tools.calculator import calculate
from audit_core.tools.converter import convert
from audit_core.tools.lookup import look_up

MAX_REQUEST, MAX_RESULT, MAX_NAME, MAX_DESCRIPTION = 200, 200, 20, 200


class ToolKind(StrEnum):
    """What a tool does, whatever it is called."""

    CALCULATOR = "calculator"
    CONVERTER = "converter"
    LOOKUP = "lookup"


KINDS = tuple(ToolKind)


@dataclass(frozen=True)
class Call:
    """A call as executed."""

    kind: ToolKind
    arguments: tuple[str, ...]
    result: str
    sha256: str
    """Digest of the result."""


@dataclass(frozen=True)
class Toolbox:
    """Names and descriptions that a model chooses from, in the order of `KINDS`."""

    names: tuple[str, ...] = ("add", "convert", "search")
    descriptions: tuple[str, ...] = (
        "adds, subtracts and multiplies numbers",
        "changes one unit of measure into another",
        "finds facts about a country in a table",
    )

    def __post_init__(self) -> None:
        for what, texts, most in (("name", self.names, MAX_NAME), ("description", self.descriptions, MAX_DESCRIPTION)):
            flat = {_flatten(text) for text in texts}
            if len(flat) != len(KINDS) or "" in flat or any(len(text) > most for text in texts):
                raise PromptRefused(
                    f"{len(flat - {''})} different tool {what}s.",
                    wanted=f"{len(KINDS)} {what}s of 1 to {most} characters, for {', '.join(KINDS)}.",
                    remedy=f"give one {what} for each tool.",
                )
        object.__setattr__(self, "names", tuple(map(_flatten, self.names)))
        object.__setattr__(self, "descriptions", tuple(map(_flatten, self.descriptions)))

    def to_json(self) -> dict[str, list[str]]:
        return {"names": list(self.names), "descriptions": list(self.descriptions)}


_UNIT = r"([a-z]{3,11})"
_GRAMMAR: tuple[tuple[ToolKind, re.Pattern[str], Callable[..., tuple[str, ...]]], ...] = (
    (ToolKind.CALCULATOR, re.compile(r"(?:What|How much) is ([0-9]{1,6}) plus ([0-9]{1,6})\?"), lambda a, b: (f"{a} + {b}",)),
    (ToolKind.CALCULATOR, re.compile(r"How much is ([0-9]{1,6}) minus ([0-9]{1,6})\?"), lambda a, b: (f"{a} - {b}",)),
    (ToolKind.CALCULATOR, re.compile(r"How much is ([0-9]{1,4}) times ([0-9]{1,4})\?"), lambda a, b: (f"{a} * {b}",)),
    (ToolKind.CONVERTER, re.compile(rf"How many {_UNIT} are ([0-9]{{1,6}}) {_UNIT}\?"), lambda to, a, of: (a, of, to)),
    (ToolKind.CONVERTER, re.compile(rf"Change ([0-9]{{1,6}}) {_UNIT} into {_UNIT}\."), lambda a, of, to: (a, of, to)),
    (ToolKind.LOOKUP, re.compile(r"What is the (capital|language|currency) of ([A-Z][a-z]{2,20})\?"), lambda f, c: (c, f)),
    (ToolKind.LOOKUP, re.compile(r"Name the (capital|language|currency) of ([A-Z][a-z]{2,20})\."), lambda f, c: (c, f)),
)  # fmt: skip
FORMS = (
    "What is 12 plus 30?", "How much is 9 minus 4?", "How much is 6 times 7?", "How many inches are 4 feet?",
    "Change 4 feet into inches.", "What is the capital of Peru?", "Name the currency of Peru.",
)  # fmt: skip
"""One request of every form that the program can fill the arguments from."""


def call_tool(request: str) -> Call:
    """Execute the one tool that can answer a request.

    Raises:
        PromptRefused: no tool can, or the request is too long.

    Example:
        >>> call_tool("How many inches are 4 feet?").result
        '48'
    """
    text = _flatten(request[: MAX_REQUEST + 1])
    if len(text) > MAX_REQUEST:
        raise _refuse(text, f"more than {MAX_REQUEST} characters")
    for kind, form, read in _GRAMMAR:
        found = form.fullmatch(text)
        if found is None:
            continue
        arguments = read(*found.groups())
        try:
            result = _execute(kind, arguments)
        except Refused as error:
            raise _refuse(text, f"which its tool refuses: {error.found[:80]}") from error
        return Call(kind, arguments, result, hashlib.sha256(result.encode()).hexdigest())
    raise _refuse(text, "which no tool can answer")


def _execute(kind: ToolKind, arguments: tuple[str, ...]) -> str:
    if kind is ToolKind.CALCULATOR:
        return str(calculate(arguments[0]))
    if kind is ToolKind.CONVERTER:
        return str(convert(int(arguments[0]), arguments[1], arguments[2]))
    return look_up(*arguments)[:MAX_RESULT]


def _flatten(text: str) -> str:
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text).strip()


def _refuse(text: str, why: str) -> PromptRefused:
    return PromptRefused(
        f"Request {text[:40]!r}, {why}.",
        wanted=f"a request such as {' '.join(FORMS)}",
        remedy="write it in such a form.",
    )
