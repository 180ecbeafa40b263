"""Prompts that a threshold needs: by hand from the formula, within what the recorded heads show."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from audit_core.claim import Claim, Role, dump_claim, read_claim
from audit_core.component import head
from audit_core.errors import ClaimRefused
from audit_core.judging import plan_sample_size
from audit_core.judging.sample_size import TYPICAL_SPREAD

STORY = Path(__file__).resolve().parents[2] / "data/story/indirect_object.json"


def test_the_number_of_templates_is_that_of_the_formula() -> None:
    found = plan_sample_size(Role.NECESSARY, 0.1, prompts=72, templates=12)
    assert found is not None
    assert found.needed_templates == math.ceil(((1.959964 + 0.841621) * 0.17 / 0.1) ** 2) == 23
    assert (found.needed_prompts, found.is_enough) == (138, False)


def test_a_large_threshold_still_needs_the_minimum_of_any_verdict() -> None:
    found = plan_sample_size(Role.NECESSARY, 1.0, prompts=24, templates=12)
    assert found is not None
    assert (found.needed_templates, found.needed_prompts, found.is_enough) == (5, 20, True)


@pytest.mark.parametrize(("delta", "templates"), [(1.0, 12), (0.8, 0)])
def test_what_no_number_of_prompts_can_settle_has_no_number(delta: float, templates: int) -> None:
    assert plan_sample_size(Role.SUFFICIENT, delta, prompts=6 * templates, templates=templates) is None


def test_the_assumed_spread_is_what_recorded_heads_that_act_show() -> None:
    spreads = []
    for claim in json.loads(STORY.read_text())["claims"]:
        for one in claim["result"]["families"].values():
            spreads.append((one["high"] - one["low"]) / (2 * 1.959964) * math.sqrt(one["templates"]))
    acting = sorted(spread for spread in spreads if spread > 0.1)
    assert acting[0] < TYPICAL_SPREAD < acting[-1]
    assert sum(spread <= TYPICAL_SPREAD for spread in spreads) >= 0.75 * len(spreads)


def test_a_claim_file_reads_the_same_from_toml_and_from_json() -> None:
    claim = Claim("It is needed", (head(1, 0),))
    assert read_claim(dump_claim(claim).encode(), name="c.toml") == claim
    assert read_claim(json.dumps(claim.to_json()).encode(), name="C.JSON") == claim
    for raw in (b"[1]", b"{", b'{"name": "x", "components": ["L0.H0"], "more": 1}'):
        with pytest.raises(ClaimRefused):
            read_claim(raw, name="c.json")
