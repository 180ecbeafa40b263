"""Kinds of evidence (observational, estimated, causal): declared by the result type that contains the number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Evidence(StrEnum):
    """How a number was obtained."""

    OBSERVATIONAL = "observational"
    """Read from a forward pass without intervention."""
    ESTIMATED = "estimated"
    """Approximated instead of measured, for example from gradients."""
    CAUSAL = "causal"
    """Measured by intervening."""


Observational = Annotated[T, Evidence.OBSERVATIONAL]
Estimated = Annotated[T, Evidence.ESTIMATED]
Causal = Annotated[T, Evidence.CAUSAL]
NotEvidence = Annotated[T, None]
"""A setting, a check of the instrument or a comparison of names: not evidence about the model."""

Node = Evidence | Mapping[str, "Node"] | None
"""Kind of evidence of a whole field, of each field inside it, or None for no evidence."""
EACH = "*"
"""Key of a mapping whose entries are all of one type."""


def read_evidence(result: type) -> Mapping[str, Node]:
    """Return the kinds of evidence of a result's fields by their JSON names; list indices are left out.

    Args:
        result: a dataclass. An annotation covers everything inside a field; without one, the inner types are read.

    Raises:
        TypeError: a field with numbers whose kind of evidence is declared neither on it nor inside it.
    """
    hints = get_type_hints(result, include_extras=True)
    return {field.name: _read(hints[field.name], f"{result.__name__}.{field.name}") for field in fields(result)}


def find_evidence(node: Node, keys: tuple[str, ...]) -> Evidence | None:
    """Return the kind of the value at these JSON keys; None if it is not evidence or the field does not exist."""
    for key in keys:
        if not isinstance(node, Mapping):
            break
        node = node.get(key, node.get(EACH))
    return node if isinstance(node, Evidence) else None


def _read(hint: Any, place: str) -> Node:
    if get_origin(hint) is Annotated:
        _, *marks = get_args(hint)
        declared = [mark for mark in marks if mark is None or isinstance(mark, Evidence)]
        if len(declared) != 1:
            raise TypeError(f"{place} declares {len(declared)} kinds of evidence; wanted: one.")
        return declared[0]
    if hint in (float, complex, Any, object):
        raise TypeError(
            f"{place} is a number without a declared kind of evidence; annotate it, or the field around it, as "
            "Observational, Estimated, Causal or NotEvidence."
        )
    if is_dataclass(hint):
        assert isinstance(hint, type)
        return read_evidence(hint)
    inner = [argument for argument in get_args(hint) if argument not in (type(None), Ellipsis)]
    origin = get_origin(hint)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {EACH: _read(inner[1], place)}
    found = [_read(argument, place) for argument in inner]
    reported = [node for node in found if node]
    if len(reported) > 1 and any(node != reported[0] for node in reported):
        raise TypeError(f"{place} has several types with different kinds of evidence; annotate the field.")
    return reported[0] if reported else None
