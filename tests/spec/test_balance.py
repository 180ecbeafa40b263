"""Findings are sorted by what they say, and never added up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from functools import cache
from typing import Any

import pytest

from audit_core.assessment.balance import Balance, sort_findings
from audit_core.assessment.questions import Assessment
from audit_core.circuits import list_circuit_questions
from audit_core.circuits.circuit_question import CircuitQuestion
from audit_core.claim import Role
from audit_core.component import parse_components
from audit_core.errors import ClaimRefused
from audit_core.intervention import Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import is_exploratory
from audit_core.registry import get_plugin
from audit_core.stats.estimates import Estimate
from audit_core.stats.groups import GroupEstimates
from audit_core.stats.measurement import Measurement
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted

pytestmark = pytest.mark.usefixtures("short_draws")


@pytest.fixture(scope="module")
def found(load_planted: Callable[[str], Any]) -> Callable[[str], tuple[dict[str, Any], dict[Role, Any]]]:
    model, subject = find_planted("planted-induction"), load_planted("planted-induction")
    assert model is not None
    whole = tokenise(model.find_task("query").make(6, 0), subject.tokenizer)
    halves = [
        replace(whole, pairs=tuple(p for p in whole.pairs if is_exploratory(p.prompt) is half))
        for half in (True, False)
    ]

    def ask(parts: str) -> tuple[dict[str, Any], dict[Role, Any]]:
        question = CircuitQuestion(halves[1], halves[1], parse_components(parts), replacement=Replacement.ZERO)
        assessment = Assessment(question, halves[0])

        def run(audit: str, request: Any) -> Any:
            means = subject.capture_means(request.reference)
            return get_plugin("audits", audit).run(subject, request, means=means, on_progress=no_progress)

        results = {audit: run(audit, assessment.ask(audit)) for audit in list_circuit_questions()}
        return results, {role: run("claim_test", assessment.ask_verdict(role)) for role in Role}

    return cache(ask)


def test_the_missing_backup_speaks_against_the_circuit_that_is_otherwise_enough(found: Callable[[str], Any]) -> None:
    results, verdicts = found("L0.H0 L1.H0 L1.H3")
    balance = sort_findings(parse_components("L0.H0 L1.H0 L1.H3"), results, verdicts)
    assert any("show a gap above 0.1" in text for text in balance.speaks_against)
    assert any("Unexplained" in text for text in balance.speaks_for)
    assert not balance.not_asked
    every = [*balance.speaks_for, *balance.speaks_against, *balance.unresolved]
    assert len(every) == len(set(every))


def test_an_idle_decoy_gets_no_credit_for_what_the_search_found(found: Callable[[str], Any]) -> None:
    """L1.H1 looks right and does nothing: that a method finds the wiring again is no merit of the decoy."""
    results, verdicts = found("L1.H1")
    balance = sort_findings(parse_components("L1.H1"), results, verdicts)
    assert balance.speaks_for == ()
    assert len(balance.about_the_search) >= 2
    assert any("Redundant" in text for text in balance.speaks_against)


def make_estimate(low: float, high: float) -> Estimate:
    return Estimate((low + high) / 2, low, high, 72, "u", 0.95, 12)


@pytest.mark.parametrize(
    ("intervals", "side"),
    [
        ([(0.9, 1.1), (0.85, 1.0)], "speaks_for"),
        ([(0.9, 1.1), (1.3, 1.5)], "speaks_against"),
        ([(0.9, 1.1), (0.5, 0.7)], "speaks_against"),
        ([(0.85, 0.95), (0.2, 1.6)], "unresolved"),
    ],
)
def test_templates_are_judged_by_every_interval_and_overshoot_is_no_merit(
    found: Callable[[str], Any], intervals: list[tuple[float, float]], side: str
) -> None:
    results, _ = found("L0.H0 L1.H0 L1.H3")
    groups = GroupEstimates(("a", "b"), tuple(make_estimate(*ends) for ends in intervals), ("c",))
    circuit = replace(results["circuit"], by_template=groups)
    balance = sort_findings((), {"circuit": circuit}, {})
    assert any("on every template" in text or "less or more than" in text for text in getattr(balance, side))
    assert any("no gap: templates c" in text for text in balance.unresolved)


def test_what_was_not_shown_to_be_idle_is_not_shown_to_be_needed(found: Callable[[str], Any]) -> None:
    results, _ = found("L0.H0 L1.H0 L1.H3")
    circuit = results["circuit"]
    vague = tuple(replace(w, found=Measurement(make_estimate(-0.3, 0.4), w.found.conditions)) for w in circuit.worths)
    balance = sort_findings((), {"circuit": replace(circuit, worths=vague, idle=())}, {})
    assert any("Minimality is unresolved" in text for text in balance.unresolved)
    few = sort_findings((), {"circuit": replace(circuit, is_decidable=False)}, {})
    assert not any(
        "gap above" in text or "minimality score above" in text for text in (*few.speaks_for, *few.speaks_against)
    )


def test_what_was_not_asked_is_named_and_never_taken_for_good(found: Callable[[str], Any]) -> None:
    nothing = sort_findings((), {}, {})
    assert (nothing.speaks_for, nothing.speaks_against, nothing.unresolved) == ((), (), ())
    assert len(nothing.not_asked) == len(list_circuit_questions()) + len(Role)


def test_a_balance_holds_sentences_and_no_number() -> None:
    assert all(field.type == "tuple[str, ...]" for field in fields(Balance))


def test_a_question_that_does_not_exist_is_refused(found: Callable[[str], Any]) -> None:
    empty: Any = None
    with pytest.raises(ClaimRefused, match="Question 'beauty'"):
        Assessment(CircuitQuestion(empty, empty, parse_components("L0.H0")), empty).ask("beauty")
