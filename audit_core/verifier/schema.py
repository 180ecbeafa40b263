"""Validator for the subset of JSON Schema (2020-12) used by a pack's documents; rejects other keywords."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        not isinstance(value, bool) and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
}
_ANNOTATIONS = {"$schema", "$id", "title", "description"}


class UnknownKeyword(ValueError):
    """The schema uses a keyword that this validator does not implement."""


def find_violation(value: Any, schema: Mapping[str, Any], place: str = "") -> str | None:
    """Return the first violation of the schema by a document, or None.

    Raises:
        UnknownKeyword: the schema uses a keyword that is not implemented here.
    """
    for keyword, wanted in schema.items():
        if keyword in _ANNOTATIONS:
            continue
        if keyword not in _RULES:
            raise UnknownKeyword(keyword)
        if found := _RULES[keyword](value, wanted, schema, place):
            return found
    return None


def _say(place: str, text: str) -> str:
    return f"{place[:160] or 'the document'} {text}"


def _quote(value: Any) -> str:
    return ascii(value)[:60]


def _check_type(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    return None if _TYPES[wanted](value) else _say(place, f"is {_quote(value)}, not of type {wanted}")


def _check_const(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    return None if _is_equal(value, wanted) else _say(place, f"is {_quote(value)}, not {_quote(wanted)}")


def _check_enum(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    if any(_is_equal(value, choice) for choice in wanted):
        return None
    return _say(place, f"is {_quote(value)}, not one of {', '.join(map(str, wanted))}")


def _check_required(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    if isinstance(value, dict) and (missing := [name for name in wanted if name not in value]):
        return _say(place, f"lacks {missing[0]}")
    return None


def _check_properties(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    for name, inner in wanted.items() if isinstance(value, dict) else ():
        if name in value and (found := find_violation(value[name], inner, f"{place}.{name}".lstrip("."))):
            return found
    return None


def _check_additional(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    """Check fields that `properties` does not name: `false` forbids them, a schema describes them."""
    if not isinstance(value, dict):
        return None
    others = [name for name in value if name not in schema.get("properties", {})]
    if wanted is False:
        return _say(place, f"has a field {_quote(others[0])} that is not described") if others else None
    for name in others:
        if found := find_violation(value[name], wanted, f"{place}.{name[:40]!a}".lstrip(".")):
            return found
    return None


def _check_pattern(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    """Match a pattern with `$` at the end of text, as in ECMAScript; in Python it also matches before a final line break."""
    if not isinstance(value, str) or re.search(re.sub(r"\$\Z", r"\\Z", wanted), value):
        return None
    return _say(place, f"is {_quote(value)}, which does not match {wanted}")


def _check_items(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    for number, item in enumerate(value if isinstance(value, list) else ()):
        if found := find_violation(item, wanted, f"{place}[{number}]"):
            return found
    return None


def _check_min_items(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    short = isinstance(value, list) and len(value) < wanted
    return _say(place, f"has {len(value)} items, at least {wanted} wanted") if short else None


def _check_max_items(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    long = isinstance(value, list) and len(value) > wanted
    return _say(place, f"has {len(value)} items, at most {wanted} wanted") if long else None


def _check_min_length(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    return _say(place, "is empty or too short") if isinstance(value, str) and len(value) < wanted else None


def _check_minimum(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    low = _TYPES["number"](value) and value < wanted
    return _say(place, f"is {_quote(value)}, at least {wanted} wanted") if low else None


def _check_maximum(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    high = _TYPES["number"](value) and value > wanted
    return _say(place, f"is {_quote(value)}, at most {wanted} wanted") if high else None


def _check_any_of(value: Any, wanted: Any, schema: Mapping[str, Any], place: str) -> str | None:
    first = None
    for choice in wanted:
        if (found := find_violation(value, choice, place)) is None:
            return None
        first = first or found
    return first


def _is_equal(a: Any, b: Any) -> bool:
    """Compare values as JSON: 1 equals 1.0, and true does not equal 1."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_is_equal, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_is_equal(a[key], b[key]) for key in a)
    return bool(a == b)


_RULES: dict[str, Callable[[Any, Any, Mapping[str, Any], str], str | None]] = {
    "type": _check_type,
    "const": _check_const,
    "enum": _check_enum,
    "required": _check_required,
    "properties": _check_properties,
    "additionalProperties": _check_additional,
    "pattern": _check_pattern,
    "items": _check_items,
    "minItems": _check_min_items,
    "maxItems": _check_max_items,
    "minLength": _check_min_length,
    "minimum": _check_minimum,
    "maximum": _check_maximum,
    "anyOf": _check_any_of,
}
