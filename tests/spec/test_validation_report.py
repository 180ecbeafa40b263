"""The validation report has its fourteen sections in PDF, HTML and JSON, and says of each missing part that it is not recorded."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest
from toy.pdf_text import read_pages
from toy.sample_pack import ROOT_DIGEST, sample_documents

from audit_core.cli import main
from audit_core.data_folder import DATA
from audit_core.errors import Refused
from audit_core.evidence.report.html import write_html
from audit_core.evidence.report.json_form import write_json
from audit_core.evidence.report.pack_view import PackView
from audit_core.evidence.report.pdf import write_pdf
from audit_core.evidence.report.signing import Signature
from audit_core.evidence.report.suggestions import suggest_findings
from audit_core.evidence.report.validation import SECTIONS, build_validation_report
from audit_core.evidence.words import find_overclaims

EXPECTED = (
    "Document control", "Summary and status", "Purpose, use and model", "Data and method", "Conceptual soundness", "Process verification",
    "Outcomes analysis", "Sensitivity and stability", "Monitoring and triggers", "Limitations and compensating controls", "Findings register",
    "Conditions and recommendation", "Independence and sign-off", "Appendix: tests, versions and attempts",
)  # fmt: skip
PACK = DATA / "packs/planted-strict-2.evidence.zip"


def sign(**changes: Any) -> Signature:
    given = {
        "role": "approver", "person": "carla", "organisation": "bank", "decision": "approve_with_conditions", "at": "2026-11-22T06:00:00Z",
        "expires_at": "", "conditions": ("test in French",), "independence": "another department", "conflicts": "", "evidence_viewed": (),
        "keyid": "sha256:" + "a" * 64, "is_checked": True,
    }  # fmt: skip
    return Signature(**given | changes)


def describe(documents: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    report = build_validation_report(documents or sample_documents(), root_digest=ROOT_DIGEST, **options)
    made: dict[str, Any] = json.loads(write_json(report))
    return made


def section(made: dict[str, Any], key: str) -> str:
    return json.dumps(next(one["blocks"] for one in made["sections"] if one["key"] == key), ensure_ascii=False)


def test_the_fourteen_sections_are_in_pdf_html_and_json_in_order() -> None:
    report = build_validation_report(sample_documents(), root_digest=ROOT_DIGEST)
    titles = [f"{at}. {title}" for at, title in enumerate(EXPECTED, 1)]
    assert tuple(title for _, title in SECTIONS) == EXPECTED
    assert [one["title"] for one in json.loads(write_json(report))["sections"]] == titles
    page = write_html(report).decode()
    assert [html.unescape(re.sub(r"<[^>]+>", "", one)) for one in re.findall(r"<h2>(.*?)</h2>", page)] == titles
    words = " ".join("\n".join(read_pages(write_pdf(report))).split())
    places = [words.index(title) for title in titles]
    assert places == sorted(set(places))


def test_the_digest_of_the_pack_is_on_every_page_and_in_the_json() -> None:
    report = build_validation_report(sample_documents(), root_digest=ROOT_DIGEST)
    assert all(ROOT_DIGEST in page for page in read_pages(write_pdf(report)))
    assert json.loads(write_json(report))["seal"]["digest"] == ROOT_DIGEST
    with pytest.raises(Refused):
        build_validation_report(sample_documents(), root_digest="abc")


def test_json_has_the_numbers_of_the_page() -> None:
    report = build_validation_report(sample_documents(), root_digest=ROOT_DIGEST)
    number = re.compile(r"(?<![\w.])-?\d+\.\d+(?![\w.])")
    cells = " ".join(re.findall(r"<td.*?</td>", write_html(report).decode(), flags=re.DOTALL))
    shown = number.findall(html.unescape(re.sub(r"<[^>]+>", " ", re.sub(r"<wbr>|</?bdi>|</?code>", "", cells))))
    assert len(shown) > 50
    assert set(shown) <= set(number.findall(write_json(report).decode()))


def test_what_a_pack_does_not_record_is_said() -> None:
    made = describe()
    assert '{"name": "Tier of the model", "value": "not recorded"}' in section(made, "control")
    assert "no decision about this pack is signed" in section(made, "summary")
    assert "No person has recorded a finding" in section(made, "register")
    assert "A plan to monitor the system in use is not part of this evidence." in section(made, "monitoring")
    assert "compensating control" in section(made, "limitations")
    assert section(made, "signoff").count('"________________"') == 12


def test_a_decision_is_shown_with_whether_its_key_was_checked() -> None:
    for is_checked, words in ((True, "checked with a trusted key"), (False, "key not checked")):
        made = describe(signatures=[sign(is_checked=is_checked)])
        assert f'["carla", "approver", "◐ Approves with conditions", "{words}"]' in section(made, "summary")
        assert f'"another department", "{words}"]' in section(made, "signoff")
        assert '["carla", "approver", "test in French"]' in section(made, "conditions")


def test_decisions_that_are_hidden_are_counted_and_not_denied() -> None:
    made = describe(signatures=[sign(role="preparer", decision="", conditions=())], n_hidden=2)
    for key in ("summary", "conditions", "signoff"):
        assert "because reviews are blind: 2" in section(made, key)
    assert "no decision about this pack is signed" not in section(made, "summary")


def test_the_list_of_documents_names_no_decision() -> None:
    documents = sample_documents() | {"attestations/approval-reviewer-1.dsse.json": {}}
    made = section(describe(documents), "appendix")
    assert "claims/claims.json" in made
    assert "attestations" not in made


def test_open_criteria_assumptions_and_attempts_are_suggested_and_met_ones_are_not() -> None:
    documents = sample_documents()
    documents["verdict/verdict.json"]["criteria"] = [
        {"id": "necessity", "claim_id": "C-0001", "result": "MEETS"},
        {"id": "stability", "claim_id": "C-0001", "result": "DOES_NOT_MEET", "reason": "another set"},
    ]
    documents["verdict/verdict.json"]["waived"] = [
        {"criterion": "transfer", "by": "carla", "reason": "r", "expires_at": "2026-12-01"}
    ]
    documents["pack.json"]["attempts"] = {"total": 3, "completed": 2, "failed": 1, "abandoned": 0}
    documents["prereg/deviations.jsonl"] = [
        {"id": "D-1", "field": "delta", "reason": "early", "prior_access": "nothing_run", "effect_on_claims": []},
        {
            "id": "D-2",
            "field": "delta",
            "reason": "late",
            "prior_access": "results_seen",
            "effect_on_claims": ["C-0002"],
        },
    ]
    run, result = next(
        (run, one) for run in PackView(documents).runs for one in run.results if one.get("claim_id") == "C-0001"
    )
    path = f"runs/{run.run_id}/result.json"
    rows = [{"name": name, "rests_on": "x", "status": name, "found": "y"} for name in ("checked", "doubtful")]
    documents[path] = [dict(result) | {"identification": rows}]
    texts = [(one.claim_id, one.text) for one in suggest_findings(PackView(documents))]
    assert ("C-0001", "Criterion stability: does not meet: another set") in texts
    assert ("C-0001", "Assumption doubtful, doubtful: y") in texts
    assert ("", "Attempts that were failed: 1") in texts
    assert ("C-0002", "Deviation D-2 from the plan in delta: late") in texts
    said = " ".join(text for _, text in texts)
    assert "transfer was waived" in said
    for absent in ("necessity", "D-1", "checked, checked", "abandoned"):
        assert absent not in said


def test_hostile_text_of_a_pack_stays_text() -> None:
    documents = sample_documents()
    hostile = "<script>alert(1)</script>\u202e"
    documents["pack.json"]["limitations"] = [hostile]
    documents["verdict/verdict.json"]["criteria"] = [
        {"id": hostile, "claim_id": hostile, "result": "DOES_NOT_MEET", "reason": hostile}
    ]
    report = build_validation_report(documents, root_digest=ROOT_DIGEST, signatures=[sign(person=hostile)])
    page = write_html(report).decode()
    assert "<script" not in page
    assert "\u202e" not in page + write_json(report).decode()


def test_our_words_in_the_report_claim_no_more_than_was_measured() -> None:
    assert (
        find_overclaims(write_json(build_validation_report(sample_documents(), root_digest=ROOT_DIGEST)).decode()) == []
    )


@pytest.mark.parametrize("form", ["pdf", "html", "json"])
def test_the_command_writes_the_report_of_a_pack(
    form: str, tmp_path: Path, own_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"report.{form}"
    assert main(["report", str(PACK), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["form"] == form
    data = out.read_bytes()
    text = "\n".join(read_pages(data)) if form == "pdf" else data.decode()
    assert "Findings register" in text


def test_another_form_or_a_changed_pack_is_refused(tmp_path: Path, own_home: Path) -> None:
    assert main(["report", str(PACK), "--out", str(tmp_path / "report.docx")]) == 2
    changed = tmp_path / "changed.zip"
    data = bytearray(PACK.read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    assert main(["report", str(changed), "--out", str(tmp_path / "report.pdf")]) == 4
    assert not (tmp_path / "report.pdf").exists()
