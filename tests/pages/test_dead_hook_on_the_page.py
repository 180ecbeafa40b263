"""A hook made dead on purpose, met by a person: the page says that a control failed, and shows no number."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.component import Kind
from audit_core.store import note_opened
from tests.pages.test_live_audit_page import open_page
from ui.flow.services import jobs

LINK = {"model": "planted-strict", "set": "planted-query", "scope": "confirmatory"}


def wait_for(test: AppTest, is_there: Callable[[AppTest], bool]) -> None:
    """Run the page again once its jobs have ended, until what is waited for is there."""
    deadline = time.monotonic() + 90
    while not is_there(test) and time.monotonic() < deadline:
        time.sleep(0.2)
        while any(job.is_active for job in jobs()._jobs.values()) and time.monotonic() < deadline:
            time.sleep(0.05)
        test.run()
    assert is_there(test), [e.value for e in test.error]


def judge(test: AppTest) -> None:
    wait_for(test, lambda t: any(b.key == "start-job-claim_test" for b in t.button))
    test.button(key="start-job-claim_test").click().run()


def texts(test: AppTest) -> str:
    return " ".join(str(part.value) for part in [*test.markdown, *test.error, *test.header, *test.subheader])


@pytest.mark.parametrize("kind, part", [(Kind.HEAD, "L1.H0"), (Kind.MLP, "L1.MLP")])
def test_a_dead_hook_ends_as_a_failed_control_without_a_number(
    kind: Kind, part: str, home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_planted("planted-strict")
    point = subject.runner.model.points[kind, 1]
    monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
    note_opened(home, "planted-strict")
    with monkeypatch.context() as patch:
        patch.setattr(point, "add_hook", _ignored(point.add_hook))
        test = open_page(tab="Verdict", **LINK, c=part, u="heads+mlps")
        judge(test)
        wait_for(
            test, lambda t: any("this hook does not work" in e.value or "changed no logit" in e.value for e in t.error)
        )
        assert not test.exception
        assert "### :material/" not in texts(test), "no state stands where nothing was measured"
        assert "relies on" not in texts(test)
    # Once the hook lives, the same page judges the same claim.
    test.button(key="again-job-claim_test").click().run()
    judge(test)
    wait_for(test, lambda t: "### :material/" in texts(t))


def _ignored(original: Callable[..., Any]) -> Callable[..., Any]:
    """The hook is called and what it returns is thrown away: the silent no-op."""

    def add(hook: Callable[..., Any], **options: Any) -> Any:
        def drop(value: Any, hook: Any, wrapped: Callable[..., Any] = hook) -> None:
            wrapped(value, hook=hook)

        return original(drop, **options)

    return add
