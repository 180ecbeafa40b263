"""The circuit page opened by Streamlit's own test driver: prompts and refusals are there before any model."""

from pathlib import Path

from streamlit.testing.v1 import AppTest

from tests.pages.test_live_audit_page import ROOT, refused, wait_for_refusal


def open_circuit(**query: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "pages/circuit.py"), default_timeout=60)
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


def test_prompts_are_on_the_page_before_any_model(home: Path) -> None:
    test = open_circuit(model="./no-such-folder")
    assert not test.exception
    assert test.title[0].value == "Circuit"
    assert "scope" not in test.session_state
    assert test.selectbox(key="prompt").label == "Prompt to draw"


def test_a_model_that_does_not_exist_is_refused_with_a_remedy(home: Path) -> None:
    test = open_circuit(model="./no-such-folder", method="?", ab="scale", c="nonsense", beside="<b>", size="x", u="?")
    test.button(key="load-model").click().run()
    wait_for_refusal(test)
    assert not test.exception
    assert "What to do" in refused(test).replace("\\", "")
