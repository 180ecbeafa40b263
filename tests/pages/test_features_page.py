"""The page Features: the recorded answer, the browser of the shipped dictionary, labels, and a planted model measured at once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from audit_core.errors import Refused
from audit_core.features import find_dictionary
from audit_core.probes import read_shipped
from audit_core.recorded import load_recorded
from audit_core.store import FeatureLabels, LabelEvidence, note_opened
from tests.pages.test_dead_hook_on_the_page import wait_for
from tests.pages.test_robustness_page import open_page, read
from ui.features import browser
from ui.features.labels import name_state, run_test
from ui.features.recorded import find_recorded
from ui.flow.model_pool import POOL

SHIPPED = find_dictionary("default-layer-12")


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ui.flow.model_question.settle", lambda name: False)


def test_a_first_visit_shows_the_recorded_answer_and_the_browser_before_the_model_is_loaded(
    home: Path, unloaded: None
) -> None:
    test = open_page("features")
    assert not test.exception
    assert load_recorded("features")[0].result.finding in read(test)
    assert "recorded" in read(test)
    assert len(test.get("plotly_chart")) == 2, "label and effect are two figures"
    assert "Largest values" in read(test)


@pytest.mark.parametrize(("tab", "show"), [("evaluation", "show_evaluation"), ("versions", "show_versions")])
def test_a_tab_shows_what_is_recorded_of_the_dictionary_and_what_to_do_where_nothing_is(tab: str, show: str) -> None:
    """Both are drawn alone: the page's first visit is opened above."""
    record = load_recorded(f"feature_{tab}")[0]
    assert record.is_of("default")
    assert record.result.dictionary == SHIPPED.sha256
    waits = "when the model is loaded" if tab == "evaluation" else "Name the other version"
    for model, dictionary, wanted in (
        ("default", SHIPPED.name, record.result.finding),
        ("planted-strict", "planted-strict", waits),
    ):
        test = AppTest.from_string(
            "import streamlit as st\nfrom audit_core.features import find_dictionary\n"
            f"from ui.features import {tab}\nst.session_state.setdefault('other', '')\n"
            f"{tab}.{show}({model!r}, find_dictionary({dictionary!r}), None)"
        ).run()
        assert not test.exception
        assert wanted in read(test) + " ".join(one.value for one in test.info)
        assert len(test.get("plotly_chart")) == (model == "default")


def test_the_record_is_of_this_version_this_dictionary_and_the_shipped_file() -> None:
    record = load_recorded("features")[0]
    assert record.is_of("default")
    assert record.result.dictionary_sha256 == SHIPPED.sha256
    assert record.result.file_sha256 == hashlib.sha256(read_shipped()).hexdigest()
    assert all(row.zeroed is not None and row.auroc is not None for row in record.result.rows)


def test_a_search_finds_by_word_and_a_label_of_a_person_is_shown_as_untested_or_tested(
    home: Path, unloaded: None
) -> None:
    labels = FeatureLabels(home)
    labels.write(SHIPPED.sha256, "L12.F7", "<b>years</b> [x](http://a)", by="anna", based_on=0, test=None)
    tested = LabelEvidence("plausible label", 0.9, 0.8, 1.0, 40, 40, "0" * 64)
    labels.write(SHIPPED.sha256, "L12.F8", "years", by="anna", based_on=0, test=tested)
    test = open_page("features", by="label", words="years")
    assert not test.exception
    found = next(frame.value for frame in test.dataframe if "test of the label" in frame.value)
    assert list(found["feature"]) == ["L12.F7", "L12.F8"]
    assert list(found["test of the label"]) == ["untested", "plausible label, AUROC 0.90 [0.80, 1.00], n = 40"]
    assert "Version 1" in read(test)
    assert not [one.value for one in test.markdown if "<b>" in one.value.replace("\\<", "")], "labels are escaped"
    test.text_input(key="words").set_value("zzzz").run()
    assert "No feature was found" in read(test)


def test_searches_that_read_the_model_wait_for_it(home: Path, unloaded: None) -> None:
    for by in ("text", "effect"):
        test = open_page("features", by=by, words="The years")
        assert not test.exception
        assert "when the model is loaded" in " ".join(one.value for one in test.info)


def test_a_planted_model_is_measured_at_once_and_compared_with_another_by_a_job(
    home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = load_planted("planted-strict")
    monkeypatch.setattr("ui.flow.model_pool.open_subject", lambda name, on_progress: subject)
    note_opened(home, "planted-strict")
    test = open_page("features", model="planted-strict", other="planted-induction")
    wait_for(test, lambda t: bool(t.get("plotly_chart")) or bool(t.exception) or bool(t.error))
    assert not test.exception
    assert not test.error
    assert "L1.F0: plausible label, effect" in read(test)
    test.session_state["features-tabs"] = "Two versions"
    test.run()
    test.button(key="start-job-feature_versions").click().run()
    wait_for(test, lambda t: "The stream that they read is the same in both" in read(t))
    # Another test may have loaded this model: its log is in the data directory of then.
    auditor = POOL.auditor("planted-strict")
    assert auditor is not None
    run = [one for one in auditor.log.export() if one["kind"] == "feature_versions"][-1]
    assert run["outcome"] == "done"
    assert run["request"]["dictionary_sha256"] == find_dictionary("planted-strict").sha256


def test_a_baseline_is_added_by_a_job_and_chosen(
    home: Path, load_planted: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Loaded:
        subject = load_planted("planted-strict")

    def draw(auditor) -> None:  # type: ignore[no-untyped-def]
        import streamlit as st

        from audit_core.features import find_dictionary
        from ui.features import form, own

        st.session_state.setdefault("model", "planted-strict")
        if (made := st.session_state.pop(own.MADE, None)) is not None:
            st.session_state.dictionary = made
        form.ask_dictionary("planted-strict")
        own.show_adding("planted-strict", auditor, find_dictionary("planted-strict"))

    test = AppTest.from_function(draw, args=(Loaded(),), default_timeout=60).run()
    assert not test.exception
    assert test.selectbox(key="dictionary").options == ["planted-strict: layer 1, written by hand"]
    test.segmented_control(key="dictionary-way").set_value("Add a baseline").run()
    test.text_input(key="dictionary-name").set_value("planted-strict").run()
    test.button(key="dictionary-add").click().run()
    assert "The name 'planted-strict'" in " ".join(one.value for one in test.error).replace("\\", "")
    test.text_input(key="dictionary-name").set_value("noise").run()
    test.button(key="dictionary-add").click().run()
    wait_for(test, lambda t: t.session_state.dictionary == "noise")
    assert "noise: layer 1, random directions" in test.selectbox(key="dictionary").options


def test_a_label_is_tested_on_the_texts_of_the_form(load_planted: Callable[[str], Any]) -> None:
    class Loaded:
        subject = load_planted("planted-strict")

    planted = find_dictionary("planted-strict")
    rows = [f"{letters} =" for letters in ("A B A A A", "A A B A A", "A A A B A", "A A A A B", "B A A A A")]
    ours = "\n".join(row.replace(" =", f" {more} =") for row in rows for more in ("A A", "A B", "B A"))
    others = "\n".join(row.translate(str.maketrans("AB", "BA")) for row in ours.splitlines())
    found = run_test(planted, 0, "the majority is A", ours, others, Loaded())  # type: ignore[arg-type]
    assert found is not None
    assert (found.verdict, found.auroc, found.n) == ("plausible label", 1.0, 30)
    wrong = run_test(planted, 0, "the majority is B", others, ours, Loaded())  # type: ignore[arg-type]
    assert wrong is not None
    assert wrong.verdict == "label not supported"
    assert run_test(planted, 0, "mine", " \n", "", None) is None
    assert name_state(None) == "no label"
    for texts in ((ours, ours), (ours, "")):
        with pytest.raises(Refused):
            run_test(planted, 0, "mine", *texts, Loaded())  # type: ignore[arg-type]
    with pytest.raises(Refused, match="not loaded"):
        run_test(planted, 0, "mine", ours, others, None)


def test_an_example_is_escaped_and_marked() -> None:
    from audit_core.features import Shown

    drawn = browser._mark(Shown("<script> [a](b)\n", " *x]", "`y`", 1.5))
    assert "<script>" not in drawn.replace("\\<", "")
    assert ":violet-background[**\\*x\\]**]" in drawn
    assert "\n" not in drawn


def test_a_record_is_of_the_chosen_dictionary_and_of_no_other() -> None:
    for audit in ("feature_evaluation", "feature_versions"):
        assert find_recorded(audit, "default", SHIPPED) is not None
        assert find_recorded(audit, "default", replace(SHIPPED, sha256="0" * 64)) is None
        assert find_recorded(audit, "planted-strict", SHIPPED) is None
