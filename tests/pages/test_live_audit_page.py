"""The live audit opened by Streamlit's own test driver: what needs no model must be there before one is."""

import time
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]


def open_page(*, tab: str = "", **query: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "ui/shell/main.py"), default_timeout=60)
    if tab:
        test.session_state["live-tabs"] = tab
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


def wait_for_refusal(test: AppTest) -> None:
    """The model is looked for in a thread of its own."""
    deadline = time.monotonic() + 60
    while not test.error and time.monotonic() < deadline:
        time.sleep(0.05)
        test.run()


def refused(test: AppTest) -> str:
    return " ".join(error.value for error in test.error)


def test_a_model_that_does_not_exist_is_refused_with_a_remedy(home: Path) -> None:
    test = open_page(model="./no-such-folder")
    test.button(key="load-model").click().run()
    wait_for_refusal(test)
    assert not test.exception
    assert "What to do" in refused(test).replace("\\", "")


def test_prompts_are_on_the_page_before_any_model(home: Path) -> None:
    test = open_page(model="./no-such-folder")
    assert not test.exception
    assert test.title[0].value == "Live audit"
    assert any("Mary" in text.value for text in test.markdown)
    assert test.selectbox(key="set").value == "indirect_object"


def test_a_link_with_nonsense_opens_a_page_that_works(home: Path) -> None:
    test = open_page(
        model="./no-such-folder", set="no such set", prompt="<script>", scope="?", c="L9", ab="?", f="x", u="?", src="?"
    )
    assert not test.exception
    assert test.selectbox(key="set").value in test.selectbox(key="set").options or test.selectbox(key="set").value


def test_each_shipped_set_opens(home: Path) -> None:
    from audit_core import list_prompt_sets

    assert len(list_prompt_sets()) == 6
    for key in list_prompt_sets():
        test = open_page(model="./no-such-folder", set=key)
        assert not test.exception, key
        assert test.selectbox(key="set").value == key


def test_a_server_that_the_network_can_reach_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import streamlit as st

    monkeypatch.setenv("AUDIT_HOME", str(tmp_path))
    monkeypatch.setattr(
        st, "get_option", lambda name, real=st.get_option: "0.0.0.0" if name == "server.address" else real(name)
    )
    test = open_page()
    assert "without sign" in refused(test)
    assert [one.value for one in test.title] == ["Assay"], "no page is run"
