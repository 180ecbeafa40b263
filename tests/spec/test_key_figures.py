"""Key figures by hand, and each way in which there is none: not evaluated is never zero."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from toy.policies import make_number, read_toy

from audit_core.governance.kpi import KeyFigure, list_measured_figures, list_process_figures
from audit_core.governance.records import (
    ApprovalRecord,
    AttemptRecord,
    ClaimRecord,
    DeviationRecord,
    LogRecord,
    PackRecord,
    ProcessRecords,
    RerunRecord,
)

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
WHOLE = ProcessRecords(
    claims=(
        ClaimRecord("C-1", "tested", "2026-11-01T00:00:00Z"),
        ClaimRecord("C-2", "tested", "2026-11-05T00:00:00Z"),
        ClaimRecord("C-3", "preregistered", None),
        ClaimRecord("C-4", "withdrawn", "2026-11-01T00:00:00Z"),
        ClaimRecord("C-5", "draft", None),
    ),
    preregistrations=4,
    attempts=(
        AttemptRecord("r1", "C-1", "2026-11-02T00:00:00Z"),
        AttemptRecord("r2", "C-1", "2026-11-03T00:00:00Z"),
        AttemptRecord("r3", "C-2", "2026-11-06T00:00:00Z"),
        AttemptRecord("r4", "C-2", "2026-11-04T00:00:00Z"),
        AttemptRecord("r5", "C-4", "2026-11-04T00:00:00Z"),
    ),
    deviations=(DeviationRecord("P-1", "error"),),
    packs=(
        PackRecord("A", ("C-1",), True, "2026-12-01"),
        PackRecord("B", ("C-2",), False, "2026-11-20"),
        PackRecord("C", ("C-1",), True, None, ("weights changed",)),
        PackRecord("D", ("C-3",), True, "2026-01-01", (), is_superseded=True),
    ),
    reruns=(
        RerunRecord("A", True, True, True),
        RerunRecord("A", True, False, True),
        RerunRecord("B", True, False, False),
        RerunRecord("B", True, None, None),
        RerunRecord("B", False, None, None),
    ),
    approvals=(
        ApprovalRecord("A", "preparer", "Ada", None, "2026-11-01T00:00:00Z"),
        ApprovalRecord("A", "reviewer", "Ben", "approve", "2026-11-01T06:00:00Z"),
        ApprovalRecord("A", "reviewer", "Cleo", "approve", "2026-11-03T00:00:00Z"),
        ApprovalRecord("B", "preparer", "Ada", None, "2026-11-01T00:00:00Z"),
        ApprovalRecord("B", "reviewer", "ADA", "approve", "2026-11-01T02:00:00Z"),
        ApprovalRecord("C", "preparer", "Ada", None, "2026-11-01T00:00:00Z"),
        ApprovalRecord("C", "reviewer", "Ben", "reject", "2026-11-01T20:00:00Z"),
    ),
    log=LogRecord(250, "2026-11-01T00:00:00Z", 200, "2026-11-21T11:00:00Z", "2026-11-21T00:00:00Z"),
)
EXPECTED = {
    "evidence_coverage": (1 / 3, 3),
    "prereg_rate": (2 / 3, 3),
    "deviation_rate": (0.25, 4),
    "attempts_per_reported_claim": (5 / 3, 3),
    "reproduction_rate": (2 / 3, 3),
    "within_tolerance_rate": (1 / 3, 3),
    "four_eyes_coverage": (0.5, 2),
    "median_review_time": (6.0, 3),
    "stale_evidence": (2 / 3, 3),
    "unanchored_events": (50.0, 250),
    "unanchored_s": (3600.0, 250),
    "log_verification_age": (43_200.0, 250),
}


def count(name: str, **changes: Any) -> KeyFigure:
    (figure,) = [one for one in list_process_figures(replace(WHOLE, **changes), now=NOW) if one.name == name]
    return figure


@pytest.mark.parametrize("name", EXPECTED)
def test_each_figure_by_hand(name: str) -> None:
    """Evidence: of C-1, C-2, C-3 in use, C-1 stands in a verified pack (B failed, D is superseded). Prereg: C-1 and C-4 were frozen
    before their first run, C-2 one day after it. Five runs for three claims in packs. Reruns: one not comparable, one without
    a decision; of three left two are equal, and one is within tolerance. A and B are approved, B by its preparer. Reviews after 6, 2
    and 20 hours. Of A, B, C, B is past its date and C has a trigger."""
    figure = count(name)
    assert figure.value == pytest.approx(EXPECTED[name][0])
    assert (figure.n, figure.reason) == (EXPECTED[name][1], None)


def test_every_figure_is_expected_by_hand_and_says_what_it_means() -> None:
    figures = list_process_figures(WHOLE, now=NOW)
    assert [figure.name for figure in figures] == list(EXPECTED)
    assert all(figure.definition and figure.unit for figure in figures)
    assert all((figure.default is None) is (figure.source is None) for figure in figures)
    assert {figure.source for figure in figures} == {"default", None}


def test_nothing_read_is_no_figure_at_all() -> None:
    for figure in list_process_figures(ProcessRecords(), now=NOW):
        assert (figure.value, figure.n) == (None, None)
        assert "not read" in (figure.reason or "")


def test_nothing_there_is_no_figure_either() -> None:
    empty = ProcessRecords((), 0, (), (), (), (), (), LogRecord(0, None, None, None, None))
    assert {figure.value for figure in list_process_figures(empty, now=NOW)} == {None}
    assert not any("not read" in (figure.reason or "") for figure in list_process_figures(empty, now=NOW))


@pytest.mark.parametrize("field", [field.name for field in fields(ProcessRecords)])
def test_a_source_that_was_not_read_takes_its_figures_away_and_no_others(field: str) -> None:
    missing = {
        figure.name for figure in list_process_figures(replace(WHOLE, **{field: None}), now=NOW) if figure.reason
    }
    assert missing
    assert len(missing) < len(EXPECTED)
    for figure in list_process_figures(replace(WHOLE, **{field: None}), now=NOW):
        assert (field in (figure.reason or "")) is (figure.name in missing)


def test_a_pack_that_was_never_verified_is_unknown_and_not_unverified() -> None:
    packs = (PackRecord("A", ("C-1",), None, None), PackRecord("B", ("C-2",), True, None))
    figure = count("evidence_coverage", packs=packs)
    assert (figure.value, figure.reason) == (None, "packs that no verifier has checked")
    assert count("evidence_coverage", packs=(*packs, PackRecord("C", ("C-1",), True, None))).value == pytest.approx(
        2 / 3
    )
    assert count("evidence_coverage", packs=()).value == 0


def test_without_an_anchor_the_window_is_the_whole_log() -> None:
    log = replace(WHOLE.log or LogRecord(0, None, None, None, None), anchored_size=None, anchored_at=None)
    assert count("unanchored_events", log=log).value == 250
    assert count("unanchored_s", log=log).value == 20 * 86_400 + 43_200


@pytest.mark.parametrize(
    "name, changes, says",
    [
        ("log_verification_age", {"verified_at": None}, "never checked"),
        ("log_verification_age", {"verified_at": "2026-11-22T00:00:00Z"}, "future"),
        ("log_verification_age", {"verified_at": "lately"}, "cannot be read"),
        ("unanchored_s", {"anchored_at": "2027-01-01T00:00:00Z"}, "future"),
        ("unanchored_s", {"anchored_at": None, "began_at": None}, "empty"),
        ("unanchored_events", {"size": 0}, "empty"),
    ],
)
def test_a_log_that_does_not_say_is_not_zero(name: str, changes: dict[str, Any], says: str) -> None:
    assert WHOLE.log is not None
    figure = count(name, log=replace(WHOLE.log, **changes))
    assert figure.value is None
    assert says in (figure.reason or "")


def test_times_that_cannot_be_read_or_run_backwards_are_reasons() -> None:
    assert "r1" in (count("prereg_rate", attempts=(AttemptRecord("r1", "C-1", "soon"),)).reason or "")
    early = (
        ApprovalRecord("A", "preparer", "Ada", None, "2026-11-02T00:00:00Z"),
        ApprovalRecord("A", "reviewer", "Ben", "approve", "2026-11-01T00:00:00Z"),
    )
    assert "clock" in (count("median_review_time", approvals=early).reason or "")


def test_a_freeze_in_the_same_instant_is_not_before() -> None:
    claims = (ClaimRecord("C-1", "tested", "2026-11-02T00:00:00Z"),)
    attempts = (AttemptRecord("r1", "C-1", "2026-11-02T00:00:00Z"),)
    assert count("prereg_rate", claims=claims, attempts=attempts).value == 0


def test_a_date_that_cannot_be_read_makes_evidence_stale() -> None:
    assert count("stale_evidence", packs=(PackRecord("A", (), True, "soon"),)).value == 1


def test_measurements_are_figures_beside_their_threshold() -> None:
    rows = [make_number(0.85, 0.95), make_number(None, None, metric="other", estimate=None, n=None, reason="not asked")]
    first, second = list_measured_figures(rows, read_toy())
    assert (first.name, first.default, first.source) == (
        "C-0001: faithfulness_ld, resample", ">= 0.8 (lower)", "organisation",
    )  # fmt: skip
    assert (first.value, first.n) == (pytest.approx(0.9), 240)
    assert (second.value, second.reason, second.default, second.source) == (None, "not asked", None, None)


@pytest.mark.parametrize("value, reason", [(None, None), (None, ""), (1.0, "and a reason")])
def test_a_figure_is_a_value_or_a_reason(value: float | None, reason: str | None) -> None:
    with pytest.raises(ValueError, match="a value or a reason"):
        KeyFigure("x", value, "ratio", 1, reason, "d", None, None)
