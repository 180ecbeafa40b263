"""Canonical JSON (RFC 8785) with the standard library, for values that `load_strict` returns."""

from __future__ import annotations

import json
from typing import Any

_TEXTS = json.JSONEncoder(ensure_ascii=False)


class NotCanonical(ValueError):
    """The value has no canonical form, or the bytes are not canonical."""


def encode_canonical(value: Any) -> bytes:
    """Return the canonical bytes of a document.

    Raises:
        NotCanonical: an integer of 2^53 or more, NaN or infinity, an unpaired surrogate, or not a JSON value.
    """
    try:
        return _write(value).encode("utf-8")
    except (UnicodeEncodeError, RecursionError) as error:
        raise NotCanonical(f"no canonical form: {str(error)[:120]}") from error


def _write(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, str):
        return _TEXTS.encode(value)
    if isinstance(value, int):
        if abs(value) >= 2**53:
            raise NotCanonical("an integer of 2^53 or more must be text")
        return str(value)
    if isinstance(value, float):
        return _write_double(value)
    if isinstance(value, list):
        return "[" + ",".join(_write(item) for item in value) + "]"
    if isinstance(value, dict) and all(isinstance(key, str) for key in value):
        # RFC 8785, 3.2.3: keys in the order of their UTF-16 code units.
        keys = sorted(value, key=None if all(map(str.isascii, value)) else _order_key)
        return "{" + ",".join(f"{_write(key)}:{_write(value[key])}" for key in keys) + "}"
    raise NotCanonical(f"not a JSON value: {type(value).__name__}")


def _order_key(key: str) -> bytes:
    return key.encode("utf-16-be")


def _write_double(value: float) -> str:
    """Return the shortest digits that parse back, as ECMAScript: plain between 1e-6 and 1e21, else with an exponent."""
    if value != value or value in (float("inf"), float("-inf")):
        raise NotCanonical("NaN and infinity are not JSON numbers")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    point = len(whole) + int(exponent or 0)
    digits = whole + fraction
    point -= len(digits) - len(digits.lstrip("0"))
    digits = digits.strip("0")
    if 0 < point <= 21:
        text = digits.ljust(point, "0")
        return sign + text[:point] + ("." + text[point:] if text[point:] else "")
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    tail = "." + digits[1:] if digits[1:] else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"
