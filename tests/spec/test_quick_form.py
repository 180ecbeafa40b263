"""The quick form of a circuit's questions: fewer prompts, and never a verdict."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from audit_core import Actor, Auditor, Role, RunLog, parse_components, tokenise
from audit_core.assessment import (
    QUICK_PROMPTS,
    Assessment,
    ask_quickly,
    has_quick_form,
    sort_findings,
    take_quick,
)
from audit_core.audits.curve import QUICK_ORDERS, RANDOM_ORDERS, CurveRequest
from audit_core.circuits import CircuitQuestion, list_quick_questions
from audit_core.prompts import take_split
from audit_core.stats.estimates import MIN_PROMPTS
from audit_core.subjects import find_planted

pytestmark = pytest.mark.usefixtures("short_draws")


@pytest.fixture(scope="module")
def assessment(load_planted: Callable[[str], Any]) -> tuple[Any, Assessment]:
    subject, planted = load_planted("planted-induction"), find_planted("planted-induction")
    assert planted is not None
    prompts = planted.find_task("query").make(12, 0)
    explored, judged = (tokenise(take_split(prompts, exploratory=e), subject.tokenizer) for e in (True, False))
    return subject, Assessment(CircuitQuestion(judged, judged, parse_components("L0.H0 L1.H0")), explored)


def test_it_has_fewer_prompts_than_any_verdict_needs(assessment: tuple[Any, Assessment]) -> None:
    _, full = assessment
    assert has_quick_form(full)
    assert len(take_quick(full).circuit.prompts) == QUICK_PROMPTS < MIN_PROMPTS
    assert not has_quick_form(take_quick(full)), "the quick form has none of its own"


def test_the_judge_gives_no_verdict_on_its_prompts(assessment: tuple[Any, Assessment], tmp_path: Any) -> None:
    """In full the same claim is supported: it is the number of prompts that withholds the verdict."""
    subject, full = assessment
    auditor, me = Auditor(subject, RunLog(tmp_path)), Actor("test", "test")
    quick = auditor.run("claim_test", take_quick(full).ask_verdict(Role.NECESSARY), actor=me).result
    assert (quick.state, quick.reason) == ("inconclusive", "low_power")
    assert "relies on" not in quick.sentence
    assert quick.null is None or quick.null.p is None, "no draws"
    found = auditor.run("claim_test", full.ask_verdict(Role.NECESSARY), actor=me).result
    assert found.state == "supported"


@pytest.mark.parametrize("audit", list_quick_questions())
def test_every_quick_question_runs(assessment: tuple[Any, Assessment], audit: str, tmp_path: Any) -> None:
    subject, full = assessment
    request = ask_quickly(full, audit)
    result = Auditor(subject, RunLog(tmp_path)).run(audit, request, actor=Actor("test", "test")).result
    assert len(request.prompts) == QUICK_PROMPTS
    if audit != "paths":
        sort_findings(full.circuit.components, {audit: result}, {})


def test_the_curve_has_fewer_random_orders_and_the_full_request_keeps_its_key(
    assessment: tuple[Any, Assessment],
) -> None:
    _, full = assessment
    quick, asked = ask_quickly(full, "curve"), full.ask("curve")
    assert isinstance(asked, CurveRequest)
    assert (quick.random_orders, asked.random_orders) == (QUICK_ORDERS, RANDOM_ORDERS)
    assert asked.describe()["random_orders"] == RANDOM_ORDERS
