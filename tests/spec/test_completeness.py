"""Completeness and minimality where the wiring says what a circuit lacks, and what in it is idle."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from toy.additive import AdditiveSubject, pair_up

from audit_core.audits.circuit import PLUGIN, CircuitRequest, CircuitResult
from audit_core.circuits.completeness import propose_subsets
from audit_core.component import head, parse_components
from audit_core.errors import ClaimRefused, NotMeasured
from audit_core.intervention import Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted

Load = Callable[[str], Any]


def break_circuit(load_planted: Load, name: str, parts: str, replacement: Replacement, n: int = 4) -> CircuitResult:
    model, subject = find_planted(name), load_planted(name)
    assert model is not None
    prompts = tokenise(model.find_task("query").make(n, 0), subject.tokenizer)
    request = CircuitRequest(prompts, prompts, parse_components(parts), replacement=replacement)
    return PLUGIN.run(subject, request, means=subject.capture_means(prompts), on_progress=no_progress)


def test_the_missing_backup_is_found_under_zero_and_nothing_is_missing_with_it(load_planted: Load) -> None:
    """T7: without its primary head the model has 5 logits left and the circuit −3: a gap of −8/7, where zero wakes it."""
    whole = "L0.H0 L1.H0 L1.H3"
    found = break_circuit(load_planted, "planted-induction", whole, Replacement.ZERO)
    widest = found.gaps[0]
    assert "L1.H0" in widest.subset
    assert widest.found.estimate.value == pytest.approx(-8 / 7, abs=0.02)
    assert "show a gap above 0.1 over the whole interval" in found.completeness
    with_it = break_circuit(load_planted, "planted-induction", whole + " L2.H0", Replacement.ZERO)
    assert with_it.completeness.startswith("No gap above 0.1 was found")
    asleep = break_circuit(load_planted, "planted-induction", whole, Replacement.RESAMPLE)
    assert asleep.completeness.startswith("No gap above 0.1 was found")
    assert asleep.sufficiency.estimate.value == pytest.approx(1, abs=0.02)


def test_greedy_search_is_in_the_log_and_finds_no_less_than_singles(load_planted: Load) -> None:
    found = break_circuit(load_planted, "planted-induction", "L0.H0 L1.H0 L1.H3", Replacement.ZERO)
    widest = {
        how: max(abs(g.found.estimate.value) for g in found.gaps if g.how == how) for how in {g.how for g in found.gaps}
    }
    assert set(widest) >= {"single", "random"}
    assert len({gap.subset for gap in found.gaps}) == len(found.gaps) <= 7
    assert [abs(g.found.estimate.value) for g in found.gaps] == sorted(
        (abs(g.found.estimate.value) for g in found.gaps), reverse=True
    )


def test_a_decoy_in_the_circuit_is_idle_and_the_wiring_is_not(load_planted: Load) -> None:
    found = break_circuit(load_planted, "planted-strict", "L0.H0 L1.H0 L1.H1 L1.H3", Replacement.ZERO)
    assert found.idle == ("L1.H1",)
    worth = {w.component: w.found.estimate.value for w in found.worths}
    assert worth["L1.H0"] == pytest.approx(10 / 7, abs=0.02)
    assert worth["L1.H3"] == pytest.approx(-3 / 7, abs=0.02)


def test_one_of_two_that_each_suffice_is_worth_something_beside_the_right_subset(load_planted: Load) -> None:
    """Alone neither is missed; without the other each is all there is."""
    found = break_circuit(load_planted, "planted-or", "L0.H0 L1.H0 L1.H1", Replacement.ZERO)
    worth = {w.component: w for w in found.worths}
    assert not found.idle
    assert abs(worth["L1.H0"].found.estimate.value) > 0.9
    assert "L1.H1" in worth["L1.H0"].beside


def test_numbers_by_hand() -> None:
    """Worth 3, 2 and 1: a circuit of the first two keeps 5/6, loses 5/6 without, and every gap is the 1/6 left out."""
    subject = AdditiveSubject({head(0, 0): 3.0, head(0, 1): 2.0, head(1, 2): 1.0})
    prompts = pair_up(subject)
    request = CircuitRequest(prompts, prompts, (head(0, 0), head(0, 1)), replacement=Replacement.ZERO)
    found = PLUGIN.run(subject, request, means=None, on_progress=no_progress)
    assert found.sufficiency.estimate.value == pytest.approx(5 / 6)
    assert found.necessity.estimate.value == pytest.approx(5 / 6)
    assert {g.subset: round(g.found.estimate.value, 6) for g in found.gaps} == {
        ("L0.H0",): -0.166667,
        ("L0.H1",): -0.166667,
        ("L0.H0", "L0.H1"): -0.166667,
    }
    assert [round(w.found.estimate.value, 6) for w in found.worths] == [0.5, 0.333333]
    assert [e.value for e in found.by_template.estimates] == pytest.approx([5 / 6] * len(set(prompts.templates)))


def test_subsets_are_distinct_and_not_empty() -> None:
    parts = tuple(head(layer, index) for layer in range(3) for index in range(2))
    found = propose_subsets(parts, draws=30, seed=0)
    assert len({s.parts for s in found}) == len(found)
    assert all(s.parts and s.parts <= set(parts) for s in found)
    assert [s.how for s in found[:9]] == ["single"] * 6 + ["layer"] * 3


def test_what_is_no_part_of_the_universe_is_refused_and_no_gap_is_no_number() -> None:
    subject = AdditiveSubject({head(0, 0): 3.0})
    prompts = pair_up(subject)
    with pytest.raises(ClaimRefused, match="L9.H9"):
        PLUGIN.run(subject, CircuitRequest(prompts, prompts, (head(9, 9),)), means=None, on_progress=no_progress)
    with pytest.raises(ClaimRefused, match="nothing"):
        PLUGIN.run(subject, CircuitRequest(prompts, prompts, ()), means=None, on_progress=no_progress)
    idle = AdditiveSubject({head(0, 0): 0.0}, rest=4.0)
    with pytest.raises(NotMeasured):
        PLUGIN.run(
            idle,
            CircuitRequest(pair_up(idle), pair_up(idle), (head(0, 0),), replacement=Replacement.ZERO),
            means=None,
            on_progress=no_progress,
        )
