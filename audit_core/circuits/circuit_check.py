"""Checks of a circuit: audits that are asked about one circuit, in full, in a quick form, and with a claim."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from audit_core.audit import Audit
from audit_core.circuits.circuit_question import CircuitQuestion
from audit_core.circuits.circuit_search import SearchQuestion
from audit_core.claim import Universe
from audit_core.component import Component, Kind
from audit_core.errors import ClaimRefused
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import list_plugins
from audit_core.request import Request, identify_prompts


class Search(StrEnum):
    """What part of a check a search for circuits is."""

    NONE = "none"
    FIRST = "first"
    """It searches before it measures. Checks of one circuit share the search."""
    ALONE = "alone"
    """It consists of the search."""


class WithClaim(StrEnum):
    """Whether a check can be preregistered and run with a claim."""

    NEVER = "never"
    OFFERED = "offered"
    """A confirmation must have a field for its result."""
    USUAL = "usual"
    """Unless the owner chooses otherwise: the default policy requires it."""


@dataclass(frozen=True)
class OtherTask:
    """Another task, which the circuit is not claimed for."""

    prompts: TokenisedPrompts
    components: tuple[Component, ...] = ()
    """Circuit of the other task, for a double dissociation; may be empty."""

    def to_json(self) -> list[Any]:
        return [identify_prompts(self.prompts), [str(c) for c in self.components]]


@dataclass(frozen=True)
class AssessedCircuit:
    """A circuit and the inputs of its checks."""

    circuit: CircuitQuestion
    """The circuit on the prompts it is measured on: the confirmatory split."""
    explored: TokenisedPrompts
    """The exploratory split, for discovery methods."""
    others: tuple[OtherTask, ...] = ()
    """Other tasks, for specificity."""
    method: str = "exact"
    """Key of a plug-in in `circuit_discovery/`, for audits that run a discovery."""


@dataclass(frozen=True)
class CircuitCheck(Audit):
    """Base of the audits that a circuit's assessment asks."""

    place: int = 100
    """Order in which checks are listed, lowest first."""
    is_weighed: bool = True
    """Whether its findings are for or against the circuit; else its result is only drawn."""
    has_quick_form: bool = False
    """Whether it can be answered on few prompts."""
    search: Search = Search.NONE
    with_claim: WithClaim = WithClaim.NEVER

    def ask(self, assessed: AssessedCircuit) -> Request:
        """The request about a circuit."""
        asked: dict[str, Any] = {f.name: getattr(assessed.circuit, f.name) for f in fields(CircuitQuestion)}
        if issubclass(self.request, SearchQuestion):
            asked |= {"explored": assessed.explored, "method": assessed.method}
        return self.request(**asked)

    def ask_quickly(self, few: AssessedCircuit) -> Request:
        """The request of the quick form, about a circuit with few prompts."""
        return self.ask(few)


def list_checks() -> tuple[CircuitCheck, ...]:
    """All checks, in the order in which they are listed."""
    found = [audit for audit in list_plugins("audits").values() if isinstance(audit, CircuitCheck)]
    return tuple(sorted(found, key=lambda check: check.place))


def list_circuit_questions() -> tuple[str, ...]:
    """Names of the checks that are weighed for or against a circuit, in the order in which they are listed."""
    return tuple(check.name for check in list_checks() if check.is_weighed)


def list_quick_questions() -> tuple[str, ...]:
    """Names of the checks with a quick form, in the order in which they run: a search before what shares it."""
    quick = [check for check in list_checks() if check.has_quick_form]
    return tuple(check.name for check in sorted(quick, key=lambda check: check.search is Search.FIRST))


def list_claim_questions(*, usual: bool = False, universe: Universe = Universe.HEADS) -> tuple[str, ...]:
    """Names of the checks that can be preregistered with a claim, as listed; or of the usual ones, in order of name.

    They are about circuits, so that a claim on features has none.
    """
    if Kind.FEATURE in universe.kinds:
        return ()
    if usual:
        return tuple(sorted(check.name for check in list_checks() if check.with_claim is WithClaim.USUAL))
    return tuple(check.name for check in list_checks() if check.with_claim is not WithClaim.NEVER)


def get_check(name: str) -> CircuitCheck:
    """One check.

    Raises:
        ClaimRefused: no such check.
    """
    known = {check.name: check for check in list_checks()}
    if name not in known:
        raise ClaimRefused(f"Question {name!r}.", wanted=f"one of {', '.join(known)}.", remedy="use one of those.")
    return known[name]
