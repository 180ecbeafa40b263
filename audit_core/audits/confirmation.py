"""A preregistered claim judged and put to every question that was fixed with it, in one run: one attempt, whatever it finds."""

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
"""Audits that ask about a circuit, beside `claim_test`; in the order in which a reader wants them."""
_SIMPLE = {"circuit": CircuitRequest, "recomposition": RecompositionRequest}
_SEARCHED = {"curve": CurveRequest, "rival": RivalRequest, "transfer": TransferRequest}


def ask_question(
    audit: str, circuit: CircuitQuestion, explored: TokenisedPrompts, others: tuple[OtherTask, ...], method: str
) -> Request:
    """The request of one of `CIRCUIT_QUESTIONS`.

    Raises:
        ClaimRefused: no such question.
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
        f"Question {audit!r}.", wanted=f"one of {', '.join(CIRCUIT_QUESTIONS)}.", remedy="ask one of those."
    )


@dataclass(frozen=True)
class ConfirmationRequest:
    """A claim, the half that nobody looked at, and the questions that were fixed with it."""

    prompts: TokenisedPrompts
    claim: Claim
    explored: TokenisedPrompts
    """The half that methods may look at."""
    questions: tuple[str, ...] = ()
    others: tuple[OtherTask, ...] = ()
    """Other tasks, for specificity."""
    method: str = "exact"
    """Of the `discoveries/` shelf, for questions that look for circuits anew."""
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
        """One of the questions, about the claim's components under the claim's own replacement."""
        claim = self.claim
        circuit = CircuitQuestion(
            self.prompts, self.prompts, claim.components, claim.universe, claim.ablation, claim.metric, self.seed
        )
        return ask_question(question, circuit, self.explored, self.others, self.method)


@dataclass(frozen=True)
class ConfirmationResult:
    """What was found; a question that was fixed and has no answer stands in `not_measured` with its reason."""

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
        """Of every question that has one."""
        found = {question: getattr(self, question) for question in CIRCUIT_QUESTIONS}
        return {question: answer for question, answer in found.items() if answer is not None}


@dataclass(frozen=True)
class ConfirmationAudit:
    name: str = "confirmation"
    question: str = "What becomes of the claim when it is judged as it was fixed beforehand?"
    result: type = ConfirmationResult
    version: int = 8
    counts_as: tuple[str, ...] = ("causal_results", "test_of_the_test")
    shows_results: bool = True

    def count_work(self, subject: Subject, request: ConfirmationRequest) -> int:
        return sum(get_plugin("audits", audit).count_work(subject, asked) for audit, asked in _list_steps(request))

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
        prices = [get_plugin("audits", audit).count_work(subject, asked) for audit, asked in steps]
        answers: dict[str, Any] = {}
        not_measured: dict[str, str] = {}
        for number, (audit, asked) in enumerate(steps):
            report = share_progress(on_progress, sum(prices), sum(prices[:number]), prices[number])
            own = _find_means(subject, request, asked, means)
            try:
                answers[audit] = get_plugin("audits", audit).run(subject, asked, means=own, on_progress=report)
            except (NotMeasured, Refused) as error:
                # A dead verdict ends the run; a question without an answer must not cost the verdict.
                if audit == "claim_test":
                    raise
                not_measured[audit] = str(error)
        on_progress(sum(prices), sum(prices))
        return ConfirmationResult(answers.pop("claim_test"), not_measured, **answers)


def _list_steps(request: ConfirmationRequest) -> list[tuple[str, Request]]:
    test = ClaimTestRequest(request.prompts, request.claim, request.seed)
    return [("claim_test", test), *((question, request.ask(question)) for question in request.questions)]


def _find_means(subject: Subject, request: ConfirmationRequest, asked: Request, means: Means | None) -> Means | None:
    """Means over the question's own reference: searches may only know the half they look at."""
    if not {Replacement.MEAN, Replacement.MEAN_TEMPLATE} & set(asked.replacements):
        return None
    return means if asked.reference is request.prompts else subject.capture_means(asked.reference, kinds=asked.kinds)


PLUGIN = ConfirmationAudit()
