"""The HTML report: every section, the digest at both ends, no script, figures whose tables have their numbers."""

from __future__ import annotations

import html
import re
from copy import deepcopy
from html.parser import HTMLParser
from typing import Any

import pytest
from toy.sample_pack import ROOT_DIGEST, RUNS, sample_documents

from audit_core.errors import Refused
from audit_core.evidence.report.brief import read_brief
from audit_core.evidence.report.html import TEMPLATES, render_html
from audit_core.evidence.report.pack_view import PackView
from audit_core.evidence.report.signing import Signature

SECTIONS = (
    "Claim C-0001 at a glance", "Claim C-0002 at a glance", "Claim C-0003 at a glance",
    "What this is, and what it is not", "Findings at a glance", "Claims", "Preregistration", "What came before, and how prompts were divided", "What was run", "Findings", "Policy criteria",
    "Deviations", "Attempts", "Limitations", "Not assessed", "How to check this", "Signatures",
)  # fmt: skip


def render(documents: dict[str, Any] | None = None) -> str:
    return render_html(documents or sample_documents(), root_digest=ROOT_DIGEST).decode()


def strip(part: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", part))).strip()


def section(page: str, title: str) -> str:
    return next(part for part in page.split("<section")[1:] if f"<h2>{title}</h2>" in part)


def test_every_section_is_there_in_order() -> None:
    assert tuple(strip(title) for title in re.findall(r"<h2>(.*?)</h2>", render())) == SECTIONS


def test_the_digest_is_at_the_head_and_at_the_foot() -> None:
    page = render()
    assert page.count(ROOT_DIGEST) == 2
    assert page.index(ROOT_DIGEST) < page.index("<main>")
    assert page.rindex(ROOT_DIGEST) > page.index("</main>")


@pytest.mark.parametrize("digest", ["", "abc", "G" * 64, ROOT_DIGEST.upper(), ROOT_DIGEST + "\n"])
def test_a_digest_that_is_none_is_refused(digest: str) -> None:
    with pytest.raises(Refused):
        render_html(sample_documents(), root_digest=digest)


def test_documents_without_a_header_are_refused() -> None:
    documents = sample_documents()
    del documents["pack.json"]
    with pytest.raises(Refused):
        render(documents)


def test_equal_documents_give_equal_bytes_and_are_left_as_they_were() -> None:
    documents = sample_documents()
    before = deepcopy(documents)
    assert render(documents) == render(dict(reversed(documents.items())))
    assert documents == before


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_the_file_asks_for_nothing_and_runs_nothing() -> None:
    page = render()
    tags = Tags()
    tags.feed(page)
    assert {tag for tag, _ in tags.seen} & {
        "script",
        "img",
        "link",
        "iframe",
        "object",
        "embed",
        "form",
        "base",
    } == set()
    names = {name for _, attributes in tags.seen for name in attributes}
    assert not {name for name in names if name.startswith("on")} | (names & {"src", "srcset", "style", "action"})
    targets = [attributes["href"] for tag, attributes in tags.seen if "href" in attributes]
    assert all(target and target.startswith("#") for target in targets)
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in page
    assert "url(" not in page
    assert "@import" not in page


def test_no_template_switches_escaping_off() -> None:
    templates = sorted(TEMPLATES.glob("*.j2"))
    assert len(templates) > 1
    for template in templates:
        assert not re.search(r"\|\s*safe|autoescape|Markup", template.read_text()), template.name


def figures(page: str) -> list[str]:
    found = re.findall(r"<figure>.*?</figure>", page, re.S)
    assert len(found) == 7
    return found


def table_rows(part: str) -> list[list[str]]:
    return [[strip(cell) for cell in re.findall(r"<td.*?>(.*?)</td>", row, re.S)] for row in re.findall(r"<tr>(.*?)</tr>", part, re.S)[1:]]  # fmt: skip


def test_every_figure_has_a_table_with_the_numbers_it_shows() -> None:
    for figure in figures(render()):
        drawn = dict(
            zip(
                re.findall(r'class="label"[^>]*>(.*?)<', figure),
                re.findall(r'class="value"[^>]*>(.*?)<', figure),
                strict=True,
            )
        )
        listed = {row[0]: f"{row[1]} [{row[2]}, {row[3]}]" for row in table_rows(figure) if row[1] != "–"}
        drawn.pop("random sets", None)
        assert drawn == listed
        assert len(drawn) >= 2


def test_marks_are_drawn_where_the_axis_says_their_numbers_are() -> None:
    for figure in figures(render()):
        ticks = [(float(at), float(text)) for at, text in re.findall(r'tick" x="([\d.]+)%"[^>]*>(-?[\d.]+)<', figure)]
        (first, at_first), *_, (last, at_last) = [(value, at) for at, value in ticks]
        scale = (last - first) / (at_last - at_first)
        rows = [row for row in table_rows(figure) if row[1] != "–"]
        places = [float(at) for at in re.findall(r'class="place" x="([\d.]+)%"', figure)]
        bars = re.findall(r'class="bar" x1="([\d.]+)%" x2="([\d.]+)%"', figure)
        for row, place, bar in zip(rows, places, bars, strict=True):
            shown = [first + scale * (float(at) - at_first) for at in (place, *bar)]
            assert shown == pytest.approx([float(cell) for cell in row[1:4]], abs=0.006)


def test_a_figure_is_described_for_a_reader_who_does_not_see_it() -> None:
    for figure in figures(render()):
        key, description = re.findall(r'<desc id="(figure-[0-9a-f]{12})-desc">(.*?)</desc>', figure)[0]
        assert f'aria-labelledby="{key}-title {key}-desc"' in figure
        for row in table_rows(figure):
            assert row[1] == "–" or row[1] in description
    keys = re.findall(r'<title id="(.*?)"', render())
    assert len(keys) == len(set(keys)) == 7


def test_a_figure_says_what_kind_of_evidence_it_is_and_how_to_read_it() -> None:
    for figure in figures(render()):
        assert re.search(r'class="badge causal">causal<', figure)
        assert "How to read this: " in figure


def test_what_decides_differs_in_shape_and_not_in_colour_alone() -> None:
    first = figures(render())[0]
    assert first.count("<path") == 1
    assert first.count("<circle") == 2
    assert "resample, decides" in first


def test_every_state_and_result_has_a_word_beside_its_shape() -> None:
    page = strip(render())
    for words in ("◆ Supported", "◇ Inconclusive", "○ Below the smallest effect", "● Meets", "✕ Does not meet", "◐ Inconclusive", "○ Not evaluated"):  # fmt: skip
        assert words in page


def test_a_family_that_was_not_measured_has_its_reason_and_no_number() -> None:
    row = next(row for row in table_rows(figures(render())[5]) if row[0] == "zero")
    assert row[1:4] == ["–", "–", "–"]
    assert row[4].startswith("not measured: SAMPLE: the empty circuit")


def test_what_speaks_against_a_claim_has_the_same_place_as_what_speaks_for_it() -> None:
    parts = re.findall(r'<div class="balance"><div>(.*?)</div><div>(.*?)</div></div>', render(), re.S)
    assert len(parts) == 6, "three on the first pages, three among the findings"
    assert all(
        strip(pro).startswith("Evidence for") and strip(contra).startswith("Evidence against") for pro, contra in parts
    )
    second = strip(parts[4][1])
    assert "Criterion faithfulness: ✕ Does not meet" in second
    assert "Criterion ablation_agreement: ◐ Inconclusive" in second
    assert "Not measured: faithfulness_ld, zero" in second
    assert "SAMPLE: mean ablation says otherwise" in second


def test_undecided_and_unevaluated_criteria_never_speak_for_a_claim() -> None:
    documents = sample_documents()
    for row in documents["verdict/verdict.json"]["criteria"]:
        row["result"] = "INCONCLUSIVE" if row["claim_id"] == "C-0001" else "SOMETHING ELSE"
    for pro, _ in re.findall(r'<div class="balance"><div>(.*?)</div><div>(.*?)</div></div>', render(documents), re.S):
        assert "Criterion" not in strip(pro)


def test_no_recorded_search_for_counter_evidence_is_said_out_loud() -> None:
    documents = sample_documents()
    documents["claims/claims.json"] = documents["claims/claims.json"][:1]
    documents[f"runs/{RUNS['C-0001']}/metrics.json"] = documents[f"runs/{RUNS['C-0001']}/metrics.json"][:3]
    assert "None recorded. No search for it is recorded." in strip(render(documents))


def test_every_threshold_has_its_source_and_one_that_is_ours_says_so() -> None:
    rows = table_rows(section(render(), "Policy criteria"))
    assert [row[4] for row in rows[:4]] == ["organisation", "default", "default", "–"]
    documents = sample_documents()
    documents["policy/policy.resolved.json"]["criteria"]["necessity"]["source"] = "industry habit"
    assert table_rows(section(render(documents), "Policy criteria"))[0][4] == "not stated"


def test_every_attempt_is_disclosed_those_that_failed_and_those_that_never_ended() -> None:
    documents = sample_documents()
    entries = documents["log/entries.jsonl"]
    begun = next(entry for entry in entries if entry["action"] == "run.started")
    entries.insert(1, deepcopy(begun) | {"object_id": "ab" * 16})
    rows = table_rows(section(render(documents), "Attempts"))
    assert [row[4] for row in rows] == [
        "abandoned: no end recorded",
        "failed (control_failed)",
        "completed",
        "completed",
        "completed",
    ]
    assert [row[5] for row in rows] == ["no", "no", "yes", "yes", "yes"]


def test_the_sentence_of_the_procedure_names_policy_model_prompts_number_and_time() -> None:
    said = strip(section(render(), "Findings"))
    for part in (
        "Under policy sample-policy-2026-11 (SHA-256 ", "resample ablation on model sample/sample-model-135m (weights ",
        "measured necessity_drop = 0.46 [0.38, 0.55] of the clean–empty gap (95 %, n = 72 in 12 templates)",
        "recorded no later than 2026-11-19 15:00:00 UTC", "not an assurance conclusion",
    ):  # fmt: skip
        assert part in said


@pytest.mark.parametrize("path", [path for path in sample_documents() if path != "pack.json"])
def test_a_document_that_is_missing_is_missed_and_nothing_breaks(path: str) -> None:
    documents = sample_documents()
    del documents[path]
    page = render(documents)
    assert tuple(strip(title) for title in re.findall(r"<h2>(.*?)</h2>", page)) == (
        SECTIONS[3:] if path == "claims/claims.json" else SECTIONS
    )


@pytest.mark.parametrize("junk", [None, 3, "text", [], [1, None], {"x": []}, [[]], {"claims": 1}])
def test_documents_of_another_shape_break_nothing(junk: Any) -> None:
    documents = {path: junk for path in sample_documents()} | {"pack.json": sample_documents()["pack.json"]}
    assert ROOT_DIGEST in render(documents)


def test_without_a_preregistration_the_report_says_exploratory() -> None:
    documents = sample_documents()
    del documents["prereg/prereg.json"]
    assert "exploratory and do not count" in strip(section(render(documents), "Preregistration"))


@pytest.mark.parametrize(
    ("path", "field"), [("verdict/verdict.json", "policy_sha256"), ("prereg/prereg.json", "digest")]
)
def test_a_threshold_counts_as_recorded_before_only_by_a_record_that_run_and_verdict_name(
    path: str, field: str
) -> None:
    documents = sample_documents()
    documents[path][field] = "0" * 64
    said = strip(section(render(documents), "Findings"))
    assert "recorded no later than" not in said
    assert said.count("No record from before the run names this policy.") == 3


def test_the_first_page_of_a_claim_has_what_a_decision_needs() -> None:
    page = strip(section(render(), "Claim C-0002 at a glance"))
    order = [
        "Inconclusive: the answer depends on", "Effect by ablation", "Evidence for, strongest first",
        "it keeps 0.86 [0.81, 0.92] of the gap, above δ = 0.80", "Evidence against, strongest first",
        "But below δ = 0.80: mean 0.64 [0.55, 0.73].", "Not tested", "Ablation zero: SAMPLE: the empty circuit",
    ]  # fmt: skip
    places = [page.index(words) for words in order]
    assert places == sorted(places)


def test_agreement_of_ablations_does_not_speak_for_a_claim_that_is_not_supported() -> None:
    pack = PackView(sample_documents())
    said = {one: " ".join(span.text for point in read_brief(pack, one).speaks_for for span in point) for one in RUNS}
    assert "Difference between the ablations" in said["C-0001"]
    assert "Difference between the ablations" not in said["C-0003"]


def test_the_signature_page_names_every_signer_and_how_many_are_left_out() -> None:
    people = [
        ("anna", "preparer", ""),
        ("ben", "reviewer", "approve_with_conditions"),
        ("<b>cleo</b>", "approver", "reject"),
    ]
    signed = [
        Signature(role, who, "Bank", decision, "2026-11-22T05:59:01Z", "", ("Rerun it",), "another team", "", (), "sha256:ab", True)
        for who, role, decision in people
    ]  # fmt: skip
    page = render_html(sample_documents(), root_digest=ROOT_DIGEST, signatures=signed, n_hidden=2).decode()
    rows = table_rows(section(page, "Signatures"))
    assert [row[:3] for row in rows] == [
        ["anna", "preparer", "Prepared and signed it"],
        ["ben", "reviewer", "◐ Approves with conditions"],
        ["<b>cleo</b>", "approver", "✕ Rejects"],
    ]
    assert "2 more decisions are left out" in strip(section(page, "Signatures"))
    assert "<b>cleo</b>" not in page
    assert "before the pack was signed" in strip(section(render(), "Signatures"))
