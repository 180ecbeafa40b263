"""Members of a set: a set is not necessary as a whole where one of its components is."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from audit_core.audits.claim_test import PLUGIN, ClaimTestRequest, ClaimTestResult
from audit_core.claim import Claim, Role, Universe
from audit_core.component import parse_components
from audit_core.effect import get_metric, measure_effect
from audit_core.intervention import Replacement, intervene
from audit_core.judging.faithfulness import list_universe
from audit_core.judging.members import MOST_MEMBERS, can_test_members
from audit_core.prompts.alignment import tokenise
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted

Load = Callable[[str], Any]


def judge(
    load_planted: Load, name: str, parts: str, *, task: str = "query", role: Role = Role.NECESSARY
) -> ClaimTestResult:
    model, subject = find_planted(name), load_planted(name)
    assert model is not None
    prompts = tokenise(model.find_task(task).make(4, 0), subject.tokenizer)
    claim = Claim("x", parse_components(parts), role=role, delta=0.8 if role is Role.SUFFICIENT else 0.1)
    request = ClaimTestRequest(prompts, claim)
    return PLUGIN.run(subject, request, means=subject.capture_means(prompts), on_progress=no_progress)


@pytest.mark.parametrize("role", list(Role))
def test_idle_members_of_a_set_are_named(load_planted: Load, role: Role) -> None:
    parts = "L0.H0 L1.H0 L1.H2" if role is Role.SUFFICIENT else "L1.H0 L1.H1 L1.H2"
    found = judge(load_planted, "planted-strict", parts, role=role)
    parts_of = {member.component: member.part for member in found.members}
    assert parts_of["L1.H0"] == "carries"
    assert parts_of["L1.H2"] == "idle"
    assert "Carried by" in found.sentence
    assert "L1.H2" in found.sentence.split("Carried by")[1]


def test_both_members_of_a_redundant_pair_carry_it(load_planted: Load) -> None:
    """Neither does anything alone; each is all that is left without the other."""
    found = judge(load_planted, "planted-and", "L1.H0 L1.H1")
    assert {member.part for member in found.members} == {"carries"}


def test_contributions_equal_separate_runs(load_planted: Load) -> None:
    found = judge(load_planted, "planted-strict", "L1.H0 L1.H1")
    model, subject = find_planted("planted-strict"), load_planted("planted-strict")
    assert model is not None
    prompts = tokenise(model.find_task("query").make(4, 0), subject.tokenizer)
    prompts = prompts.take(prompts.spread(24))
    first, both = parse_components("L1.H0"), parse_components("L1.H0 L1.H1")
    everything = list_universe(subject, Universe.HEADS)
    runs = [intervene(part, Replacement.RESAMPLE) for part in (first, both, everything)]
    effect = measure_effect(subject, prompts, runs, get_metric("logit_difference"), seed=0)
    alone, whole, empty = np.asarray(effect.patched)
    gap = (effect.clean - empty).mean()
    by_name = {member.component: member for member in found.members}
    assert by_name["L1.H0"].alone.value == pytest.approx(float((effect.clean - alone).mean() / gap), abs=1e-5)
    assert by_name["L1.H1"].added.value == pytest.approx(float((alone - whole).mean() / gap), abs=1e-5)


def test_single_components_and_very_large_sets_have_no_members() -> None:
    assert not can_test_members(Claim("x", parse_components("L1.H0")))
    many = " ".join(f"L{at}.H0" for at in range(MOST_MEMBERS + 1))
    assert not can_test_members(Claim("x", parse_components(many)))
