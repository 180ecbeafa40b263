"""How many prompts a verdict needs, and what is said where there are too few."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from audit_core.audits.claim_test import PLUGIN, ClaimTestRequest, ClaimTestResult
from audit_core.claim import Claim
from audit_core.component import parse_components
from audit_core.prompts import tokenise
from audit_core.statistics import Estimate, count_needed
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted


def test_prompts_needed_follow_from_the_interval() -> None:
    """[0.1, 0.3] at n = 100 is σ = 0.1 / 1.96 · 10 = 0.510 a prompt; (1.96 + 0.842)² · 0.510² / 0.15² = 90.9; and four
    times as many for half the distance."""
    found = Estimate(0.2, 0.1, 0.3, 100, "u", 0.95)
    assert count_needed(found, 0.05) == 91
    assert count_needed(found, 0.125) == 364
    assert count_needed(found, 0.2) is None, "no number of prompts separates a value from itself"
    assert count_needed(Estimate(0.2, None, None, 1, "u", None), 0.1) is None


@pytest.mark.parametrize("per_template, state, reason", [(1, "inconclusive", "low_power"), (8, "negligible", None)])
def test_a_bystander_is_negligible_only_with_enough_prompts(
    per_template: int, state: str, reason: str | None, load_planted: Callable[[str], Any]
) -> None:
    """T12: eight prompts carry no verdict, however small the effect looks; sixty-four do."""
    model, subject = find_planted("planted-induction"), load_planted("planted-induction")
    assert model is not None
    prompts = tokenise(model.find_task("query").make(per_template, 0), subject.tokenizer)
    claim = Claim("a bystander", parse_components("L2.H4"))
    means = subject.capture_means(prompts)
    found: ClaimTestResult = PLUGIN.run(subject, ClaimTestRequest(prompts, claim), means=means, on_progress=no_progress)
    assert len(prompts) == 8 * per_template
    assert (found.state, found.reason) == (state, reason)
    assert found.families["resample"] is not None
    assert abs(found.families["resample"].value) < 0.02
