"""Circuits: sets of components, proposed by discovery and tested by interventions."""

from audit_core.circuits.circuit import Circuit, read_components
from audit_core.circuits.circuit_question import CircuitQuestion
from audit_core.circuits.completeness import Gap, MinimalityScore
from audit_core.circuits.curve import Areas

__all__ = [
    "Areas",
    "Circuit",
    "CircuitQuestion",
    "Gap",
    "MinimalityScore",
    "read_components",
]
