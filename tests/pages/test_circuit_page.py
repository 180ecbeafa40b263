"""The circuit page opened by Streamlit's own test driver: recorded answers before any model, live ones with a planted one."""

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from audit_core import Auditor
from audit_core.shipped import list_circuits
from audit_core.store import note_opened
from tests.pages.test_live_audit_page import ROOT, refused, wait_for_refusal
from ui.circuit import questions
from ui.circuit.known import KnownAnswers
from ui.flow.services import POOL

RECORDED = {"model": "default", "set": "indirect_object", "c": "L20.H0, L23.H3, L29.H1"}
PLANTED = {"model": "planted-induction", "set": "planted-query", "ab": "zero", "c": "L0.H0, L1.H0"}


def open_circuit(**query: str) -> AppTest:
    test = AppTest.from_file(str(ROOT / "pages/circuit.py"), default_timeout=60)
    for key, value in query.items():
        test.query_params[key] = value
    return test.run()


def texts(test: AppTest) -> str:
    parts = [*test.markdown, *test.info, *test.error, *test.header, *test.subheader]
    return " ".join(str(part.value) for part in parts).replace("\\", "")


def wait_for(test: AppTest, is_there: Callable[[AppTest], bool]) -> None:
    deadline = time.monotonic() + 90
    while not is_there(test) and time.monotonic() < deadline:
        time.sleep(0.2)
        test.run()
    assert is_there(test), texts(test)[-2000:]


@pytest.fixture
def not_loading(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page as it is before its model is there, for as long as the test lasts."""
    monkeypatch.setattr("ui.flow.model_question.settle", lambda name: False)


@pytest.fixture
def planted(home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    subject = load_planted("planted-induction")
    monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
    note_opened(home, "planted-induction")


def open_planted(**more: str) -> AppTest:
    test = open_circuit(**PLANTED | more)
    wait_for(test, lambda t: any(s.key == "circuit_parts" for s in t.multiselect))
    return test


def test_prompts_are_on_the_page_before_any_model(home: Path) -> None:
    test = open_circuit(model="./no-such-folder")
    assert not test.exception
    assert test.title[0].value == "Circuit"
    assert "scope" not in test.session_state
    assert test.selectbox(key="prompt").label == "Drawn prompt"


def test_a_model_that_does_not_exist_is_refused_with_a_remedy(home: Path) -> None:
    test = open_circuit(model="./no-such-folder", method="?", ab="scale", c="nonsense", beside="<b>", size="x", u="?")
    test.button(key="load-model").click().run()
    wait_for_refusal(test)
    assert not test.exception
    assert "What to do" in refused(test).replace("\\", "")


def test_a_first_visit_opens_on_recorded_answers_before_the_model_is_loaded(not_loading: None) -> None:
    test = open_circuit()
    assert not test.exception
    shown = texts(test)
    assert "Keeping only L20.H0, L23.H3, L29.H1 keeps 86 % [76, 94] of the effect." in shown
    assert "recorded on" in shown
    assert "**:material/add_circle: For (1)**" in shown
    assert "### :material/check_circle: Supported" in shown
    assert len(test.get("plotly_chart")) == 3, "the graph, the verdict against its threshold, and every template"
    assert not [b for b in test.button if str(b.key).startswith("start-")]


@pytest.mark.parametrize(
    "other", [{"c": "L20.H0, L23.H3"}, {"ab": "mean"}, {"u": "heads+mlps"}, {"set": "induction"}, {"form": "chat"}, {"model": "./other"}]
)  # fmt: skip
def test_no_recorded_answer_is_shown_for_another_choice(not_loading: None, other: dict[str, str]) -> None:
    shown = texts(open_circuit(**RECORDED | other))
    assert "Keeping only" not in shown
    assert "recorded on" not in shown


def test_quick_answers_are_exploratory_and_give_no_verdict(not_loading: None) -> None:
    together = next(c for c in list_circuits() if c.id == "indirect_object-acts-together")
    five = ", ".join(map(str, together.components))
    shown = texts(open_circuit(**RECORDED | {"c": five}))
    assert "Keeping only these 5 components keeps" in shown
    assert "exploratory: quick form, 16 prompts" in shown
    assert "For (0)" in shown
    assert "Against (0)" in shown
    assert "No verdict yet" in shown
    assert "### :material/" not in shown


def test_the_numbers_of_another_model_under_the_same_name_are_not_shown(planted: None) -> None:
    """A record is of exactly one model: once the model is loaded, its digest decides."""
    assert "recorded on" not in texts(open_planted())


def test_a_circuit_with_an_mlp_offers_no_universe_without_mlps(planted: None) -> None:
    test = open_planted(c="L1.H0, L1.MLP", u="heads")
    assert list(test.selectbox(key="u").options) == ["all other heads and MLPs"]


def test_without_a_circuit_the_search_is_open_below(planted: None) -> None:
    test = open_planted(c="")
    assert "search for one below" in texts(test)
    assert [b.key for b in test.button if b.key == "start-job-discover"]


def test_everything_is_answered_by_one_button(planted: None) -> None:
    test = open_planted()
    assert "Not measured: this circuit" in texts(test)
    test.button(key="start-quick").click().run()
    wait_for(test, lambda t: not any(b.key in ("start-quick", "cancel-circuit") for b in t.button))
    shown = texts(test)
    assert not test.exception
    assert "Keeping only L0.H0, L1.H0 keeps" in shown
    assert "exploratory: quick form, 16 prompts" in shown
    assert "No verdict yet" in shown
    assert [b.key for b in test.button if b.key == "start-all"]


def test_cancelled_questions_leave_no_number(planted: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The job waits at a gate, so that it runs when Cancel is pressed, on a slow machine as on a fast one."""
    begun, gate, run = threading.Event(), threading.Event(), Auditor.run

    def wait_at_gate(auditor: Auditor, audit: str, request: Any, **options: Any) -> Any:
        begun.set()
        assert gate.wait(60)
        return run(auditor, audit, request, **options)

    monkeypatch.setattr(Auditor, "run", wait_at_gate)
    # Another circuit than the other tests': the pool keeps a model with the log in which their answers are.
    test = open_planted(c="L1.H1, L1.H2")
    test.button(key="start-all").click().run()
    assert begun.wait(60)
    test.button(key="cancel-circuit").click().run()
    gate.set()
    wait_for(test, lambda t: "Cancelled. Its results are discarded." in texts(t))
    assert not [b for b in test.button if b.key == "cancel-circuit"]
    assert "Keeping only" not in texts(test)
    assert "### :material/" not in texts(test)
    assert [b.key for b in test.button if b.key == "start-all"], "it can be asked again"


def test_a_question_that_ends_while_the_page_is_drawn_is_shown_in_the_same_run(
    planted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers are read first and the jobs last: one that ended in between must not be missed by both."""
    test = open_planted(c="L1.H2, L1.H3")
    test.button(key="start-paths-quick").click().run()
    wait_for(test, lambda t: bool(t.get("plotly_chart")))
    find_known, calls = questions.find_known, []

    def find_before_the_end(auditor: Auditor, asked: Any) -> Any:
        calls.append(auditor)
        return KnownAnswers({}) if len(calls) == 1 else find_known(auditor, asked)

    monkeypatch.setattr(questions, "find_known", find_before_the_end)
    test.run()
    assert len(calls) == 2
    assert test.get("plotly_chart")


def test_a_model_that_is_loaded_while_its_record_is_drawn_gives_one_page(
    planted: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_planted()
    found, calls = POOL.auditor, []

    def find_late(name: str) -> Auditor | None:
        calls.append(name)
        return None if len(calls) == 1 else found(name)

    def show(*_: Any) -> bool:
        st.container(key="circuit-answer")
        return True

    monkeypatch.setattr(POOL, "auditor", find_late)
    monkeypatch.setattr("ui.circuit.view.show_while_loading", show)
    test = open_circuit(**PLANTED)
    assert not test.exception
    assert len(calls) > 2
    assert test.multiselect(key="circuit_parts").value == ["L0.H0", "L1.H0"]


def test_an_attribution_graph_becomes_the_circuit_and_its_weights_stay_estimates(planted: None) -> None:
    """Two heads are mapped, a transcoder feature is not; the weight is shown as its author's estimate. Ours goes out in the same form."""
    node = {"ctx_idx": 0, "jsNodeId": "n", "clerp": ""}
    nodes = [
        node | {"node_id": "a", "layer": 0, "feature": 2, "feature_type": "attention head"},
        node | {"node_id": "b", "layer": 1, "feature": 1, "feature_type": "attention head"},
        node | {"node_id": "1_7_0", "layer": "1", "feature": 36, "feature_type": "cross layer transcoder"},
    ]
    metadata = {"slug": "found", "scan": "elsewhere", "prompt": "x", "prompt_tokens": ["x"]}
    document = {
        "metadata": metadata,
        "qParams": {},
        "nodes": nodes,
        "links": [{"source": "a", "target": "b", "weight": 0.75}],
    }
    test = open_planted()
    test.file_uploader(key="circuit-file").set_value(
        ("g.json", json.dumps(document).encode(), "application/json")
    ).run()
    assert not test.exception
    assert "proposes 2 heads and MLPs" in texts(test).replace("**", "")
    assert "Not mapped: 1 node." in texts(test).replace("**", "")
    shown = [frame.value.values.tolist() for frame in test.dataframe]
    assert [["L0.H2→L1.H1", 0.75, "estimated"]] in shown
    next(button for button in test.button if button.label == "Use this circuit").click().run()
    assert test.session_state.c == "L0.H2, L1.H1"


def test_measured_connections_are_offered_as_a_graph(not_loading: None) -> None:
    test = open_circuit()
    assert [button.label for button in test.get("download_button") if button.key == "download-graph"] == [
        "Graph for other tools"
    ]
