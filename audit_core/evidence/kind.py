"""What kind of evidence a number is: declared by the type of the result that it belongs to, and never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


class Evidence(StrEnum):
    """What a number was read from."""

    OBSERVATIONAL = "observational"
    """Read off a running model in which nothing was replaced."""
    ESTIMATED = "estimated"
    """Computed in place of a measurement, as from slopes."""
    CAUSAL = "causal"
    """Measured by intervening."""


Observational = Annotated[T, Evidence.OBSERVATIONAL]
Estimated = Annotated[T, Evidence.ESTIMATED]
Causal = Annotated[T, Evidence.CAUSAL]
NotEvidence = Annotated[T, None]
"""A setting, a check of the instrument, or a comparison of names: a number that says nothing of the model."""

Node = Evidence | Mapping[str, "Node"] | None
"""Kind of evidence of a field and of all inside it; or that of each field inside it; or no evidence."""
EACH = "*"
"""Key of a mapping whose entries are all of one type."""


def read_evidence(result: type) -> Mapping[str, Node]:
    """Kinds of evidence of a result's fields, by the names that its JSON form has; lists are left out of them.

    Args:
        result: a dataclass. An annotation covers all that is inside a field; without one, the types inside are read.

    Raises:
        TypeError: a field with numbers that neither it nor a type inside it declares the evidence of.
    """
    hints = get_type_hints(result, include_extras=True)
    return {field.name: _read(hints[field.name], f"{result.__name__}.{field.name}") for field in fields(result)}


def find_evidence(node: Node, keys: tuple[str, ...]) -> Evidence | None:
    """The kind of the value at these keys of the JSON form; None where it is no evidence or the type has no such field."""
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
            f"{place} is a number whose kind of evidence is not declared; annotate it, or the field around it, as "
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
        raise TypeError(f"{place} is of several types with different kinds of evidence; annotate the field.")
    return reported[0] if reported else None
