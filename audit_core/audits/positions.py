"""Positions: at which tokens of one prompt each component of a circuit has its effect."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from audit_core.audit import Audit, Example
from audit_core.capability import HEADS, Capability
from audit_core.circuits.circuit_question import CircuitQuestion, check_circuit
from audit_core.component import Component
from audit_core.controls import Controls
from audit_core.effect import check_task, get_metric, measure_effect
from audit_core.errors import PromptRefused
from audit_core.evidence.kind import Causal
from audit_core.intervention import Intervention, Replacement, intervene
from audit_core.judging.faithfulness import list_universe
from audit_core.request import Request
from audit_core.stats.estimates import Estimate
from audit_core.stats.measurement import Measurement
from audit_core.subject import Means, Progress, Subject, no_partial


@dataclass(frozen=True)
class PositionsRequest(CircuitQuestion):
    """Request: a circuit and one prompt, because positions of different prompts do not align."""


@dataclass(frozen=True)
class Place:
    """One component at one token."""

    component: str
    position: int
    effect: Causal[Measurement]
    """Support for the answer, in the metric's unit; one prompt, no interval."""


@dataclass(frozen=True, kw_only=True)
class PositionsResult:
    """Every component of the circuit at every token where it can have an effect."""

    first: int
    """First position that differs between the prompts; `resample` has no effect before it."""
    n_positions: int
    places: tuple[Place, ...]
    """Sorted by component, then by position."""
    main: tuple[Place, ...]
    """Per component, the position with the largest magnitude of effect."""
    unit: str
    controls: Controls


_EXAMPLES = (
    Example(
        {"components": "L1.H0"},
        "L1.H0 acts at the last token alone.",
        lambda found: (
            [(place.position, round(place.effect.estimate.value)) for place in found.main]
            == [(found.n_positions - 1, 20)]
        ),
        is_of_one=True,
    ),
)


@dataclass(frozen=True)
class PositionsAudit(Audit):
    name: str = "positions"
    question: str = "At which token does each component have its effect?"
    request: type[Request] = PositionsRequest
    result: type = PositionsResult
    version: int = 8
    examples: tuple[Example, ...] = _EXAMPLES
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (HEADS,)

    def count_work(self, subject: Subject, request: PositionsRequest) -> int:
        return subject.count_work(request.prompts, _replace_each(request))

    def run(
        self,
        subject: Subject,
        request: PositionsRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> PositionsResult:
        if len(request.prompts) != 1:
            raise PromptRefused(
                f"{len(request.prompts)} prompts.",
                wanted="one: positions of different prompts do not align.",
                remedy="choose a prompt.",
            )
        check_circuit(request.components, list_universe(subject, request.universe), request.universe)
        metric = get_metric(request.metric)
        effect = measure_effect(
            subject,
            request.prompts,
            _replace_each(request),
            metric,
            means=means,
            seed=request.seed,
            on_progress=on_progress,
        )
        check_task(effect)
        conditions = replace(request.necessity_conditions, positions="one", set="one component at one token ablated")
        found = [
            Place(
                str(part),
                position,
                Measurement(Estimate(float(support), None, None, 1, effect.unit, None), conditions),
            )
            for (part, position), support in zip(_list_places(request), effect.support[:, 0], strict=True)
        ]
        main = [max((p for p in found if p.component == str(part)), key=_size) for part in request.components]
        return PositionsResult(
            first=_find_first(request),
            n_positions=len(request.prompts.pairs[0].clean_ids),
            places=tuple(found),
            main=tuple(main),
            unit=effect.unit,
            controls=effect.controls,
        )


def _size(place: Place) -> float:
    return abs(place.effect.estimate.value)


def _find_first(request: PositionsRequest) -> int:
    return request.prompts.pairs[0].first_changed if request.replacement is Replacement.RESAMPLE else 0


def _list_places(request: PositionsRequest) -> list[tuple[Component, int]]:
    positions = range(_find_first(request), len(request.prompts.pairs[0].clean_ids))
    return [(part, position) for part in request.components for position in positions]


def _replace_each(request: PositionsRequest) -> tuple[Intervention, ...]:
    return tuple(
        intervene([replace(part, position=position)], request.replacement) for part, position in _list_places(request)
    )


PLUGIN = PositionsAudit()
