"""Requests of all audits of one circuit, for pages and the command line."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.audit import Request
from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.audits.confirmation import ask_question
from audit_core.audits.specificity import OtherTask
from audit_core.circuits.circuit_question import CircuitQuestion
from audit_core.claim import DEFAULT_DELTA, Claim, Role
from audit_core.component import format_components
from audit_core.prompts.prompt_set import TokenisedPrompts

_CLAIMS = {Role.NECESSARY: "carries the answer", Role.SUFFICIENT: "alone keeps the answer"}


@dataclass(frozen=True)
class Assessment:
    """A circuit and the inputs of its audits."""

    circuit: CircuitQuestion
    """The circuit on the prompts it is measured on: the confirmatory split."""
    explored: TokenisedPrompts
    """The exploratory split, for discovery methods."""
    others: tuple[OtherTask, ...] = ()
    """Other tasks, for specificity."""
    method: str = "exact"
    """Key of a plug-in in `circuit_discovery/`, for audits that run a discovery."""

    def ask(self, audit: str) -> Request:
        """The request of one of `CIRCUIT_QUESTIONS`.

        Raises:
            ClaimRefused: unknown audit.
        """
        return ask_question(audit, self.circuit, self.explored, self.others, self.method)

    def ask_verdict(self, role: Role) -> ClaimTestRequest:
        """The claim that the circuit is necessary, or sufficient, with the default smallest effect of interest."""
        circuit = self.circuit
        claim = Claim(
            f"{format_components(circuit.components)[:150]} {_CLAIMS[role]}",
            circuit.components,
            circuit.universe,
            role,
            circuit.metric,
            circuit.replacement,
            delta=DEFAULT_DELTA[role.value],
        )
        return ClaimTestRequest(circuit.prompts, claim, circuit.seed)
