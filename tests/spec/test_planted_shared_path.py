"""Claims on the shared path of a mixture, through the verdict: on a model whose shared path carries the answer, and on one where nothing reads it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest

from audit_core import open_subject
from audit_core.calibration import quote_calibration
from audit_core.calibration.samples import judge_samples, make_claim
from audit_core.claim import Claim, Universe, fit_universe
from audit_core.component import Component, Kind, parse_component, parse_components
from audit_core.errors import ClaimRefused
from audit_core.intervention import CLEAN_RUN, Replacement, intervene
from audit_core.judging.faithfulness import list_universe
from audit_core.judging.null import draw_null
from audit_core.judging.verdict import State
from audit_core.prompts.alignment import tokenise
from audit_core.subjects.planted.key import PlantedClaim, PlantedModel
from audit_core.subjects.planted.shared_path import SHARED, SHARED_IDLE

SITE = parse_component("L0.SHARED")


@pytest.fixture(scope="module")
def opened() -> Callable[[str], Any]:
    return cache(open_subject)


def find_claim(model: PlantedModel, components: str, role: str = "necessary") -> PlantedClaim:
    wanted = parse_components(components)
    return next(one for one in model.claims if one.components == wanted and one.role.value == role)


@pytest.mark.parametrize(("model", "lost"), [(SHARED, 7.0), (SHARED_IDLE, 0.0)], ids=["carries", "idle"])
def test_replacing_the_shared_path_costs_what_it_was_planted_to_write(
    model: PlantedModel, lost: float, opened: Callable[[str], Any]
) -> None:
    """Under the identity nothing changes; zero takes the answer away, or nothing."""
    subject = opened(model.name)
    prompts = tokenise(model.tasks[0].make(1, 0), subject.tokenizer)
    asked = (CLEAN_RUN, intervene([SITE], Replacement.SCALE, factor=1.0), intervene([SITE], Replacement.ZERO))
    found = subject.run(prompts, asked)
    clean, same, zero = (found.answer - found.foil).mean(1)
    assert clean == pytest.approx(7, abs=0.2)
    assert abs(clean - same) <= 10 * subject.tolerance
    assert clean - zero == pytest.approx(lost, abs=0.05)


@pytest.mark.parametrize(
    ("model", "components", "role", "state", "reason"),
    [
        (SHARED, "L0.SHARED", "necessary", State.SUPPORTED, None),
        (SHARED, "L0.SHARED", "sufficient", State.INCONCLUSIVE, "no_null"),
        (SHARED_IDLE, "L0.SHARED", "necessary", State.NEGLIGIBLE, None),
    ],
    ids=["necessary", "sufficient", "idle"],
)
def test_a_claim_on_the_shared_path_gets_the_planted_verdict(
    model: PlantedModel, components: str, role: str, state: State, reason: str | None, opened: Callable[[str], Any]
) -> None:
    planted = find_claim(model, components, role)
    (sample,) = judge_samples(opened(model.name), model, planted, seed=0, samples=1)
    assert (sample.found["combined"], sample.reason) == (state.value, reason)
    assert planted.expected is state


def test_its_baseline_is_random_directions_because_a_layer_has_one_shared_path(opened: Callable[[str], Any]) -> None:
    claim = make_claim(find_claim(SHARED, "L0.SHARED"))
    universe = list_universe(opened(SHARED.name), claim.universe)
    assert {part.kind for part in universe} == {Kind.EXPERT, Kind.SHARED}
    necessary = draw_null(claim.components, universe, [160], can_use_directions=True, seed=0)
    assert (len(necessary.sets), len(necessary.directions)) == (199, 199)
    assert "random directions" in necessary.design
    sufficient = draw_null(claim.components, universe, [160], can_use_directions=False, seed=0)
    assert sufficient.sets == ((parse_component("L1.SHARED"),),)
    # Also in a model with many experts there are no other sets of this shape than the other layers' paths.
    many = [Component(layer, Kind.EXPERT, at) for layer in range(2) for at in range(64)]
    assert draw_null(claim.components, [*many, *universe], [160], can_use_directions=True, seed=0).directions


def test_a_claim_on_a_shared_path_names_a_universe_that_contains_it() -> None:
    parts = parse_components("L0.SHARED")
    with pytest.raises(ClaimRefused, match=r"set universe to one of experts\+shared, heads\+experts\+shared"):
        Claim("c", parts, Universe.EXPERTS)
    assert fit_universe(parts, Universe.HEADS) is Universe.EXPERTS_SHARED
    assert fit_universe(parse_components("L0.E5"), Universe.HEADS) is Universe.EXPERTS
    assert fit_universe(parse_components("L0.E5 L0.SHARED L0.H1"), Universe.HEADS) is Universe.HEADS_EXPERTS_SHARED


def test_its_verdict_quotes_no_error_rate_of_other_components() -> None:
    assert "was not measured" in quote_calibration(["L0.SHARED", "L0.E5"])
    assert "was not measured" not in quote_calibration(["L0.E5"])


def test_without_the_shared_path_in_everything_an_expert_of_this_model_has_no_gap(opened: Callable[[str], Any]) -> None:
    """Experts alone carry nothing here, so that a fraction of their gap would be of noise."""
    subject = opened(SHARED.name)
    prompts = tokenise(SHARED.tasks[0].make(1, 0), subject.tokenizer)
    experts = intervene(subject.components(Kind.EXPERT), Replacement.RESAMPLE)
    both = intervene([*subject.components(Kind.EXPERT), *subject.components(Kind.SHARED)], Replacement.RESAMPLE)
    found = subject.run(prompts, (CLEAN_RUN, experts, both))
    clean, without_experts, without_both = (found.answer - found.foil).mean(1)
    assert abs(clean - without_experts) < 0.5
    assert clean - without_both == pytest.approx(14, abs=0.5)
    assert np.isfinite(found.answer).all()
