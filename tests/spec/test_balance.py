"""Findings are sorted by what they say, and never added up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from audit_core.assessment import CIRCUIT_QUESTIONS, Assessment
from audit_core.balance import Balance, sort_findings
from audit_core.circuit_question import CircuitQuestion
from audit_core.claim import Role
from audit_core.component import parse_components
from audit_core.errors import ClaimRefused
from audit_core.intervention import Replacement
from audit_core.prompts import is_exploratory, tokenise
from audit_core.registry import get_plugin
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted


@pytest.fixture(scope="module")
def found(load_planted: Callable[[str], Any]) -> Callable[[str], tuple[dict[str, Any], dict[Role, Any]]]:
    model, subject = find_planted("planted-induction"), load_planted("planted-induction")
    assert model is not None
    whole = tokenise(model.find_task("query").make(12, 0), subject.tokenizer)
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

        results = {audit: run(audit, assessment.ask(audit)) for audit in CIRCUIT_QUESTIONS}
        return results, {role: run("claim_test", assessment.ask_verdict(role)) for role in Role}

    return ask


def test_the_missing_backup_speaks_against_the_circuit_that_is_otherwise_enough(found: Callable[[str], Any]) -> None:
    results, verdicts = found("L0.H0 L1.H0 L1.H3")
    balance = sort_findings(results, verdicts)
    assert any("show a gap above 0.1" in text for text in balance.speaks_against)
    assert any("leave over" in text for text in balance.speaks_for)
    assert not balance.not_asked
    every = [*balance.speaks_for, *balance.speaks_against, *balance.unresolved]
    assert len(every) == len(set(every))


def test_what_was_not_asked_is_named_and_never_taken_for_good(found: Callable[[str], Any]) -> None:
    nothing = sort_findings({}, {})
    assert (nothing.speaks_for, nothing.speaks_against, nothing.unresolved) == ((), (), ())
    assert len(nothing.not_asked) == len(CIRCUIT_QUESTIONS) + len(Role)


def test_a_balance_holds_sentences_and_no_number() -> None:
    assert all(field.type == "tuple[str, ...]" for field in fields(Balance))


def test_a_question_that_does_not_exist_is_refused(found: Callable[[str], Any]) -> None:
    empty: Any = None
    with pytest.raises(ClaimRefused, match="Question 'beauty'"):
        Assessment(CircuitQuestion(empty, empty, parse_components("L0.H0")), empty).ask("beauty")
