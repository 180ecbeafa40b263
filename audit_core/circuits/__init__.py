"""Circuits: sets of components, proposed by discovery and tested by interventions."""

from audit_core.circuits.circuit import Circuit, read_components
from audit_core.circuits.circuit_check import (
    AssessedCircuit,
    OtherTask,
    Search,
    get_check,
    list_checks,
    list_circuit_questions,
    list_claim_questions,
    list_quick_questions,
)
from audit_core.circuits.circuit_question import CircuitQuestion
from audit_core.circuits.completeness import Gap, MinimalityScore
from audit_core.circuits.curve import Areas

__all__ = [
    "Areas",
    "AssessedCircuit",
    "Circuit",
    "CircuitQuestion",
    "Gap",
    "MinimalityScore",
    "OtherTask",
    "Search",
    "get_check",
    "list_checks",
    "list_circuit_questions",
    "list_claim_questions",
    "list_quick_questions",
    "read_components",
]
