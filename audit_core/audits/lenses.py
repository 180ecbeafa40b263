"""Lenses: what activations show through the unembedding, beside what replacing them does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from audit_core.audit import Audit, Example, Verdicts
from audit_core.capability import HEADS, LENSES, Capability, components_of
from audit_core.component import Kind
from audit_core.lenses.measurement import count_work_of, measure_lenses
from audit_core.lenses.results import LensEffect, LensesRequest, LensesResult, LensWriting
from audit_core.request import Request
from audit_core.subject import Means, Progress, Subject, no_partial


def _find(found: LensesResult, name: str) -> tuple[str, str]:
    return next((part.writing, part.effect) for part in found.parts if part.component == name)


_EXAMPLES = (
    Example(
        {},
        "L1.H0 writes for the answer and replacing it lowers the lead. L0.H0 does too when replaced, and writes little.",
        lambda found: (
            _find(found, "L1.H0") == (LensWriting.FOR, LensEffect.LOWERS)
            and _find(found, "L0.H0") == (LensWriting.LITTLE, LensEffect.LOWERS)
        ),
        task="context",
        verdicts=Verdicts(
            lambda found: [*_find(found, "L1.H0"), *_find(found, "L0.H0")],
            (LensWriting.FOR.value, LensEffect.LOWERS.value, LensWriting.LITTLE.value, LensEffect.LOWERS.value),
            frozenset({LensWriting.UNDECIDED.value, LensEffect.UNDECIDED.value}),
        ),
    ),
)


@dataclass(frozen=True)
class LensesAudit(Audit):
    name: str = "lenses"
    question: str = "Do the parts that a lens points at change the answer when they are replaced?"
    request: type[Request] = LensesRequest
    result: type = LensesResult
    version: int = 2
    shown_versions: tuple[int, ...] = (1,)
    summary: str = (
        "The logit lens reads every layer through the unembedding, the Jacobian lens after the mean derivative of the later layers. "
        "Direct logit attribution says what each head and MLP writes to the answer. Apart from it, each is replaced and the lead "
        "measured."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    examples: tuple[Example, ...] = _EXAMPLES
    demands: tuple[Capability[Any], ...] = (LENSES, HEADS, components_of(Kind.RESID))

    def count_work(self, subject: Subject, request: LensesRequest) -> int:
        return count_work_of(subject, request)

    def run(
        self,
        subject: Subject,
        request: LensesRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> LensesResult:
        return measure_lenses(subject, request, means, on_progress)


PLUGIN = LensesAudit()
