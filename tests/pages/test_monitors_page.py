"""The page Monitors: the shipped monitor on a first visit, a text scored with a planted model, and an alarm that is recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from toy.monitors import make

from audit_core import Auditor, open_subject
from audit_core.data_folder import DATA
from audit_core.monitors import (
    SHIPPED,
    Example,
    load_shipped_check,
    load_shipped_monitor,
    make_planted_texts,
    run_monitor,
    say_causal,
    say_check,
    say_comparison,
    say_overhead,
)
from audit_core.store import RunLog
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, list_events
from tests.pages.test_robustness_page import open_page, read
from ui.monitors.drawings import draw_rates, draw_tokens

NAME = next(iter(SHIPPED))
HOSTILE = "<b>![x](http://a)"


def test_a_first_visit_shows_the_shipped_monitor_beside_its_baselines_without_a_model(home: Path) -> None:
    test = open_page("monitors")
    assert not test.exception
    made = load_shipped_monitor(NAME)
    for said in (say_comparison(made), say_causal(made)):
        assert said.rstrip(".") in read(test)
    assert len(test.get("plotly_chart")) == 2, "rates and scores are two figures, and neither has the causal step"
    assert all(kind in read(test) for kind in ("observational", "causal", "recorded"))


def test_the_shipped_monitor_is_small_and_holds_its_rate_and_its_figure_shows_every_baseline() -> None:
    assert set(SHIPPED) == {path.stem for path in (DATA / "monitors").glob("*.safetensors")}
    assert sum(path.stat().st_size for path in (DATA / "monitors").glob("*") if path.is_file()) <= 300_000
    for name in SHIPPED:
        report = load_shipped_monitor(name).report
        low = report.found.false_alarms.low
        assert low is not None
        assert low <= report.found.threshold.bound <= 0.05
    for name in SHIPPED:
        n = 1 + len(load_shipped_monitor(name).report.baselines)
        assert [len(trace.x) for trace in draw_rates(load_shipped_monitor(name)).data] == [n, n]


def test_tabs_show_the_causal_step_the_calibration_and_the_commands(home: Path) -> None:
    test = open_page("monitors")
    for tab, said in (
        ("Causal step", "random directions"),
        ("Calibration and drift", "CUSUM"),
        ("In a pipeline", "the exit code"),
        ("Other texts and styles", "neither fitted nor calibrated on"),
    ):
        test.session_state["monitors-tabs"] = tab
        test.run()
        assert not test.exception
        assert said in read(test)


def test_a_recorded_check_is_shown_by_style_with_the_cost_and_a_file_without_one_gets_the_command(home: Path) -> None:
    check = load_shipped_check("planted-unread")
    assert check is not None
    test = open_page("monitors", monitor="planted-unread")
    test.session_state["monitors-tabs"] = "Other texts and styles"
    test.run()
    assert not test.exception
    shown = read(test)
    for said in (say_check(check), say_overhead(check.overhead, check.why_no_overhead)):
        assert said.rstrip(".") in shown
    (table,) = (one.value for one in test.dataframe if "p after correction" in one.value)
    assert list(table["texts"]) == [one.false_alarms.n for one in check.styles]
    show = "from ui.monitors.show import show_check\nfrom audit_core.monitors import load_shipped_monitor\nshow_check(load_shipped_monitor('planted-vote'), 'mine')"
    other = AppTest.from_string(show, default_timeout=60).run()
    assert "monitor check mine.safetensors" in other.code[0].value


def test_a_text_is_scored_and_its_alarm_recorded_in_the_log(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Auditor(open_subject("planted-strict"), RunLog(home))
    monkeypatch.setattr("ui.flow.services.POOL.auditor", lambda name: opened)
    made = make("unread")
    hostile = Example(HOSTILE, True, 2, (HOSTILE, HOSTILE, HOSTILE), (0.0, 1.0, 2.0), (0.0, 1.0, 2.0))
    shown = replace(
        made, report=replace(made.report, examples=(hostile,) * 2), recipe=replace(made.recipe, name=HOSTILE)
    )
    monkeypatch.setattr("ui.monitors.form.load_shipped_monitor", lambda name: shown)
    test = open_page("monitors")
    test.text_input(key="monitor_model").set_value("planted-strict").run()
    cases = make_planted_texts("unread", 0, 8, seed=5)
    found = max(run_monitor(opened.subject, made, cases).texts, key=lambda one: one.score)
    test.text_area(key="monitor_text").set_value(" ".join(found.pieces[1:])).run()
    test.button(key="monitor_score").click().run()
    assert not test.exception
    assert f"Alarm at token {found.at}" in read(test)
    test.button(key="monitor_record").click().run()
    assert "Recorded as event" in " ".join(one.value for one in test.success)
    with open_database(home) as connection:
        (event,) = list_events(connection, action=Action.MONITOR_ALARMED)
    assert event.payload["n_alarms"] == 1
    assert not [one.value for one in test.markdown if "<b>" in one.value.replace("\\<", "")], "names are escaped"


def test_a_token_that_looks_like_markup_is_no_markup_in_the_figure() -> None:
    figure = draw_tokens((HOSTILE,) * 3, (0.0, 1.0, 2.0), 1.5, onset=1, alarm=2)
    assert not any("<b>" in text for text in figure.data[0].x)
    assert figure.layout.xaxis.type == "category", "labels that would overlap on a phone are left out"
    assert figure.data[1].x == figure.data[0].x[1:], "the alarm is at its token"
