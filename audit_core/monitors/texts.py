"""Texts of a monitor: normal traffic and cases, read from JSON Lines and split into three parts that share no group."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from audit_core.errors import Refused
from audit_core.prompts.answers import Tokenizer, Tokens

MAX_LINE_BYTES, MAX_ROWS, MAX_TOKENS, MAX_NAME = 64 << 10, 20_000, 1_024, 80
_FIT, _CALIBRATION = 0.3, 0.4
"""Shares of the groups of normal texts; the rest is the third part. Half of the cases are fitted on."""


@dataclass(frozen=True)
class MonitorText:
    """One text."""

    id: str
    ids: Tokens
    is_case: bool = False
    onset: int | None = None
    """Token at which the case begins, from 0; None where it is not known."""
    group: str = ""
    """Texts of one group are never in two parts."""
    style: str = ""
    """How it is written, for a check by style."""


@dataclass(frozen=True)
class Parts:
    """Texts by what they are used for."""

    fit: tuple[MonitorText, ...]
    calibration: tuple[MonitorText, ...]
    """Normal texts alone."""
    test: tuple[MonitorText, ...]
    """Normal texts, on which false alarms are measured."""
    cases: tuple[MonitorText, ...]
    """Cases, on which detection is measured."""


def split_parts(texts: Sequence[MonitorText], *, seed: int) -> Parts:
    """Deal groups to the parts; a group with a case is dealt as a case.

    Raises:
        Refused: fewer than ten groups of normal texts, or a group with normal texts and cases.
    """
    is_case: dict[str, bool] = {}
    for text in texts:
        group = text.group or text.id
        if is_case.setdefault(group, text.is_case) is not text.is_case:
            raise Refused(
                f"Group {group[:40]!r} has normal texts and cases.", wanted="groups of one kind.", remedy="rename one."
            )
    draw = np.random.default_rng(seed)
    normal, cases = ([name for name, flag in is_case.items() if flag is kind] for kind in (False, True))
    if len(normal) < 10:
        raise Refused(
            f"{len(normal)} groups of normal texts.",
            wanted="10 or more.",
            remedy="give more normal traffic, one group a source.",
        )
    dealt: dict[str, int] = {}
    for names, ends in ((normal, (_FIT, _FIT + _CALIBRATION)), (cases, (0.5, 0.5))):
        for place, number in enumerate(draw.permutation(len(names))):
            share = place / len(names)
            dealt[names[number]] = 0 if share < ends[0] else 1 if share < ends[1] else 2

    def take(part: int, kind: bool) -> tuple[MonitorText, ...]:
        return tuple(one for one in texts if one.is_case is kind and dealt[one.group or one.id] == part)

    return Parts(take(0, False) + take(0, True), take(1, False), take(2, False), take(2, True))


def read_texts(lines: Iterable[bytes], tokenizer: Tokenizer, *, most: int = MAX_ROWS) -> tuple[MonitorText, ...]:
    """Texts from JSON Lines: `{"text": …}` or `{"ids": […]}`, with optional `id`, `case`, `onset` and `group`.

    `onset` is the number of characters before the case in `text`, or of tokens in `ids`.

    Raises:
        Refused: a line that is too long or malformed, a text without two tokens or with too many, a repeated id, no text or
            too many.
    """
    found: dict[str, MonitorText] = {}
    for number, line in _list_lines(lines):
        if len(found) >= most:
            raise Refused(f"More than {most:,} texts.", wanted=f"at most {most:,}.", remedy="split the file.")
        text = _read_row(_parse(line, number), number, tokenizer)
        if text.id in found:
            raise Refused(
                f"Line {number}: the id {text.id!r} is used twice.", wanted="one text an id.", remedy="rename it."
            )
        found[text.id] = text
    if not found:
        raise Refused("No text.", wanted='one JSON object a line, such as {"text": "…"}.', remedy="give texts.")
    return tuple(found.values())


def tokenise_text(text: str, tokenizer: Tokenizer) -> Tokens:
    """Token ids as the model reads them, with its first token."""
    first = () if tokenizer.bos_id is None else (tokenizer.bos_id,)
    return (*first, *tokenizer.encode(text))


def digest_text(ids: Tokens) -> str:
    """Digest of a text's tokens, short: to find a text again, not to keep it."""
    return hashlib.sha256(" ".join(map(str, ids)).encode()).hexdigest()[:12]


def _list_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE_BYTES:
            raise _malformed(number, f"{len(line):,} bytes", f"at most {MAX_LINE_BYTES:,}")
        if line.strip():
            yield number, line


def _parse(line: bytes, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise _malformed(number, "no JSON", "one JSON object a line") from error
    if not isinstance(row, dict) or set(row) - {"text", "ids", "id", "case", "onset", "group", "style"}:
        raise _malformed(number, "other fields", "an object with text or ids, and id, case, onset, group, style")
    return row


def _read_row(row: dict[str, Any], number: int, tokenizer: Tokenizer) -> MonitorText:
    text, ids, onset, case = row.get("text"), row.get("ids"), row.get("onset"), row.get("case", False)
    limits = tokenizer.limits
    top = limits.n_tokens or 1 << 30
    if isinstance(text, str) and ids is None:
        read = tokenise_text(text, tokenizer)
    elif isinstance(ids, list) and text is None and all(type(one) is int and 0 <= one < top for one in ids):
        read = tuple(ids)
    else:
        raise _malformed(number, "neither a text nor ids of this model", "either text or ids")
    if not 2 <= len(read) <= min(MAX_TOKENS, limits.n_positions or MAX_TOKENS):
        raise _malformed(
            number, f"{len(read)} tokens", f"2 to {min(MAX_TOKENS, limits.n_positions or MAX_TOKENS):,} tokens"
        )
    if type(case) is not bool or not (onset is None or (case and type(onset) is int and onset >= 0)):
        raise _malformed(number, "an unusable case or onset", "case true or false, and an onset only for a case")
    if onset is not None:
        at = len(tokenise_text(text[:onset], tokenizer)) if isinstance(text, str) else onset
        if not at < len(read):
            raise _malformed(number, "an onset after the text", "an onset inside the text")
        onset = max(1, at)
    names = [str(row.get(key, "")) for key in ("id", "group", "style")]
    if any(len(name) > MAX_NAME for name in names):
        raise _malformed(number, "a long id, group or style", f"at most {MAX_NAME} characters")
    return MonitorText(names[0] or f"line {number}", read, case, onset, names[1], names[2])


def _malformed(number: int, found: str, wanted: str) -> Refused:
    return Refused(f"Line {number}: {found}.", wanted=f"{wanted}.", remedy="fix the line or remove it.")
