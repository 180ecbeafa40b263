"""JSON read so that two readers cannot see two documents: no duplicate keys, no NaN, no surrogates, bounded depth and size."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_JSON_DEPTH = 64
MAX_JSON_BYTES = 64 << 20
MAX_JSON_VALUES = 500_000
"""Reading one and checking its form takes some 10 microseconds, and a value of two bytes takes a hundred in memory."""
MAX_JSON_DIGITS = 400
"""Of one number; Python refuses integers of more than 4300 digits with an error of its own, later and slower."""


_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
"""Up to its end or the text's, and never tried twice from one place."""
_BRACKETS = re.compile(r"[\[{\]}]")


class NotStrictJson(ValueError):
    """The bytes are not one unambiguous JSON document."""


def load_strict(data: bytes) -> Any:
    """Parse UTF-8 bytes.

    Raises:
        NotStrictJson: not UTF-8, not JSON, a key twice in one object, NaN or Infinity, a lone surrogate, or too deep.
    """
    if len(data) > MAX_JSON_BYTES:
        raise NotStrictJson(f"{len(data):,} bytes of JSON; at most {MAX_JSON_BYTES:,}")
    if (values := count_values(data)) > MAX_JSON_VALUES:
        raise NotStrictJson(f"up to {values:,} values in one document; at most {MAX_JSON_VALUES:,}")
    try:
        text = data.decode("utf-8")
        _check_depth(text)
        value = _DECODER.decode(text)
        if "\\u" in text:
            # UTF-8 holds no lone surrogate: only an escape can bring one in.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except NotStrictJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotStrictJson(f"not JSON: {str(error)[:120]}") from error
    return value


def count_values(data: bytes) -> int:
    """No fewer values than a document holds, found before anything is parsed: commas and brackets within texts count too."""
    return 1 + data.count(b",") + data.count(b"[") + data.count(b"{")


def _check_depth(text: str) -> None:
    """Counted outside strings before parsing, as the parser would recurse first."""
    if text.count("[") + text.count("{") <= MAX_JSON_DEPTH:
        return
    depth = 0
    for bracket in _BRACKETS.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_JSON_DEPTH:
            raise NotStrictJson(f"nested more than {MAX_JSON_DEPTH} deep")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise NotStrictJson(f"the key {key[:60]!r} stands twice in one object")
        found[key] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise NotStrictJson(f"{name} is not a number")


def _parse_int(text: str) -> int:
    if len(text) > MAX_JSON_DIGITS:
        raise NotStrictJson(f"a number of {len(text)} digits")
    return int(text)


def _parse_float(text: str) -> float:
    if len(text) > MAX_JSON_DIGITS:
        raise NotStrictJson(f"a number of {len(text)} digits")
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise NotStrictJson(f"{text[:30]} is beyond what a double holds")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_refuse_twins, parse_constant=_refuse_constant, parse_int=_parse_int, parse_float=_parse_float
)
