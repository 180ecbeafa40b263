"""Confirmation: tests a preregistered claim and answers its preregistered questions, in one logged attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from audit_core.audit import Request
from audit_core.audits.circuit import CircuitRequest, CircuitResult
from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.audits.curve import CurveRequest, CurveResult
from audit_core.audits.recomposition import RecompositionRequest, RecompositionResult
from audit_core.audits.rival import RivalRequest, RivalResult
from audit_core.audits.specificity import OtherTask, SpecificityRequest, SpecificityResult
from audit_core.audits.stability import StabilityRequest, StabilityResult
from audit_core.audits.transfer import TransferRequest, TransferResult
from audit_core.circuits.circuit_question import CircuitQuestion, identify_prompts
from audit_core.circuits.circuit_search import share_progress
from audit_core.claim import Claim
from audit_core.component import Kind
from audit_core.errors import ClaimRefused, NotMeasured, Refused
from audit_core.intervention import Replacement
from audit_core.judging.faithfulness import list_kinds
from audit_core.judging.trial import FAMILIES
from audit_core.prompts.measurable import keep_measurable
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.subject import Means, Progress, Subject, no_partial

CIRCUIT_QUESTIONS = ("recomposition", "circuit", "curve", "transfer", "rival", "stability", "specificity")
"""Circuit audits besides `claim_test`, in display order."""
_SIMPLE = {"circuit": CircuitRequest, "recomposition": RecompositionRequest}
_SEARCHED = {"curve": CurveRequest, "rival": RivalRequest, "transfer": TransferRequest}


def ask_question(
    audit: str, circuit: CircuitQuestion, explored: TokenisedPrompts, others: tuple[OtherTask, ...], method: str
) -> Request:
    """The request of one of `CIRCUIT_QUESTIONS`.

    Raises:
        ClaimRefused: unknown audit.
    """
    base: dict[str, Any] = {field.name: getattr(circuit, field.name) for field in fields(CircuitQuestion)}
    if audit in _SIMPLE:
        return _SIMPLE[audit](**base)
    if audit in _SEARCHED:
        return _SEARCHED[audit](**base, explored=explored, method=method)
    if audit == "specificity":
        return SpecificityRequest(**base, others=others)
    if audit == "stability":
        explored = keep_measurable(explored, explored, circuit.replacements)
        return StabilityRequest(
            explored,
            explored,
            method,
            circuit.universe,
            circuit.replacement,
            circuit.metric,
            circuit.seed,
            len(circuit.components),
        )
    raise ClaimRefused(
        f"Question {audit!r}.", wanted=f"one of {', '.join(CIRCUIT_QUESTIONS)}.", remedy="use one of those."
    )


@dataclass(frozen=True)
class ConfirmationRequest:
    """Request: a claim, the confirmatory split, and the preregistered questions."""

    prompts: TokenisedPrompts
    claim: Claim
    explored: TokenisedPrompts
    """The exploratory split, for discovery methods."""
    questions: tuple[str, ...] = ()
    others: tuple[OtherTask, ...] = ()
    """Other tasks, for specificity."""
    method: str = "exact"
    """Key of a plug-in in `circuit_discovery/`, for audits that run a discovery."""
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return FAMILIES

    @property
    def reference(self) -> TokenisedPrompts:
        return self.prompts

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset(list_kinds(self.claim.universe))

    def describe(self) -> dict[str, Any]:
        return {
            "claim": self.claim.to_json(),
            "explored": identify_prompts(self.explored),
            "questions": list(self.questions),
            "others": [[*identify_prompts(o.prompts), [str(c) for c in o.components]] for o in self.others],
            "method": self.method,
        }

    def ask(self, question: str) -> Request:
        """Request of one question, with the claim's components and replacement."""
        claim = self.claim
        circuit = CircuitQuestion(
            self.prompts, self.prompts, claim.components, claim.universe, claim.ablation, claim.metric, self.seed
        )
        return ask_question(question, circuit, self.explored, self.others, self.method)


@dataclass(frozen=True, kw_only=True)
class ConfirmationResult:
    """Verdict and answers; a preregistered question without an answer is in `not_measured` with its reason."""

    verdict: ClaimTestResult
    not_measured: dict[str, str]
    recomposition: RecompositionResult | None = None
    circuit: CircuitResult | None = None
    curve: CurveResult | None = None
    transfer: TransferResult | None = None
    rival: RivalResult | None = None
    stability: StabilityResult | None = None
    specificity: SpecificityResult | None = None

    @property
    def answers(self) -> dict[str, Any]:
        """Question → result, for every answered question."""
        found = {question: getattr(self, question) for question in CIRCUIT_QUESTIONS}
        return {question: answer for question, answer in found.items() if answer is not None}


@dataclass(frozen=True)
class ConfirmationAudit:
    name: str = "confirmation"
    question: str = "What is the verdict on the preregistered claim?"
    result: type = ConfirmationResult
    version: int = 8
    counts_as: tuple[str, ...] = ("causal_results", "test_of_the_test")
    shows_results: bool = True

    def count_work(self, subject: Subject, request: ConfirmationRequest) -> int:
        return sum(get_plugin("audits", audit).count_work(subject, step) for audit, step in _list_steps(request))

    def run(
        self,
        subject: Subject,
        request: ConfirmationRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> ConfirmationResult:
        steps = _list_steps(request)
        workloads = [get_plugin("audits", audit).count_work(subject, step) for audit, step in steps]
        answers: dict[str, Any] = {}
        not_measured: dict[str, str] = {}
        for number, (audit, step) in enumerate(steps):
            report = share_progress(on_progress, sum(workloads), sum(workloads[:number]), workloads[number])
            own = _find_means(subject, request, step, means)
            try:
                answers[audit] = get_plugin("audits", audit).run(subject, step, means=own, on_progress=report)
            except (NotMeasured, Refused) as error:
                # A failed verdict ends the run; a failed question does not.
                if audit == "claim_test":
                    raise
                not_measured[audit] = str(error)
        on_progress(sum(workloads), sum(workloads))
        return ConfirmationResult(verdict=answers.pop("claim_test"), not_measured=not_measured, **answers)


def _list_steps(request: ConfirmationRequest) -> list[tuple[str, Request]]:
    test = ClaimTestRequest(request.prompts, request.claim, request.seed)
    return [("claim_test", test), *((question, request.ask(question)) for question in request.questions)]


def _find_means(subject: Subject, request: ConfirmationRequest, step: Request, means: Means | None) -> Means | None:
    """Means over the question's own reference prompts: a discovery may use the exploratory split only."""
    if not {Replacement.MEAN, Replacement.MEAN_TEMPLATE} & set(step.replacements):
        return None
    return means if step.reference is request.prompts else subject.capture_means(step.reference, kinds=step.kinds)


PLUGIN = ConfirmationAudit()
