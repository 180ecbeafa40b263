"""Requests in words: read from prompts or from a file, each with its executed call and another value to show in its place."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from audit_core.documents.reading import read_csv
from audit_core.errors import NotMeasured, PromptRefused, Refused
from audit_core.prompts.answers import Contrast, Tokens
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts, TokenPair
from audit_core.subject import Subject
from audit_core.tools.texts import NEUTRAL, ask_choice
from audit_core.tools.toolbox import KINDS, Call, Toolbox, ToolKind, call_tool

_BEFORE, _AFTER = "Request: ", "\nTool:"
MAX_ROWS = 400
_TRIES = 200


@dataclass(frozen=True)
class Values:
    """Two values as tokens after an answer begins."""

    shared: Tokens
    right: int
    """First token of the value that the tool returned, after `shared`."""
    other: int


@dataclass(frozen=True)
class AskedRequest:
    """One request with its call."""

    pair: TokenPair
    text: str
    call: Call
    value: str
    """Another true result of the same tool, of the same length in tokens."""
    other: Call
    """The call that this value is the result of."""
    values: Values

    @property
    def kind_index(self) -> int:
        return KINDS.index(self.call.kind)


def read_requests(
    prompts: TokenisedPrompts, pool: TokenisedPrompts, subject: Subject, seed: int
) -> tuple[tuple[AskedRequest, ...], tuple[tuple[str, int], ...]]:
    """The requests of a prompt set, and why rows are none.

    Args:
        pool: requests whose results may be shown in place of one of the set.

    Raises:
        NotMeasured: it has no request that a tool can answer.
    """
    left, ignored = Counter[str](), Counter[str]()
    others = [call for _, _, call in _call_all(pool, ignored)]
    found = []
    for pair, text, call in _call_all(prompts, left):
        other = _draw_other(pair, text, call, others, subject, seed)
        if other is None:
            left["no other request of its tool has a result of the same length"] += 1
            continue
        values = _compare(call.result, other.result, subject)
        assert values is not None
        found.append(AskedRequest(pair, text, call, other.result, other, values))
    if not found:
        why = "; ".join(f"{n} × {text}" for text, n in left.items())
        raise NotMeasured("low_power", f"No request that can be asked in {prompts.name}: {why}.")
    return tuple(found), tuple(sorted(left.items()))


def _call_all(prompts: TokenisedPrompts, left: Counter[str]) -> Iterator[tuple[TokenPair, str, Call]]:
    """Each request with its executed call; why others have none is counted."""
    for pair in prompts.pairs:
        text = pair.prompt.clean.removeprefix(_BEFORE).removesuffix(_AFTER)
        try:
            yield pair, text, call_tool(text)
        except PromptRefused as error:
            left[error.found.rpartition("', ")[2].rstrip(".") or error.found] += 1


def ask_rows(rows: Sequence[tuple[str, str]], name: str, toolbox: Toolbox, subject: Subject) -> TokenisedPrompts:
    """Prompts of requests, given as id and text; the other side of each pair is a request for another tool.

    Raises:
        PromptRefused: a name of a tool is more than one token, or two are alike; or no request can be answered.
    """
    ids = [encode_name(one, subject) for names in (toolbox.names, NEUTRAL) for one in names]
    if len(set(ids)) != len(ids):
        raise PromptRefused("Tool names that begin alike.", wanted="different names.", remedy="choose others.")
    names = dict(zip(KINDS, toolbox.names, strict=True))
    usable, why = [], ""
    for row, text in rows:
        try:
            usable.append((row, text, call_tool(text).kind))
        except PromptRefused as error:
            why = str(error)
    if not usable:
        raise PromptRefused(
            f"{name[:60]}: no request that a tool can answer.", wanted="a request such as How many inches are 4 feet?",
            remedy=f"change the rows. The last one: {why[:200]}",
        )  # fmt: skip
    pairs = []
    for row, text, kind in usable:
        others = [(other, its) for _, other, its in usable if its is not kind] or [
            (text, KINDS[(KINDS.index(kind) + 1) % 3])
        ]
        clean = ask_choice(text)
        own = encode(clean, subject)
        encoded = [(encode(ask_choice(other), subject), other, its) for other, its in others]
        # Of the same length if there is one: head and path audits of the same file need it.
        ids_other, other, its = next((one for one in encoded if len(one[0]) == len(own)), encoded[0])
        prompt = Prompt(row, clean, ask_choice(other), f" {names[kind]}", f" {names[its]}", kind.value, kind.value)
        contrast = Contrast((), ((encode_name(names[kind], subject),),), ((encode_name(names[its], subject),),))
        pairs.append(TokenPair(prompt, own, (ids_other * len(own))[: len(own)], contrast, (), (), True))
    found = PromptSet(name, tuple(pair.prompt for pair in pairs))
    return TokenisedPrompts(name, tuple(pairs), found.sha256)


def read_file(raw: bytes, name: str) -> tuple[tuple[str, str], ...]:
    """Id and text of each request of a CSV file with the column *request* and perhaps *id*.

    Raises:
        Refused: too large, not CSV, no such column, or too many rows.
    """
    rows = read_csv(raw, name, ("request",))
    if not 1 <= len(rows) <= MAX_ROWS:
        raise Refused(f"{len(rows):,} requests.", wanted=f"1 to {MAX_ROWS}.", remedy="split the file.")
    return tuple(
        ((row.get("id") or f"row-{at:04d}")[:60], (row["request"] or "").strip()) for at, row in enumerate(rows, 2)
    )


def encode_name(name: str, subject: Subject) -> int:
    """The one token of a tool's name.

    Raises:
        PromptRefused: it has several: a sum over tokens favours short names.
    """
    ids = subject.tokenizer.encode(f" {name}")
    if len(ids) != 1 or ids[0] in list_unknown(subject):
        raise PromptRefused(
            f"The tool name {name[:30]!r} is {len(ids)} tokens of this model.", wanted="names of one token each.",
            remedy="choose a shorter, common word.",
        )  # fmt: skip
    return ids[0]


def encode(text: str, subject: Subject) -> Tokens:
    """Tokens of a whole input, with the beginning-of-sequence token where the model has one."""
    ids, bos = subject.tokenizer.encode(text), subject.tokenizer.bos_id
    return tuple(ids) if bos is None or ids[:1] == [bos] else (bos, *ids)


def _draw_other(
    pair: TokenPair, text: str, call: Call, calls: Sequence[Call], subject: Subject, seed: int
) -> Call | None:
    """Another call of the same tool, with a result of the same length that begins otherwise, and not as the request's numbers.

    It is one of the other requests', or else that of the same request with other numbers.
    """
    draw = Random(f"tools {seed} {pair.prompt.id}")
    fit = [one for one in calls if _fits(one, call, subject)]
    if fit:
        return draw.choice(fit)
    if not re.search("[0-9]", text):
        return None
    for _ in range(_TRIES):
        try:
            other = call_tool(re.sub("[0-9]+", lambda found: str(draw.randint(1, 10 ** len(found[0]) - 1)), text))
        except PromptRefused:
            continue
        if _fits(other, call, subject):
            return other
    return None


def _fits(one: Call, call: Call, subject: Subject) -> bool:
    encode_text = subject.tokenizer.encode
    ids = encode_text(f" {one.result}")
    numbers = {word[0] for word in " ".join(call.arguments).split() if word.isdecimal()}
    return (
        one.kind is call.kind
        and (call.kind is not ToolKind.LOOKUP or one.arguments[1] == call.arguments[1])
        and len(ids) == len(encode_text(f" {call.result}"))
        and one.result[0] not in numbers
        and not list_unknown(subject) & set(ids)
        and _compare(call.result, one.result, subject) is not None
    )


def list_unknown(subject: Subject) -> set[int | None]:
    """Tokens of text that the tokenizer cannot encode; some use the beginning of a sequence for it."""
    return {subject.tokenizer.limits.unknown_id, subject.tokenizer.bos_id}


def _compare(right: str, other: str, subject: Subject) -> Values | None:
    """Both values as tokens; None unless they differ in the first that is more than a space."""
    a, b = (subject.tokenizer.encode(f" {one}") for one in (right, other))
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start] and not subject.tokenizer.piece(a[start]).strip():
        start += 1
    if start >= min(len(a), len(b)) or a[start] == b[start]:
        return None
    return Values(tuple(a[:start]), a[start], b[start])
