"""One result as one HTML file: every number with its interval, what kind of evidence it is, and no claim to a signature."""

from __future__ import annotations

import html
import json
import re
from dataclasses import asdict
from typing import Any

import pytest
from toy.sample_pack import CLAIMS, GAP, claim, identity, metrics_first, result_first

from audit_core import Estimate
from audit_core.errors import Refused
from audit_core.evidence.canonical import hash_document
from audit_core.evidence.kind import Evidence
from audit_core.evidence.report.export import MOST_DRAWN, export_html

DECLARED = {
    "families": Evidence.CAUSAL,
    "self_repair": Evidence.CAUSAL,
    "plausibility": Evidence.OBSERVATIONAL,
    "screened": {"guess": Evidence.ESTIMATED},
}


def estimate(value: float, unit: str = "logits") -> dict[str, Any]:
    return asdict(Estimate(value, value - 0.1, value + 0.1, 72, unit, 0.95, 12))


def document() -> dict[str, Any]:
    """As the command line gives it for a claim that was tested."""
    result = result_first()
    families = {row["ablation"]: estimate(row["estimate"], GAP) for row in metrics_first() if row["ablation"]}
    return {
        "claim": claim(*CLAIMS[0])["claim"], "identity": identity() | {"n_prompts": 72, "seed": 0, "folder": "/somewhere/private"},
        "state": result["state"], "reason": None, "sentence": result["sentence"], "families": families, "estimate": families["resample"],
        "self_repair": result["repair"], "plausibility": {"first token": estimate(0.43, "share of attention")},
        "screened": [{"component": "L1.H2", "guess": estimate(0.2)}], "conditions": result["conditions"], "null": result["null"], "accuracy": 0.97,
    }  # fmt: skip


def strip(part: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", part)))


def test_every_estimate_is_drawn_once_and_is_in_a_table_with_its_unit_and_level() -> None:
    page = export_html(document(), evidence=DECLARED).decode()
    drawn = re.findall(r'class="value"[^>]*>(.*?)<', page)
    assert len(drawn) == 3 + 4 + 1 + 1
    for number in drawn:
        value, low, high = re.findall(r"-?[\d.]+", number)
        row = next(
            r
            for r in re.findall(r"<tr>.*?</tr>", page, re.S)
            if f">{value}<" in r and f">{low}<" in r and f">{high}<" in r
        )
        assert "95 %" in row
        assert "72 in 12 templates" in row


def test_attention_is_observational_a_screen_estimated_and_an_effect_causal() -> None:
    page = export_html(document(), evidence=DECLARED).decode()
    badges = {
        strip(title).strip(): badge for title, badge in re.findall(r"<h4>(.*?)</h4> <span class=\"badge (\w+)\"", page)
    }
    assert badges == {
        "families": "causal",
        "self repair": "causal",
        "plausibility": "observational",
        "screened": "estimated",
    }


def test_numbers_whose_evidence_no_type_declares_are_shown_without_a_badge() -> None:
    page = export_html({"plausibility": estimate(0.43), "guess": estimate(0.2)}, evidence={"guess": None}).decode()
    assert 'class="badge' not in page
    assert page.count("kind of evidence unknown") == 2
    assert page.count("72 in 12 templates") == 2


def test_numbers_of_one_field_that_differ_in_evidence_are_two_figures() -> None:
    declared = {"effects": {"read": Evidence.OBSERVATIONAL, "done": Evidence.CAUSAL}}
    page = export_html({"effects": {"read": estimate(0.4), "done": estimate(0.2)}}, evidence=declared).decode()
    assert re.findall(r'class="badge (\w+)"', page) == ["observational", "causal"]


def test_another_device_than_the_cpu_is_named() -> None:
    there = {"device": "cuda", "device_name": "A GPU 80GB"}
    near, far = (strip(export_html({"identity": identity() | more}, evidence={}).decode()) for more in ({}, there))
    assert "Device" not in near
    assert all(text in far for text in ("Device", "cuda", "A GPU 80GB"))


def test_the_sentence_of_an_audit_is_shown_with_and_without_a_state() -> None:
    own = {"identity": identity(), "finding": "The decoder relies on the token that differs."}
    for whole in (own, own | {"state": "supported"}):
        page = strip(export_html(whole, evidence={}).decode())
        head = page.rpartition("Finding and conditions")[2][:100]
        assert page.count(own["finding"]) == 1
        assert own["finding"] in head
        assert ("Supported" in head) is ("state" in whole)


def test_it_says_that_it_is_not_signed_and_names_the_json_it_was_made_from() -> None:
    page = strip(export_html(document(), evidence=DECLARED).decode())
    assert page.count(hash_document(document())) == 2
    assert "not signed" in page
    assert "applies no policy" in page


def test_where_the_model_lay_on_a_disk_is_not_shown() -> None:
    assert "/somewhere/private" not in export_html(document(), evidence=DECLARED).decode()


def test_the_families_are_beside_delta() -> None:
    figure = next(
        part
        for part in re.findall(r"<figure>.*?</figure>", export_html(document(), evidence=DECLARED).decode(), re.S)
        if "families" in part
    )
    assert ">δ<" in figure


def test_a_long_list_of_numbers_is_a_table_and_not_a_drawing() -> None:
    rows = [{"component": f"L{i}.H0", "effect": estimate(i / 10)} for i in range(MOST_DRAWN + 1)]
    page = export_html({"cells": rows}, evidence={"cells": Evidence.CAUSAL}).decode()
    assert "<svg" not in page
    assert "too many to draw" in page
    assert page.count("72 in 12 templates") == MOST_DRAWN + 1


def test_everything_that_was_recorded_is_there() -> None:
    page = strip(export_html(document(), evidence=DECLARED).decode())
    for part in ("accuracy", "199 sets of one head", "60 numbers from -0.0600 to 0.0580", "granularity", "noising", "logit_difference"):  # fmt: skip
        assert part in page


@pytest.mark.parametrize("made", [claim(*CLAIMS[1]), claim(*CLAIMS[1])["claim"]])
def test_a_claim_alone_is_a_file_too(made: dict[str, Any]) -> None:
    page = strip(export_html(made, evidence={}).decode())
    assert "L10.H2" in page
    assert "sufficient" in page
    assert "0.8" in page


def test_what_json_cannot_hold_is_refused() -> None:
    with pytest.raises(Refused):
        export_html({"accuracy": float("nan")}, evidence={})
    assert json.loads(json.dumps(document())) == document()
