"""The panel of a job on the page: what follows it stays, whenever the browser asks for its progress."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.local_script_runner import LocalScriptRunner

from audit_core.jobs import JobManager
from ui.flow.model_pool import ModelStatus

Drawn = Callable[[AppTest], list[tuple[tuple[int, ...], str]]]


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[JobManager, str]]:
    """A job that waits until it is cancelled."""
    made, begun = JobManager(), threading.Event()

    def work(report: Any) -> None:
        while True:
            begun.set()
            report(0, 1)
            threading.Event().wait(0.01)

    monkeypatch.setattr("ui.flow.job_panel.jobs", lambda: made)
    monkeypatch.setattr("ui.flow.job_panel.current_actor", lambda: SimpleNamespace(session="me"))
    monkeypatch.setattr("ui.flow.job_panel.cancel_job", lambda job: made.cancel(job, owner="me"))
    monkeypatch.setattr("ui.flow.job_panel.has_changed", lambda: False)
    job = made.submit("key", "Work", work, owner="me")
    assert begun.wait(30)
    yield made, job
    made.shut_down()


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Path of everything that a run draws, with the fragment that drew it."""
    seen: list[Any] = []
    read = LocalScriptRunner.forward_msgs
    monkeypatch.setattr(LocalScriptRunner, "forward_msgs", lambda runner: seen.append(found := read(runner)) or found)

    def run(test: AppTest) -> list[tuple[tuple[int, ...], str]]:
        test.run()
        deltas = [message for message in seen[-1] if message.WhichOneof("type") == "delta"]
        return [(tuple(one.metadata.delta_path), one.delta.fragment_id) for one in deltas]

    return run


def page(job: str, title: str = "") -> None:
    import streamlit as st

    from ui.flow.job_panel import job_panel, job_strip

    st.markdown("before")
    if title:
        job_strip({title: job}, key="strip")
    else:
        job_panel(job)
    st.markdown("after")


@pytest.mark.parametrize("title", ["", "Work"])
def test_a_polled_fragment_is_alone_in_its_container(manager: tuple[JobManager, str], drawn: Drawn, title: str) -> None:
    """Streamlit may draw a poll's first element at the place of what follows it in the same container."""
    made, job = manager
    test = AppTest.from_function(page, kwargs={"job": job, "title": title}, default_timeout=30)
    found = drawn(test)
    place = min(path for path, fragment in found if fragment)
    beside = [path for path, fragment in found if not fragment and path[:-1] == place[:-1]]
    assert beside == [], "the fragment is alone in its container"
    made.cancel(job, owner="me")
    assert {fragment for _, fragment in drawn(test)} == {""}, "an ended job has no fragment that a late poll could run"
    assert [one.value for one in test.markdown] == ["before", "after"]


def loading_page() -> None:
    import streamlit as st

    from ui.flow.answers import wait_for_model

    st.markdown("before")
    wait_for_model("default")


def test_the_poll_of_a_loading_model_is_alone_in_its_container(monkeypatch: pytest.MonkeyPatch, drawn: Drawn) -> None:
    loading = SimpleNamespace(auditor=lambda name: None, look=lambda name: ModelStatus(name, "loading", 1, 2))
    monkeypatch.setattr("ui.flow.services.POOL", loading)
    monkeypatch.setattr("ui.flow.answers.auth.has_changed", lambda: False)
    test = AppTest.from_function(loading_page, default_timeout=30)
    found = drawn(test)
    place = min(path for path, fragment in found if fragment)
    assert [path for path, fragment in found if not fragment and path[:-1] == place[:-1]] == []
    assert [one.value for one in test.markdown] == ["before", "The model is loading. The page continues automatically."]
