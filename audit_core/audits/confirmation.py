"""Confirmation: tests a preregistered claim and answers its preregistered questions, in one logged attempt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from audit_core.audit import Audit
from audit_core.audits.circuit import CircuitResult
from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.audits.curve import CurveResult
from audit_core.audits.recomposition import RecompositionResult
from audit_core.audits.rival import RivalResult
from audit_core.audits.specificity import SpecificityResult
from audit_core.audits.stability import StabilityResult
from audit_core.audits.transfer import TransferResult
from audit_core.capability import ATTENTION, HEADS, MEANS, Capability
from audit_core.circuits.circuit_check import AssessedCircuit, OtherTask, get_check, list_circuit_questions
from audit_core.circuits.circuit_question import CircuitQuestion
from audit_core.circuits.circuit_search import share_progress
from audit_core.claim import Claim
from audit_core.component import Kind
from audit_core.errors import NotMeasured, Refused
from audit_core.intervention import Replacement
from audit_core.judging.faithfulness import list_kinds
from audit_core.judging.trial import FAMILIES
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.request import Request, identify_prompts
from audit_core.subject import Means, Progress, Subject, no_partial


@dataclass(frozen=True)
class ConfirmationRequest(Request):
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
    def kinds(self) -> frozenset[Kind]:
        return frozenset(list_kinds(self.claim.universe))

    def describe(self) -> dict[str, Any]:
        # Other tasks are written without inner lists, as in every stored result.
        others = [[*identify_prompts(o.prompts), [str(c) for c in o.components]] for o in self.others]
        return super().describe() | {"others": others}

    def ask(self, question: str) -> Request:
        """Request of one question, with the claim's components and replacement."""
        claim = self.claim
        circuit = CircuitQuestion(
            self.prompts, self.prompts, claim.components, claim.universe, claim.ablation, claim.metric, self.seed
        )
        return get_check(question).ask(AssessedCircuit(circuit, self.explored, self.others, self.method))


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
        found = {question: getattr(self, question, None) for question in list_circuit_questions()}
        return {question: answer for question, answer in found.items() if answer is not None}


@dataclass(frozen=True)
class ConfirmationAudit(Audit):
    name: str = "confirmation"
    question: str = "What is the verdict on the preregistered claim?"
    request: type[Request] = ConfirmationRequest
    result: type = ConfirmationResult
    version: int = 10
    no_rate: str = "It judges a claim by the combined rule, which has tables of its own."
    counts_as: tuple[str, ...] = ("causal_results", "test_of_the_test")
    demands: tuple[Capability[Any], ...] = (HEADS, MEANS, ATTENTION)
    judges: bool = True

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
    return (
        means
        if step.reference is request.prompts
        else MEANS.of(subject).capture_means(step.reference, kinds=step.kinds)
    )


PLUGIN = ConfirmationAudit()
