"""Requests of audits: frozen dataclasses whose fields say how they are asked, logged and keyed."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from audit_core.claim import Universe
from audit_core.component import Component, Kind
from audit_core.intervention import ABLATIONS, Direction, Replacement
from audit_core.prompts.measurable import describe_left_out
from audit_core.prompts.prompt_set import TokenisedPrompts, name_split
from audit_core.prompts.sequences import count_longest, list_places
from audit_core.registry import get_plugin

PROMPT_FIELDS = ("prompts", "reference", "explored")
"""Fields that a form or a command fills with prompts: measured, averaged for means, and exploratory ones for a search."""
MEAN_REPLACEMENTS = frozenset((Replacement.MEAN, Replacement.MEAN_TEMPLATE))
_DESCRIBED_APART = ("prompts", "reference", "seed")


@dataclass(frozen=True)
class Ask:
    """How a form or a command asks for one field of a request."""

    label: str
    help: str = ""
    choices: tuple[str, ...] = ()
    """Values to choose from; empty for every member of an enumeration, and for free input of other types."""
    shelf: str = ""
    """Folder of plug-ins whose names are the choices, see `registry`."""
    can_be_empty: bool = False
    """Whether no choice is a choice."""


Components = Annotated[tuple[Component, ...], Ask("Components", "Addresses, such as L0.H1 L1.MLP.")]
Everything = Annotated[Universe, Ask("Universe", "The components that count as everything.")]
MetricName = Annotated[str, Ask("Metric", "What is measured at the answer.", shelf="metrics")]
Method = Annotated[str, Ask("Search method", "How components are searched for.", shelf="circuit_discovery")]
Ablation = Annotated[
    Replacement,
    Ask("Ablation", "What replaces the activation.", (Replacement.RESAMPLE, Replacement.MEAN, Replacement.ZERO)),
]
AnyAblation = Annotated[Replacement, Ask("Ablation", "What replaces the activation.", ABLATIONS)]
RunDirection = Annotated[Direction, Ask("Direction", "The run that is edited: the clean one, or the corrupted one.")]
Factor = Annotated[float, Ask("Factor", "Of the ablation scale; others ignore it.")]


class Request:
    """Base of all requests: a frozen dataclass with `prompts`, often `reference`, its own questions, and `seed`.

    A field annotated with `Ask` appears in the form and the command of its audit.
    """

    settings: ClassVar[Mapping[str, Any]] = {}
    """Constants of the audit that its result depends on, by the name under which the log has them."""

    if TYPE_CHECKING:
        # Fields of every subclass: a property here would be taken for the default of its field.
        @property
        def prompts(self) -> TokenisedPrompts: ...

        @property
        def reference(self) -> TokenisedPrompts:
            """Prompts that means are taken over; the measured ones where a request has no such field."""

        @property
        def seed(self) -> int: ...

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "reference" not in {*inspect.get_annotations(cls), *dir(cls), *getattr(cls, "__dataclass_fields__", ())}:
            cls.reference = property(lambda self: self.prompts)  # type: ignore[assignment, method-assign]

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        """All replacements it uses: its field `replacement`, if it has one."""
        own = getattr(self, "replacement", None)
        return () if own is None else (own,)

    @property
    def kinds(self) -> frozenset[Kind]:
        """Kinds of components that are replaced: its field `kind`, else those of its `components`."""
        if (own := getattr(self, "kind", None)) is not None:
            return frozenset((own,))
        return frozenset(component.kind for component in getattr(self, "components", ()))

    def describe(self) -> dict[str, Any]:
        """Everything the result depends on besides model, prompts and seed, as ids and plain values."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in _DESCRIBED_APART}  # type: ignore[arg-type]
        return {name: _describe(value, name) for name, value in own.items()} | dict(self.settings)


def identify_prompts(prompts: TokenisedPrompts) -> list[Any]:
    """Identifies additional prompts of a request, so that other prompts give another content key."""
    return [prompts.name, prompts.sha256, [pair.prompt.id for pair in prompts.pairs]]


def _describe(value: Any, name: str) -> Any:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return [_describe(each, name) for each in value]
    if isinstance(value, Component):
        return str(value)
    if isinstance(value, TokenisedPrompts):
        return identify_prompts(value)
    if hasattr(value, "to_json"):
        return value.to_json()
    # A value left out of the description would let two different requests share one stored result.
    raise TypeError(f"The field {name} of a request holds a {type(value).__name__}, which has no description.")


def describe_request(request: Request) -> dict[str, Any]:
    """The request as logged: ids and plain values, with excluded prompts."""
    pairs = request.prompts.pairs
    one = {"prompt": pairs[0].prompt.id} if len(pairs) == 1 else {}
    return {
        "prompts": request.prompts.name,
        "half": name_split(request.prompts),
        **one,
        **request.describe(),
        **describe_left_out(request.prompts),
    }


def needs_means(request: Request) -> bool:
    """Whether a replacement needs means over reference prompts."""
    return bool(MEAN_REPLACEMENTS & set(request.replacements))


def reference_key(reference: TokenisedPrompts) -> str:
    """Key of the reference prompts: a subset has the hash of its set, so the prompt ids are included."""
    return f"{reference.sha256}:{[pair.prompt.id for pair in reference.pairs]}"


def list_reference(request: Request) -> TokenisedPrompts:
    """Prompts that means are taken over; for a metric that reads sequences, one for every answer token."""
    return list_places(request.reference).prompts if _reads_sequences(request) else request.reference


def count_places(request: Request) -> float:
    """Forward passes per prompt: one; for a metric that reads sequences, one per answer, and with means per answer token."""
    prompts = request.prompts
    if not _reads_sequences(request) or not len(prompts):
        return 1.0
    if needs_means(request):
        return len(list_places(prompts).prompts) / len(prompts)
    return sum(map(count_longest, prompts.pairs)) / len(prompts)


def _reads_sequences(request: Request) -> bool:
    name = getattr(request, "metric", None) or getattr(getattr(request, "claim", None), "metric", None)
    return name is not None and bool(get_plugin("metrics", name).reads_sequences)
