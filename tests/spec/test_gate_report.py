"""What a gate writes for other programs: JUnit that is never green by accident, one JSON document, and the command's exit codes."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from toy.policies import POLICY, make_claim, make_facts, make_number, read_toy

from audit_core.cli.gate import add_gate_options, pass_gate
from audit_core.errors import PolicyRefused
from audit_core.governance.approval import CheckedSignature
from audit_core.governance.gate import GateResult, GateRow, PackCheck, PackDocuments, decide_gate
from audit_core.governance.gate_report import describe_gate, show_text, write_junit, write_sarif
from audit_core.governance.waiver import Waiver
from audit_core.review.checked_pack import log_gate
from audit_core.store import Action, audit_home, list_events, open_database
from audit_core.verifier.criteria import evaluate_policy

NOW = datetime(2026, 11, 21, tzinfo=UTC)
CHECK = PackCheck("INTEGRITY_VERIFIED", "SIGNER_VERIFIED", (), (CheckedSignature("preparer", "Ada"),))
WAIVER = Waiver("x", "C-0001", "Cleo", "search is next week", "2026-11-20T00:00:00Z", "2026-12-01T00:00:00Z")


def read_pack(*metrics: dict[str, Any]) -> PackDocuments:
    policy = read_toy()
    verdict = evaluate_policy(policy.resolved(), [make_claim()], list(metrics), make_facts())
    return PackDocuments([make_claim()], list(metrics), make_facts(), policy.resolved(), policy.sha256, verdict)


def decide(*metrics: dict[str, Any]) -> GateResult:
    return decide_gate(read_toy(), CHECK, read_pack(*metrics), now=NOW)


def make_result(*rows: GateRow, overall: str = "INCONCLUSIVE") -> GateResult:
    return GateResult(rows, overall, 3, "toy", "0" * 64, ())


def read_cases(result: GateResult) -> dict[tuple[str, str], ElementTree.Element | None]:
    suite = ElementTree.fromstring(write_junit(result)).find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")
    assert suite.get("tests") == str(len(cases))
    for tag, plural in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        assert suite.get(plural) == str(sum(case.find(tag) is not None for case in cases))
    return {(case.get("classname", ""), case.get("name", "")): next(iter(case), None) for case in cases}


def test_one_case_a_criterion_and_claim_and_one_for_the_whole() -> None:
    cases = read_cases(decide(make_number(0.85, 0.95)))
    assert list(cases) == [
        ("pack", "integrity"), ("pack", "signer"), ("C-0001", "prereg_frozen_before_run"), ("C-0001", "attempts_disclosed"),
        ("C-0001", "faithfulness"), ("gate", "overall"),
    ]  # fmt: skip
    assert set(cases.values()) == {None}


@pytest.mark.parametrize(
    "metrics, tag, kind",
    [
        ([make_number(0.1, 0.2)], "failure", "DOES_NOT_MEET"),
        ([make_number(0.7, 0.9)], "error", "INCONCLUSIVE"),
        ([], "error", "NOT_EVALUATED"),
    ],
)
def test_what_is_not_met_fails_and_what_is_not_known_is_an_error(
    metrics: list[dict[str, Any]], tag: str, kind: str
) -> None:
    cases = read_cases(decide(*metrics))
    for place in (("C-0001", "faithfulness"), ("gate", "overall")):
        problem = cases[place]
        assert problem is not None
        assert (problem.tag, problem.get("type")) == (tag, kind)


def test_a_pack_without_anything_is_no_empty_report() -> None:
    result = decide_gate(read_toy(), replace(CHECK, integrity="INTEGRITY_FAILED"), None, now=NOW)
    cases = read_cases(result)
    assert {case.get("type") for case in cases.values() if case is not None} == {"INTEGRITY_FAILED"}
    assert {case.tag for case in cases.values() if case is not None} == {"error"}


def test_a_decision_without_rows_is_still_a_case() -> None:
    (problem,) = read_cases(make_result()).values()
    assert problem is not None
    assert problem.get("type") == "INCONCLUSIVE"


def test_what_does_not_count_is_skipped_with_what_it_is() -> None:
    waived = GateRow("stability", "C-0001", "DOES_NOT_MEET", "below", waiver=WAIVER)
    optional = GateRow("calibration", "C-0001", "NOT_EVALUATED", "not asked", is_required=False)
    cases = read_cases(make_result(waived, optional))
    first, second = cases["C-0001", "stability"], cases["C-0001", "calibration"]
    assert first is not None
    assert second is not None
    assert (first.tag, second.tag) == ("skipped", "skipped")
    assert (
        first.get("message") == "DOES_NOT_MEET; waived by Cleo until 2026-12-01T00:00:00Z: search is next week; below"
    )
    assert second.get("message") == "NOT_EVALUATED; optional; not asked"


def test_a_number_is_beside_what_was_wanted() -> None:
    problem = read_cases(decide(make_number(0.1, 0.2)))["C-0001", "faithfulness"]
    assert problem is not None
    assert problem.get("message") == "DOES_NOT_MEET; faithfulness_ld = 0.150 [0.100, 0.200], wanted >= 0.8"


@pytest.mark.parametrize("text", ["\x00\x08", "\u202eMEETS", "]]><x>&\"'", "\ufffe", "\ud800", "<script>"])
def test_no_text_of_a_pack_breaks_the_xml_or_turns_it_around(text: str) -> None:
    result = make_result(GateRow(text, text, "INCONCLUSIVE", text))
    cases = read_cases(result)
    assert (show_text(text), show_text(text)) in cases
    assert "\u202e" not in write_junit(result).decode()


def test_the_json_document_holds_every_number_with_its_interval() -> None:
    document = json.loads(json.dumps(describe_gate(decide(make_number(0.1, 0.2))), allow_nan=False))
    row = document["criteria"][-1]
    assert row["measured"] == {
        "value": pytest.approx(0.15), "low": 0.1, "high": 0.2, "n": 240, "unit": "ratio", "level": 0.95,
    }  # fmt: skip
    assert (row["comparator"], row["threshold"], row["result"]) == (">=", 0.8, "DOES_NOT_MEET")
    assert document["criteria"][0]["measured"] is None
    assert (document["overall"], document["exit_code"]) == ("DOES_NOT_MEET", 1)
    assert document["coverage"] == {"required": 5, "evaluated": 5}
    assert document["policy"] == {"id": "toy", "sha256": read_toy().sha256}


def test_waived_rows_are_listed_apart_with_what_they_are() -> None:
    document = describe_gate(make_result(GateRow("x", "C-0001", "DOES_NOT_MEET", "below", waiver=WAIVER)))
    assert document["waived"] == [WAIVER.to_json() | {"result": "DOES_NOT_MEET"}]
    assert document["criteria"][0]["waived"] is True
    assert document["criteria"][0]["result"] == "DOES_NOT_MEET"


@pytest.mark.parametrize(
    "row, kind, level",
    [
        (GateRow("a", None, "MEETS", None), "pass", "none"),
        (GateRow("a", None, "DOES_NOT_MEET", "x"), "fail", "error"),
        (GateRow("a", None, "INCONCLUSIVE", "x"), "open", "warning"),
        (GateRow("a", None, "INTEGRITY_FAILED", "x"), "fail", "error"),
        (GateRow("a", None, "DOES_NOT_MEET", "x", is_required=False), "review", "note"),
        (GateRow("a", None, "DOES_NOT_MEET", "x", waiver=WAIVER), "review", "note"),
    ],
)
def test_results_have_the_shape_of_a_static_analysis_log(row: GateRow, kind: str, level: str) -> None:
    log = write_sarif(make_result(row))
    (found,) = log["runs"][0]["results"]
    assert (found["ruleId"], found["kind"], found["level"]) == ("a", kind, level)
    assert log["version"] == "2.1.0"
    assert log["runs"][0]["tool"]["driver"]["rules"] == [{"id": "a"}]


def read_options(tmp_path: Path, *more: str) -> argparse.Namespace:
    policy = tmp_path / "policy.toml"
    policy.write_text(POLICY)
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    add_gate_options(parser)
    return parser.parse_args(["pack.zip", "--policy", str(policy), *more])


def test_the_command_writes_one_document_and_leaves_with_the_decisions_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junit = tmp_path / "gate.xml"
    code = pass_gate(
        read_options(tmp_path, "--json", "--junit", str(junit)), CHECK, read_pack(make_number(0.1, 0.2)), pack="P"
    )
    assert code == 1
    assert json.loads(capsys.readouterr().out)["exit_code"] == 1
    assert ElementTree.parse(junit).getroot().tag == "testsuites"


def test_the_command_says_each_row_and_no_opinion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert pass_gate(read_options(tmp_path), CHECK, read_pack(make_number(0.85, 0.95)), pack="P") == 0
    out = capsys.readouterr().out
    assert "MEETS                      C-0001     faithfulness" in out
    assert "MEETS: 5 of 5 required rows evaluated, 0 waived" in out
    assert "a factual finding" in out


@pytest.mark.parametrize("more", [("--policy", "none.toml"), ("--waivers", "none.toml")])
def test_a_refusal_leaves_no_older_report_behind(more: tuple[str, str], tmp_path: Path) -> None:
    junit = tmp_path / "gate.xml"
    junit.write_text("<testsuites><testsuite tests='1'/></testsuites>")
    with pytest.raises(PolicyRefused):
        pass_gate(read_options(tmp_path, "--junit", str(junit), *more), CHECK, read_pack(), pack="P")
    assert junit.read_bytes() == b""


def test_a_report_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PolicyRefused, match="cannot be written"):
        pass_gate(read_options(tmp_path, "--junit", str(tmp_path / "no" / "gate.xml")), CHECK, read_pack(), pack="P")


def test_what_a_gate_decided_is_in_the_audit_log(tmp_path: Path) -> None:
    pass_gate(read_options(tmp_path), CHECK, read_pack(make_number(0.1, 0.2)), pack="01PACK")
    with open_database(audit_home()) as connection:
        (event,) = list_events(connection, action=Action.GATE_DECIDED)
    assert (event.object_id, event.payload["overall"], event.payload["exit_code"]) == ("01PACK", "DOES_NOT_MEET", 1)


def test_an_active_waiver_is_in_the_audit_log(tmp_path: Path) -> None:
    result = make_result(GateRow("x", "C-0001", "DOES_NOT_MEET", "below", waiver=WAIVER))
    log_gate(tmp_path, result, pack="01PACK", actor="anna")
    with open_database(tmp_path) as connection:
        (event,) = list_events(connection, action=Action.WAIVER_GIVEN)
    assert (event.payload["criterion"], event.payload["by"]) == ("x", WAIVER.by)
