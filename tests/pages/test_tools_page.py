"""The page Tools: the recorded answer of the default model, hostile text, and a planted model."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from audit_core import open_subject
from audit_core.audits.tools import PLUGIN
from audit_core.data_folder import DATA
from audit_core.prompts.alignment import tokenise
from audit_core.recorded import load_recorded
from audit_core.subject import no_progress
from audit_core.subjects.planted_tools import make_requests
from audit_core.tools import ToolsRequest
from tests.pages.test_robustness_page import open_page, read
from ui.flow.actions import load_own

HOSTILE = "<img src=x onerror=alert(1)> **bold** [link](javascript:alert(1))"


def test_a_first_visit_shows_the_recorded_verdicts_before_the_model_is_loaded(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.flow.model_question.settle", lambda name: False)
    test = open_page("tools")
    assert not test.exception
    (record,) = load_recorded("tools")
    assert record.result.finding in read(test)
    assert "The program, not the model, filled the arguments" in read(test)
    assert "recorded" in read(test)
    assert len(test.get("plotly_chart")) == 2


def test_the_record_is_of_this_version_and_of_the_shipped_requests() -> None:
    """A stale record would silently leave the first screen empty."""
    (record,) = load_recorded("tools")
    assert record.is_of("default")
    assert not record.is_of("planted-induction")
    assert not replace(record, version=record.version + 1).is_of("default")
    rows = (DATA / "tools" / "requests.csv").read_text().splitlines()[1:]
    shown = {row.id: row.request for row in record.result.requests}
    assert shown.items() <= dict(row.split(",", 1) for row in rows).items()


def test_hostile_text_in_a_result_is_drawn_as_text(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, descriptions and requests of a file are others' text."""
    (record,) = load_recorded("tools")
    rows = tuple(replace(row, request=HOSTILE, result=HOSTILE, shown=HOSTILE) for row in record.result.requests)
    bad = replace(record.result, requests=rows, names=(HOSTILE,) * 3, descriptions=(HOSTILE,) * 3, finding=HOSTILE)

    def draw(bad):  # type: ignore[no-untyped-def]  # only its source reaches the page
        from ui.tools import show

        show.show_answer(bad, "causal")
        show.show_panes(bad)
        show.show_requests(bad)
        show.show_choices(bad)
        show.show_edits(bad)
        show.show_conditions(bad)

    from streamlit.testing.v1 import AppTest

    test = AppTest.from_function(draw, kwargs={"bad": bad}, default_timeout=60).run()
    assert not test.exception
    drawn = [text.value for text in test.markdown]
    assert any("onerror" in text for text in drawn)
    for text in drawn:
        assert not re.search(r"(?<!\\)(<img|\[link|\*\*bold)", text), text


def test_a_stored_result_reads_back_as_it_was() -> None:
    from pydantic import TypeAdapter

    subject = open_subject("planted-tools-follower")
    pool = ToolsRequest(tokenise(make_requests(4, 0), subject.tokenizer), most_requests=3)
    found = PLUGIN.run(subject, pool, means=None, on_progress=no_progress)
    form = TypeAdapter(type(found))
    assert form.validate_python(json.loads(form.dump_json(found))) == found


def test_the_button_keeps_pairs_as_the_users_own_set_and_opens_the_sweep(home: Path) -> None:
    """Of the recorded default model: the page says first that it does not choose."""
    from streamlit.testing.v1 import AppTest

    subject = open_subject("planted-tools-follower")
    asked = [(one.id, one.clean[len("Request: ") : -len("\nTool:")]) for one in make_requests(2, 0).prompts]
    (record,) = load_recorded("tools")
    rows = tuple(replace(record.result.requests[0], id=row, request=text) for row, text in asked)
    result = replace(record.result, requests=rows)

    def draw(subject, result):  # type: ignore[no-untyped-def]  # only its source reaches the page
        import streamlit as st

        from ui.shell import link
        from ui.tools import inside

        if inside.is_opening():
            st.markdown(f"The sweep opens. Kept: {link.read_kept('set')}")
            st.stop()
        inside.show_inside(subject, "planted-tools-follower", result)

    test = AppTest.from_function(draw, kwargs={"subject": subject, "result": result}, default_timeout=60).run()
    assert not test.exception
    assert any("not chosen clearly more often than by chance" in one.value for one in test.warning)
    assert any("--model planted-tools-follower" in one.value for one in test.code)
    test.button(key="tools-heads").click().run()
    assert not test.exception
    assert any("The sweep opens" in one.value for one in test.markdown)
    key = test.session_state["own_set"]
    # The sweep reads the set from what is kept for the next page.
    assert any("Kept: " + key in one.value for one in test.markdown)
    kept = load_own(key)
    assert len(kept) == len(asked)
    assert {one.template for one in kept.prompts} == {"as audited"}
