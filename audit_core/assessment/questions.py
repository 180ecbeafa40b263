"""Requests of all audits of one circuit, for pages and the command line."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.circuits.circuit_check import AssessedCircuit, get_check
from audit_core.claim import DEFAULT_DELTA, Claim, Role, Universe
from audit_core.component import Component, format_components
from audit_core.intervention import Replacement
from audit_core.request import Request

_CLAIMS = {Role.NECESSARY: "carries the answer", Role.SUFFICIENT: "alone keeps the answer"}


@dataclass(frozen=True)
class Assessment(AssessedCircuit):
    """A circuit with the requests of its checks and verdicts."""

    def ask(self, audit: str) -> Request:
        """The request of one check, see `list_checks`.

        Raises:
            ClaimRefused: unknown audit.
        """
        return get_check(audit).ask(self)

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
