"""What holds of every circuit, whatever its parts are worth."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from toy.additive import AdditiveSubject, pair_up

from audit_core.claim import Role, Universe
from audit_core.component import Component, Kind
from audit_core.effect import measure_effect
from audit_core.intervention import Direction, Replacement, intervene
from audit_core.judging.faithfulness import estimate_faithfulness, plan_circuit, read_circuit
from audit_core.metrics.logit_difference import PLUGIN as LOGIT_DIFFERENCE
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.bootstrap import bootstrap_ratio
from audit_core.stats.estimates import Estimate
from audit_core.subject import Subject

FAMILIES = (Replacement.ZERO, Replacement.MEAN, Replacement.RESAMPLE)
PARTS = (*AdditiveSubject({}).components(Kind.HEAD), *AdditiveSubject({}).components(Kind.MLP))

totals = st.floats(2, 6)
rest = st.lists(st.floats(-4, 4), min_size=len(PARTS) - 1, max_size=len(PARTS) - 1)
worths = st.builds(lambda total, others: [total - sum(others), *others], totals, rest)
"""Parts push both ways; together they are worth 2 to 6."""
levels = st.lists(st.floats(1, 2), min_size=20, max_size=20)
"""Of clean texts; corrupted texts have these reversed, so that every way of taking parts away leaves a gap of 1 or more."""
circuits = st.sets(st.sampled_from(PARTS))
families = st.sampled_from(FAMILIES)


def build(worth: list[float], level: list[float]) -> tuple[AdditiveSubject, TokenisedPrompts]:
    """Ten prompts of five templates; each text has a level of its own."""
    texts = [(f"good {at} x", f"bad {at} x") for at in range(10)]
    at = {text: size * (1 if text.startswith("good") else -1) for text, size in zip(sum(texts, ()), level)}
    subject = AdditiveSubject(dict(zip(PARTS, worth)), level=at.__getitem__, rest=1.0)
    return subject, pair_up(subject, texts=texts)


def measure(
    subject: Subject, prompts: TokenisedPrompts, parts: set[Component], family: Replacement, role: Role
) -> Estimate:
    runs = plan_circuit(subject, sorted(parts), Universe.HEADS_MLPS, family)
    means = subject.capture_means(prompts)
    effect = measure_effect(subject, prompts, runs.as_tuple(), LOGIT_DIFFERENCE, means=means, seed=0)
    return estimate_faithfulness(read_circuit(effect, runs), role, seed=0, level=0.95)


@given(worths, levels, families)
def test_the_full_circuit_is_everything_and_the_empty_one_nothing(
    worth: list[float], level: list[float], family: Replacement
) -> None:
    subject, prompts = build(worth, level)
    for role in Role:
        full = measure(subject, prompts, set(PARTS), family, role)
        assert (full.value, full.low, full.high) == (1, 1, 1)
        empty = measure(subject, prompts, set(), family, role)
        assert (empty.value, empty.low, empty.high) == (0, 0, 0)


@given(worths, levels, circuits, families)
def test_what_a_circuit_keeps_is_what_taking_the_rest_away_does_not_cost(
    worth: list[float], level: list[float], circuit: set[Component], family: Replacement
) -> None:
    """S(C) = (m(C) − m(∅))/D and N(rest) = (m(M) − m(C))/D add up to 1."""
    subject, prompts = build(worth, level)
    kept = measure(subject, prompts, circuit, family, Role.SUFFICIENT)
    cost = measure(subject, prompts, set(PARTS) - circuit, family, Role.NECESSARY)
    assert kept.value + cost.value == pytest.approx(1, abs=1e-6)


@given(worths, levels, circuits, families, st.randoms(use_true_random=False))
def test_the_order_of_prompts_is_irrelevant(
    worth: list[float], level: list[float], circuit: set[Component], family: Replacement, draw: random.Random
) -> None:
    subject, prompts = build(worth, level)
    shuffled = replace(prompts, pairs=tuple(draw.sample(prompts.pairs, len(prompts))))
    for role in Role:
        first, second = (measure(subject, order, circuit, family, role) for order in (prompts, shuffled))
        for name in ("value", "low", "high"):
            assert getattr(second, name) == pytest.approx(getattr(first, name), abs=1e-6)


@given(worths, levels, circuits, families, st.floats(1, 50))
def test_the_scale_of_the_metric_cancels_in_a_fraction(
    worth: list[float], level: list[float], circuit: set[Component], family: Replacement, scale: float
) -> None:
    """The positive control: the effect itself is multiplied."""
    subject, prompts = build(worth, level)
    louder = AdditiveSubject(
        {part: scale * size for part, size in subject.worth.items()}, level=subject.level, rest=1.0
    )
    for role in Role:
        first, second = (measure(one, prompts, circuit, family, role) for one in (subject, louder))
        for name in ("value", "low", "high"):
            assert getattr(second, name) == pytest.approx(getattr(first, name), abs=1e-5)
    asked = [intervene(sorted(circuit), family)]
    supports = [
        measure_effect(one, prompts, asked, LOGIT_DIFFERENCE, means=one.capture_means(prompts), seed=0).support
        for one in (subject, louder)
    ]
    np.testing.assert_allclose(supports[1], scale * supports[0], rtol=1e-3, atol=1e-3)


@given(worths, levels, circuits)
def test_resampling_costs_by_noising_what_it_restores_by_denoising(
    worth: list[float], level: list[float], circuit: set[Component]
) -> None:
    """True of sums alone; real models differ by direction, which is why the direction stands beside every number."""
    subject, prompts = build(worth, level)
    assume(circuit)
    asked = [intervene(sorted(circuit), Replacement.RESAMPLE, direction=direction) for direction in Direction]
    noised, denoised = measure_effect(subject, prompts, asked, LOGIT_DIFFERENCE, seed=0).support
    np.testing.assert_allclose(noised, denoised, atol=1e-4)


values = st.lists(st.tuples(st.floats(-5, 5), st.floats(0.5, 5)), min_size=10, max_size=30)


@given(values, st.integers(2, 6), st.randoms(use_true_random=False), st.floats(0.1, 100))
def test_an_estimate_is_blind_to_order_and_scale(
    rows: list[tuple[float, float]], n_templates: int, draw: random.Random, scale: float
) -> None:
    names = [f"t{at % n_templates}" for at in range(len(rows))]
    order = draw.sample(range(len(rows)), len(rows))

    def estimate(at: list[int], factor: float) -> Estimate:
        above, below = (np.array([rows[i][side] for i in at]) * factor for side in (0, 1))
        return bootstrap_ratio(above, below, [names[i] for i in at], unit="u", seed=0)

    first, second = estimate(list(range(len(rows))), 1.0), estimate(order, scale)
    for name in ("value", "low", "high"):
        assert getattr(second, name) == pytest.approx(getattr(first, name), abs=1e-9)


@given(values, st.integers(2, 6), st.floats(0.5, 0.9), st.floats(0.91, 0.999))
def test_a_higher_level_gives_a_wider_interval(
    rows: list[tuple[float, float]], n_templates: int, low: float, high: float
) -> None:
    names = [f"t{at % n_templates}" for at in range(len(rows))]
    above, below = (np.array([row[side] for row in rows]) for side in (0, 1))
    narrow, wide = (bootstrap_ratio(above, below, names, unit="u", seed=0, level=level) for level in (low, high))
    assert wide.low is not None
    assert wide.high is not None
    assert narrow.low is not None
    assert narrow.high is not None
    assert wide.low <= narrow.low <= narrow.high <= wide.high
