"""All questions about one circuit, asked alike by a page and by the command line."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from audit_core.audit import Request
from audit_core.audits.circuit import CircuitRequest
from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.audits.curve import CurveRequest
from audit_core.audits.recomposition import RecompositionRequest
from audit_core.audits.rival import RivalRequest
from audit_core.audits.specificity import OtherTask, SpecificityRequest
from audit_core.audits.stability import StabilityRequest
from audit_core.audits.transfer import TransferRequest
from audit_core.circuit_question import CircuitQuestion
from audit_core.claim import DEFAULT_DELTA, Claim, Role
from audit_core.component import format_components
from audit_core.errors import ClaimRefused
from audit_core.prompts import TokenisedPrompts

_SAYS = {Role.NECESSARY: "carries the answer", Role.SUFFICIENT: "alone keeps the answer"}
_SIMPLE = {"circuit": CircuitRequest, "recomposition": RecompositionRequest}
_SEARCHED = {"curve": CurveRequest, "rival": RivalRequest, "transfer": TransferRequest}
CIRCUIT_QUESTIONS = ("recomposition", "circuit", "curve", "transfer", "rival", "stability", "specificity")
"""Audits that ask about a circuit, beside `claim_test`; in the order in which a reader wants them."""


@dataclass(frozen=True)
class Assessment:
    """A circuit and everything its questions need."""

    circuit: CircuitQuestion
    """On the prompts it is measured on: those nobody looked at."""
    explored: TokenisedPrompts
    """The half that methods may look at."""
    others: tuple[OtherTask, ...] = ()
    """Other tasks, for specificity."""
    method: str = "exact"
    """Of the `discoveries/` shelf, for questions that look for circuits anew."""

    def ask(self, audit: str) -> Request:
        """The request of one of `CIRCUIT_QUESTIONS`.

        Raises:
            ClaimRefused: no such question.
        """
        base: dict[str, Any] = {field.name: getattr(self.circuit, field.name) for field in fields(CircuitQuestion)}
        if audit in _SIMPLE:
            return _SIMPLE[audit](**base)
        if audit in _SEARCHED:
            return _SEARCHED[audit](**base, explored=self.explored, method=self.method)
        if audit == "specificity":
            return SpecificityRequest(**base, others=self.others)
        if audit == "stability":
            circuit = self.circuit
            return StabilityRequest(
                self.explored,
                self.explored,
                self.method,
                circuit.universe,
                circuit.replacement,
                circuit.metric,
                circuit.seed,
                len(circuit.components),
            )
        raise ClaimRefused(
            f"Question {audit!r}.", wanted=f"one of {', '.join(CIRCUIT_QUESTIONS)}.", remedy="ask one of those."
        )

    def ask_verdict(self, role: Role) -> ClaimTestRequest:
        """The claim that the circuit is needed, or enough, by the default smallest effect of interest."""
        circuit = self.circuit
        claim = Claim(
            f"{format_components(circuit.components)[:150]} {_SAYS[role]}",
            circuit.components,
            circuit.universe,
            role,
            circuit.metric,
            circuit.replacement,
            delta=DEFAULT_DELTA[role.value],
        )
        return ClaimTestRequest(circuit.prompts, claim, circuit.seed)
