"""Executing an audit and recording it are two things: the first writes nothing, and needs subject and request alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy.additive import AdditiveSubject, pair_up
from toy.requests import list_examples

from audit_core.capability import HEADS, PATHS, ROUTING
from audit_core.circuits import circuit_search
from audit_core.circuits.circuit_search import KnownOrders
from audit_core.component import head
from audit_core.errors import Cancelled, NotMeasured
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.run import Actor, Auditor
from audit_core.store import RunLog

ME = Actor("me", "s")


@pytest.fixture
def subject() -> AdditiveSubject:
    return AdditiveSubject({head(0, 0): 3.0, head(1, 2): -1.0})


@pytest.fixture
def prompts(subject: AdditiveSubject) -> TokenisedPrompts:
    return pair_up(subject)


def test_an_execution_gives_the_result_of_a_run_and_logs_nothing(
    subject: AdditiveSubject, prompts: TokenisedPrompts, tmp_path: Path
) -> None:
    auditor, request = Auditor(subject, RunLog(tmp_path)), list_examples(prompts)["recomposition"][0]
    result = auditor.execute("recomposition", request)
    assert auditor.log.list_runs() == ()
    assert auditor.run("recomposition", request, actor=ME).result == result
    assert [run.kind for run in auditor.log.list_runs()] == ["recomposition"]


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (Cancelled("enough"), "cancelled", "cancelled"),
        (NotMeasured("unstable", "why"), "not_measured", "unstable"),
        (ValueError("a slip"), "failed", "ValueError"),
        (KeyboardInterrupt(), "cancelled", "cancelled"),
    ],
)
def test_a_run_records_how_its_execution_ended(
    error: BaseException, outcome: str, reason: str, subject: AdditiveSubject, prompts: TokenisedPrompts, tmp_path: Path
) -> None:
    auditor, request = Auditor(subject, RunLog(tmp_path)), list_examples(prompts)["sweep"][0]

    def fail(done: int, total: int) -> None:
        raise error

    with pytest.raises(type(error)):
        auditor.run("sweep", request, actor=ME, on_progress=fail)
    (run,) = auditor.log.list_runs()
    assert (run.outcome, run.reason) == (outcome, reason)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the methods that searched, in turn."""
    made: list[str] = []
    get_method: Callable[[str], Any] = circuit_search._get_method

    class Counted:
        def __init__(self, name: str) -> None:
            self.name, self.method = name, get_method(name)

        def order(self, *given: Any, **more: Any) -> Any:
            made.append(self.name)
            return self.method.order(*given, **more)

        def count_work(self, *given: Any) -> int:
            return int(self.method.count_work(*given))

    monkeypatch.setattr(circuit_search, "_get_method", Counted)
    return made


def test_audits_of_one_auditor_share_a_search_and_those_of_another_do_not(
    searches: list[str], subject: AdditiveSubject, prompts: TokenisedPrompts, tmp_path: Path
) -> None:
    """A search that outlived its auditor would be a memory that no one owns."""
    auditor, requests = Auditor(subject, RunLog(tmp_path)), list_examples(prompts)
    auditor.execute("rival", requests["rival"][0])
    auditor.execute("curve", requests["curve"][0].__class__(**vars(requests["rival"][0])))
    assert searches == ["exact"]
    Auditor(subject, RunLog(tmp_path)).execute("rival", requests["rival"][0])
    assert searches == ["exact", "exact"]


def test_nothing_is_lent_after_a_run(subject: AdditiveSubject) -> None:
    with KnownOrders().lend():
        assert circuit_search._lent.get() is not None
    assert circuit_search._lent.get() is None


def test_a_demand_says_what_a_subject_lacks(subject: AdditiveSubject) -> None:
    assert HEADS.is_met(subject)
    assert not PATHS.is_met(subject)
    assert "routing" in ROUTING.explain_missing(subject)
