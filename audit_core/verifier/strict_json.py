"""Strict JSON parser: no duplicate keys, NaN or unpaired surrogates; bounded depth and size."""

from __future__ import annotations

import json
import re
from typing import Any

MAX_JSON_DEPTH = 64
MAX_JSON_BYTES = 64 << 20
MAX_JSON_VALUES = 500_000
"""Parsing and validating a value takes about 10 microseconds, and a value of two bytes takes a hundred in memory."""
MAX_JSON_DIGITS = 400
"""Digits of one number; Python's own limit of 4300 digits applies later and is slower."""


_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\Z)', re.DOTALL)
"""A string up to its end or the text's; possessive, so that matching does not backtrack."""
_BRACKETS = re.compile(r"[\[{\]}]")


class NotStrictJson(ValueError):
    """The bytes are not an unambiguous JSON document."""


def load_strict(data: bytes) -> Any:
    """Parse UTF-8 bytes.

    Raises:
        NotStrictJson: not UTF-8, not JSON, a duplicate key, NaN or Infinity, an unpaired surrogate, or too deep.
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
            # UTF-8 cannot encode an unpaired surrogate: only an escape can.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except NotStrictJson:
        raise
    except (ValueError, RecursionError) as error:
        raise NotStrictJson(f"not JSON: {str(error)[:120]}") from error
    return value


def count_values(data: bytes) -> int:
    """Return an upper bound of a document's values before parsing; commas and brackets in strings count too."""
    return 1 + data.count(b",") + data.count(b"[") + data.count(b"{")


def _check_depth(text: str) -> None:
    """Check the nesting depth outside strings before parsing, because the parser recurses."""
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
            raise NotStrictJson(f"duplicate key {key[:60]!r} in an object")
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
        raise NotStrictJson(f"{text[:30]} is outside the range of a double")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_refuse_twins, parse_constant=_refuse_constant, parse_int=_parse_int, parse_float=_parse_float
)
