"""Requests of all audits of one circuit, for pages and the command line."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.audit import Request
from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.audits.confirmation import ask_question
from audit_core.audits.specificity import OtherTask
from audit_core.circuits.circuit_question import CircuitQuestion
from audit_core.claim import DEFAULT_DELTA, Claim, Role, Universe
from audit_core.component import Component, format_components
from audit_core.intervention import Replacement
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
        claim = state_claim(circuit.components, circuit.universe, role, circuit.replacement, circuit.metric)
        return ClaimTestRequest(circuit.prompts, claim, circuit.seed)


def state_claim(
    components: tuple[Component, ...],
    universe: Universe,
    role: Role,
    replacement: Replacement,
    metric: str = "logit_difference",
) -> Claim:
    """The claim that a circuit is necessary, or sufficient, with the default smallest effect of interest."""
    name = f"{format_components(components)[:150]} {_CLAIMS[role]}"
    return Claim(name, components, universe, role, metric, replacement, delta=DEFAULT_DELTA[role.value])
