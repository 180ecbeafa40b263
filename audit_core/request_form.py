"""Forms of requests: the questions that a page or a command asks, from the fields of a request, and the request from the answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from enum import Enum, StrEnum
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from audit_core.component import Component, parse_components
from audit_core.errors import ComponentRefused, Refused
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import list_plugins
from audit_core.request import Ask, Request
from audit_core.subject import Subject

FormT = TypeVar("FormT")


class Shape(StrEnum):
    """How a field is answered."""

    CHOICE = "choice"
    COMPONENTS = "components"
    WHOLE = "whole number"
    NUMBER = "number"
    SWITCH = "switch"
    TEXT = "text"


@dataclass(frozen=True)
class FormField:
    """One question of a form."""

    name: str
    ask: Ask
    shape: Shape
    choices: tuple[str, ...]
    """Empty unless it is a choice."""
    default: str | None
    """The default as text; None where an answer is required."""
    type: Any
    """Type of the value: an enumeration for some choices."""

    def parse(self, text: str) -> Any:
        """The value of an answer.

        Raises:
            Refused: no such choice, or not a number.
        """
        text = text.strip()
        if self.shape is Shape.CHOICE:
            if text not in self.choices:
                raise self._refuse(text, ", ".join(choice or "(empty)" for choice in self.choices))
            return self.type(text) if issubclass(self.type, Enum) else text
        if self.shape is Shape.COMPONENTS:
            return parse_components(text) if text else ()
        if self.shape is Shape.SWITCH:
            if text not in ("True", "False"):
                raise self._refuse(text, "True or False")
            return text == "True"
        if self.shape is Shape.TEXT:
            return text
        number = int if self.shape is Shape.WHOLE else float
        try:
            return number(text)
        except ValueError as error:
            raise self._refuse(text, f"a {self.shape}") from error

    def _refuse(self, text: str, wanted: str) -> Refused:
        return Refused(f"{self.ask.label}: {text[:60]!r}.", wanted=f"{wanted}.", remedy="change this answer.")


def list_form_fields(request: type[Any]) -> tuple[FormField, ...]:
    """The questions of a request, in the order of its fields; prompts and seed are not among them."""
    hints = get_type_hints(request, include_extras=True)
    found = []
    for field in fields(request):
        hint = hints[field.name]
        asks = [mark for mark in get_args(hint)[1:] if isinstance(mark, Ask)] if get_origin(hint) is Annotated else []
        if asks:
            kind, default = get_args(hint)[0], field.default
            shape, choices = _find_shape(kind, asks[0])
            found.append(
                FormField(field.name, asks[0], shape, choices, None if default is MISSING else _write(default), kind)
            )
    return tuple(found)


def explain_unasked(request: type[Request]) -> str:
    """Why no form can make this request; empty if one can."""
    asked = {field.name for field in list_form_fields(request)} | {"prompts", "reference", "explored", "seed"}
    missing = [f.name for f in fields(request) if f.name not in asked and f.default is MISSING]  # type: ignore[arg-type]
    return f"No form asks for its {' and '.join(missing)}." if missing else ""


def needs_explored(request: type[Request]) -> bool:
    """Whether it searches on exploratory prompts before it measures on others."""
    return any(field.name == "explored" for field in fields(request))  # type: ignore[arg-type]


def make_request(
    request: type[Request],
    answers: Mapping[str, str],
    *,
    subject: Subject,
    prompts: TokenisedPrompts,
    reference: TokenisedPrompts,
    explored: TokenisedPrompts,
    seed: int = 0,
) -> Request:
    """The request of these answers.

    Args:
        answers: field → answer as text; a field without one keeps its default.

    Raises:
        Refused: an answer is missing or not valid.
        ComponentRefused: a component that this subject lacks.
    """
    given = {"prompts": prompts, "reference": reference, "explored": explored}
    own = {f.name for f in fields(request)}  # type: ignore[arg-type]
    values: dict[str, Any] = {name: value for name, value in given.items() if name in own} | {"seed": seed}
    for field in list_form_fields(request):
        text = answers.get(field.name, field.default)
        if text is None or (not text.strip() and field.default is None):
            raise Refused(
                f"No {field.ask.label.lower()}.",
                wanted=f"{_name_shape(field.shape)}.",
                remedy=field.ask.help or "give it.",
            )
        values[field.name] = field.parse(text)
        if field.shape is Shape.COMPONENTS:
            _check_components(subject, values[field.name])
    return request(**values)


def read_answers(form: type[FormT], answers: Mapping[str, str]) -> FormT:
    """A dataclass of a form's fields from answers as text; a field without an answer keeps its default."""
    return form(**{f.name: f.parse(answers[f.name]) for f in list_form_fields(form) if f.name in answers})


def _name_shape(shape: Shape) -> str:
    return shape.value if shape is Shape.COMPONENTS else f"a {shape}"


def _check_components(subject: Subject, parts: Sequence[Component]) -> None:
    known = {(one.kind, one.layer, one.index) for kind in {p.kind for p in parts} for one in subject.components(kind)}
    if missing := [str(part) for part in parts if (part.kind, part.layer, part.index) not in known]:
        raise ComponentRefused(
            f"{', '.join(missing[:5])}: not in this model.",
            wanted="components of the model.",
            remedy="name others; a sweep lists those that exist.",
        )


def _find_shape(kind: Any, ask: Ask) -> tuple[Shape, tuple[str, ...]]:
    if ask.shelf:
        return Shape.CHOICE, (("",) if ask.can_be_empty else ()) + tuple(list_plugins(ask.shelf))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return Shape.CHOICE, tuple(str(kind(choice).value) for choice in ask.choices or kind)
    if ask.choices:
        return Shape.CHOICE, tuple(ask.choices)
    if kind == tuple[Component, ...]:
        return Shape.COMPONENTS, ()
    shapes = {bool: Shape.SWITCH, int: Shape.WHOLE, float: Shape.NUMBER, str: Shape.TEXT}
    return shapes[kind], ()


def _write(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(map(str, value))
    return str(value.value) if isinstance(value, Enum) else str(value)
