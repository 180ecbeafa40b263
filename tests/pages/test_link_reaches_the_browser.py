"""A link's values reach widgets however many runs a slow browser skips."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from ui.shell import link


def draw() -> None:
    import streamlit as st

    from ui.shell import link

    link.enter("Test")
    link.seed((link.Field("model", "first"),))
    st.selectbox("Model", ["first", "second"], key="model")
    link.publish({"model": st.session_state.model})


def is_sent(page: AppTest) -> bool:
    """Whether this run tells the browser the widget's value, or leaves it to what the browser has."""
    return bool(page.selectbox(key="model").proto.set_value)


def test_each_run_of_the_first_seconds_sends_the_value_again_and_later_ones_leave_it_to_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seconds = [100.0]
    monkeypatch.setattr(link, "time", SimpleNamespace(monotonic=lambda: seconds[0]))
    page = AppTest.from_function(draw)
    page.query_params["model"] = "second"
    for seconds[0] in (100.0, 100.1, 100.2):
        page.run()
        assert page.selectbox(key="model").value == "second"
        assert is_sent(page)
    page.selectbox(key="model").select("first").run()
    assert page.selectbox(key="model").value == "first"
    assert page.query_params["model"] == "first"
    seconds[0] += link.REPEATED_S
    page.run()
    assert not is_sent(page)
    assert page.selectbox(key="model").value == "first"
