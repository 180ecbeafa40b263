"""What a causal reading rests on: five assumptions, each with its status, and none left out."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from toy.additive import AdditiveSubject, pair_up

from audit_core.claim import Claim, Role
from audit_core.component import head
from audit_core.controls import Controls
from audit_core.intervention import Replacement
from audit_core.judging.identification import Assumption, Status, describe_scope, list_assumptions
from audit_core.judging.repair import Backup, Repair
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts, take_split, take_tokenised_split
from audit_core.stats.estimates import Estimate
from audit_core.stats.groups import estimate_within

CLAIM = Claim("needed", (head(0, 0),))
WIDE = Estimate(0.3, 0.2, 0.4, 40, "fraction", 0.95, 8)
LOSS = Estimate(1.0, 0.8, 1.2, 24, "logits", 0.95, 8)
REPAIR = Repair(LOSS, LOSS, None, (), 7, is_searched=True)


def ask(prompts: TokenisedPrompts, **changes: Any) -> dict[str, Assumption]:
    known: dict[str, Any] = {
        "families": {Replacement.RESAMPLE: WIDE},
        "shifts": {Replacement.RESAMPLE: replace(WIDE, value=0.4)},
        "in_range": {},
        "no_range": "no MLP reads these components.",
        "controls": Controls(0.0, 2.0, 1e-5, 4),
        "repair": REPAIR,
        "accuracy": 0.98,
    } | changes
    claim = known.pop("claim", CLAIM)
    metric: Any = SimpleNamespace(name="logit_difference", unit="logits")
    return {one.name: one for one in list_assumptions(claim, prompts, metric, **known)}


@pytest.fixture(scope="module")
def prompts() -> TokenisedPrompts:
    return pair_up(AdditiveSubject({head(0, 0): 3.0}))


def test_five_assumptions_are_named_whatever_was_measured(prompts: TokenisedPrompts) -> None:
    measured, unmeasured = ask(prompts), ask(prompts, families={}, shifts={}, repair=None)
    assert list(measured) == list(unmeasured)
    assert list(measured) == ["intervention", "positivity", "no interference", "construct", "population"]
    assert unmeasured["positivity"].status is unmeasured["no interference"].status is Status.NOT_CHECKED


def test_a_run_far_from_unedited_ones_is_doubtful(prompts: TokenisedPrompts) -> None:
    assert ask(prompts)["positivity"].status is Status.CHECKED
    far = ask(prompts, shifts={Replacement.RESAMPLE: replace(WIDE, value=-5.5)})
    assert far["positivity"].status is Status.DOUBTFUL


def test_an_effect_that_is_mostly_lost_in_range_is_doubtful(prompts: TokenisedPrompts) -> None:
    """A third of 0.3 is left: doubtful. Two thirds: checked. Neither length nor range: not checked."""
    lost, kept = (ask(prompts, in_range={Replacement.RESAMPLE: replace(WIDE, value=v)}) for v in (0.1, 0.2))
    assert lost["positivity"].status is Status.DOUBTFUL
    assert "usual range the effect is 0.10" in lost["positivity"].found
    assert kept["positivity"].status is Status.CHECKED
    neither = ask(prompts, shifts={})["positivity"]
    assert neither.status is Status.NOT_CHECKED
    assert "no MLP reads these components" in neither.found


def test_a_component_with_a_backup_is_doubtful_and_the_backup_is_named(prompts: TokenisedPrompts) -> None:
    assert ask(prompts)["no interference"].status is Status.CHECKED
    found = ask(prompts, repair=replace(REPAIR, backups=(Backup("L2.H0", LOSS),)))["no interference"]
    assert found.status is Status.DOUBTFUL
    assert "L2.H0" in found.found
    kept = ask(prompts, claim=replace(CLAIM, role=Role.SUFFICIENT))["no interference"]
    assert kept.status is Status.NOT_CHECKED


def test_templates_of_both_splits_limit_the_verdict_to_them(prompts: TokenisedPrompts) -> None:
    assert ask(prompts)["population"].status is Status.NOT_CHECKED
    apart = replace(prompts, templates_of_both=())
    assert ask(apart)["population"].status is Status.CHECKED
    assert describe_scope(apart) == ""
    shared = replace(prompts, templates_of_both=tuple(set(prompts.templates)))
    assert ask(shared)["population"].status is Status.DOUBTFUL
    assert describe_scope(shared).startswith("For these templates only")


def test_a_split_names_the_templates_that_the_other_split_has_too() -> None:
    subject = AdditiveSubject({head(0, 0): 3.0})
    whole = pair_up(subject)
    texts = PromptSet("mine", tuple(pair.prompt for pair in whole.pairs))
    for exploratory in (True, False):
        split, other = (take_tokenised_split(whole, exploratory=half) for half in (exploratory, not exploratory))
        wanted = set(split.templates) & set(other.templates)
        assert set(split.templates_of_both or ()) == wanted
        assert wanted, "the toy's splits share templates, else this test would hold by itself"
        assert tokenise(take_split(texts, exploratory=exploratory), subject.tokenizer).templates_of_both == tuple(
            sorted(wanted)
        )
    assert whole.templates_of_both is None


def test_the_interval_for_exactly_these_templates_ignores_the_spread_between_them() -> None:
    """Two templates far apart, without spread inside; then the formula by hand with a spread inside."""
    names = ("a", "a", "b", "b")
    flat = estimate_within(np.array([1.0, 1, 9, 9]), np.full(4, 10.0), names, unit="fraction")
    assert (flat.value, flat.low, flat.high) == pytest.approx((0.5, 0.5, 0.5))
    spread = estimate_within(np.array([0.0, 2, 8, 10]), np.full(4, 10.0), names, unit="fraction")
    # Each template: 2 / (2 − 1) · (1² + 1²) = 4; √8 / 40 · t(0.975, 2) = 0.3042.
    assert spread.value == pytest.approx(0.5)
    assert spread.high == pytest.approx(0.5 + 8**0.5 / 40 * 4.302653, abs=1e-5)
    assert estimate_within(np.ones(3), np.ones(3), ("a", "a", "b"), unit="fraction").low is None
