"""Findings travel in packs: the verifier finds each that was changed, dropped or invented, and the report lists them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from toy.findings import STEPS, make_finding, retell_finding, tell_finding
from toy.packs import Story, check, genuine_members, name_failure, retell, seal
from toy.pdf_text import read_pages
from toy.sample_pack import ROOT_DIGEST, sample_documents

from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.report.html import write_html
from audit_core.evidence.report.json_form import write_json
from audit_core.evidence.report.pdf import write_pdf
from audit_core.evidence.report.validation import build_validation_report
from audit_core.verifier.schemas_findings import FINDINGS_MEMBER

HOSTILE = "<script>alert(1)</script> ]]> **b** \u202e =HYPERLINK()"


def first(story: Story) -> dict[str, Any]:
    found: dict[str, Any] = story.documents[FINDINGS_MEMBER][0]
    return found


def test_a_pack_with_findings_verifies_and_one_without_them_does_as_before() -> None:
    assert check(retell_finding()).exit_code == 0
    assert FINDINGS_MEMBER not in genuine_members()
    assert check(genuine_members()).exit_code == 0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda story: story.documents.pop(FINDINGS_MEMBER), "the export was logged with"),
        (lambda story: story.documents.update({FINDINGS_MEMBER: []}), "the export was logged with"),
        (lambda story: story.documents[FINDINGS_MEMBER].append(first(story)), "has a finding twice"),
        (lambda story: first(story)["history"].pop(), "the export was logged with"),
        (lambda story: first(story)["history"][1].update(reason="none"), "is not the one in the log"),
        (lambda story: first(story)["history"][1].update(by="bela"), "is not the one in the log"),
        (lambda story: first(story)["state"].update(severity="low"), "does not follow from its changes"),
        (lambda story: first(story)["history"][1].update(version=5), "not numbered"),
        (lambda story: story.events.pop(-2), "the log shows 2"),
        (lambda story: story.events[-1][2].pop("findings"), "the export was logged with"),
        (lambda story: story.events.insert(-1, ("finding.recorded", "F-0002", {}, True)), "which claims/findings.json lacks"),
    ],
)  # fmt: skip
def test_a_finding_that_was_changed_dropped_or_invented_fails(change: Callable[[Story], object], match: str) -> None:
    found = check(retell_finding(change))
    assert found.exit_code == 4
    assert match in name_failure(found), name_failure(found)


@pytest.mark.parametrize(("field", "match"), [("status", "not one of"), ("extra", "not described")])
def test_a_document_of_another_form_fails_at_its_schema(field: str, match: str) -> None:
    changed = make_finding()
    changed["state"][field] = "gone"
    found = check(seal({**retell_finding(), FINDINGS_MEMBER: dump_canonical([changed])}))
    assert name_failure(found).startswith("schema: ")
    assert match in name_failure(found)


@pytest.mark.parametrize(
    "steps",
    [
        (*STEPS[:1], ("closed", {"status": "open"}, "x")), (*STEPS[:1], ("changed", {"status": "closed"}, "x")),
        (*STEPS[:1], ("recorded", {"title": "again"}, "x")), (("changed", STEPS[0][1], ""),),
        (*STEPS, ("reopened", {"due": "2027-01-01"}, "x")),
    ],
)  # fmt: skip
def test_steps_that_the_register_never_makes_fail_even_when_the_log_has_them(steps: Any) -> None:
    found = check(retell(lambda story: tell_finding(story, make_finding(steps))))
    assert "cannot follow the one before" in name_failure(found)


def test_a_finding_about_none_of_the_packs_claims_fails() -> None:
    alien = ("recorded", {**STEPS[0][1], "claims": ["C-0099"]}, "")
    found = check(retell(lambda story: tell_finding(story, make_finding((alien,)))))
    assert "about no claim of this pack" in name_failure(found)


def describe(*findings: Any) -> Any:
    documents = sample_documents() | {FINDINGS_MEMBER: list(findings)}
    return build_validation_report(documents, root_digest=ROOT_DIGEST)


def section(report: Any) -> dict[str, Any]:
    rows = json.loads(write_json(report))["sections"]
    return next(one for one in rows if one["key"] == "register")


def table(report: Any, caption: str) -> list[list[str]]:
    return next(block["rows"] for block in section(report)["blocks"] if block.get("caption") == caption)


def test_the_report_lists_each_finding_with_owner_due_date_status_and_history() -> None:
    late = make_finding(((STEPS[0][0], {**STEPS[0][1], "due": "2026-11-01"}, ""),)) | {"finding_id": "F-0002"}
    report = describe(make_finding(), late)
    assert table(report, "Findings") == [
        ["F-0001", "high", "Null not drawn. The random baseline was not drawn.", "Draw it.", "bela", "2026-12-21", "● closed"],
        ["F-0002", "high", "Null not drawn. The random baseline was not drawn.", "Draw it.", "bela", "2026-11-01", "○ open; ! overdue"],
    ]  # fmt: skip
    assert [row[3:] for row in table(report, "History of the findings")[:3]] == [
        ["recorded", "–"], ["changed", "begun"], ["closed", "it is drawn"],
    ]  # fmt: skip
    lead = section(report)["blocks"][0]["text"]
    assert lead == "Findings about the claims of this pack: 1 open, 1 closed. Overdue when it was made: 1."
    text = " ".join(" ".join(read_pages(write_pdf(report))).split())
    for part in ("F-0002", "overdue", "it is drawn"):
        assert part in text
        assert part in write_html(report).decode()


def test_an_accepted_finding_names_the_person_in_the_report() -> None:
    steps = (STEPS[0], ("accepted", {"status": "accepted"}, "narrow use"))
    assert table(describe(make_finding(steps)), "Findings")[0][-1] == "◆ accepted by anna"


def test_a_suggestion_that_became_a_finding_is_not_suggested_again() -> None:
    suggestion = table(build_validation_report(sample_documents(), root_digest=ROOT_DIGEST), "Suggestions")[0][0]
    taken = ((STEPS[0][0], {**STEPS[0][1], "basis": suggestion}, ""),)
    assert suggestion not in [row[0] for row in table(describe(make_finding(taken)), "Suggestions")]


def test_hostile_text_of_a_finding_stays_text_in_every_form() -> None:
    fields = dict.fromkeys(("title", "finding", "remediation", "owner", "basis", "severity", "model"), HOSTILE)
    report = describe(
        make_finding(((STEPS[0][0], {**STEPS[0][1], **fields}, HOSTILE), ("changed", {"owner": HOSTILE}, HOSTILE)))
    )
    page = write_html(report).decode()
    assert "<script" not in page
    assert "\u202e" not in page + write_json(report).decode() + " ".join(read_pages(write_pdf(report)))
    assert "alert(1)" in " ".join(read_pages(write_pdf(report))).replace("\n", "")
