"""Steering: whether a direction makes a model write about a concept, beside prompting, DiffMean and random directions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.audit import Audit
from audit_core.capability import ACTIVATIONS, STEERING, Capability, components_of
from audit_core.component import Kind
from audit_core.request import Request
from audit_core.steering.asking import ask_concepts
from audit_core.steering.measurement import count_work_of, measure_request
from audit_core.steering.results import SteeringFile, SteeringRequest, SteeringResult
from audit_core.subject import Means, Progress, Subject, no_partial


@dataclass(frozen=True)
class SteeringAudit(Audit):
    name: str = "steering"
    question: str = (
        "Does a direction make the model write about a concept, better than a prompt or a random direction does?"
    )
    request: type[Request] = SteeringRequest
    result: type = SteeringResult
    version: int = 2
    shown_versions: tuple[int, ...] = (1,)
    no_rate: str = "Its request is made of a file of concepts, which no planted model declares."
    pace: float = 1.5
    summary: str = (
        "A vector is added to one layer's input while the model writes: a feature's, a probe's, a difference of means, and random "
        "ones of equal length. Continuations are checked for the concept by a word list, beside prompting, with fluency and "
        "off-target cost."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (ACTIVATIONS, STEERING, components_of(Kind.RESID))
    file_form: type | None = SteeringFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> SteeringRequest:
        self.require(subject)
        return ask_concepts(subject, raw, name, answers, seed=seed)

    def count_work(self, subject: Subject, request: SteeringRequest) -> int:
        return count_work_of(subject, request)

    def run(
        self,
        subject: Subject,
        request: SteeringRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> SteeringResult:
        return measure_request(subject, request, on_progress)


PLUGIN = SteeringAudit()
