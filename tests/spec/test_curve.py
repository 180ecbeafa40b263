"""Curves of nested circuits: ends, areas by hand, and a good order against chance where the wiring is known."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from toy.additive import AdditiveSubject, pair_up

from audit_core.audits.curve import PLUGIN, RANDOM_ORDERS, CurveRequest
from audit_core.circuits.curve import list_sizes, measure_areas, plan_curve
from audit_core.component import Kind, head
from audit_core.errors import ClaimRefused
from audit_core.intervention import Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted


def test_sizes_hold_nothing_one_and_everything() -> None:
    assert list_sizes(270) == (0, 1, 3, 5, 14, 27, 68, 135, 270)
    assert list_sizes(1) == (0, 1)
    for n in range(1, 50):
        sizes = list_sizes(n)
        assert (sizes[0], sizes[-1]) == (0, n)
        assert list(sizes) == sorted(set(sizes))


def test_areas_by_hand() -> None:
    """A straight line from 0 to 1: half and half. At 2 in the middle: (0 + 2)/2 · ½ + (2 + 1)/2 · ½; distances 1, 1, 0."""
    straight = measure_areas((0, 5, 10), np.array([0, 0.5, 1]))
    assert (straight.cpr, straight.cmd) == (pytest.approx(0.5), pytest.approx(0.5))
    above = measure_areas((0, 5, 10), np.array([0.0, 2, 1]))
    assert (above.cpr, above.cmd) == (pytest.approx(1.25), pytest.approx(0.75))


def test_each_plan_leaves_the_first_of_the_order() -> None:
    parts = tuple(head(0, index) for index in range(4))
    plans = plan_curve(parts[::-1], parts, Replacement.ZERO, list_sizes(len(parts)))
    left = [sorted(set(map(str, parts)) - set(map(str, plan.components))) for plan in plans]
    assert left[0] == []
    assert left[1] == ["L0.H3"]
    assert all(set(a) < set(b) for a, b in itertools.pairwise(left))


def test_a_curve_by_hand() -> None:
    """Six heads worth 4, 2, 0, 0, 0, 0 in this order: one keeps 4/6, two everything."""
    worth = {head(0, 0): 4.0, head(0, 1): 2.0}
    subject = AdditiveSubject(worth)
    order = subject.components(Kind.HEAD)
    found = PLUGIN.run(
        subject,
        CurveRequest(pair_up(subject), pair_up(subject), order[:2], replacement=Replacement.ZERO, order=order),
        means=None,
        on_progress=no_progress,
    )
    kept = {point.size: point.kept.estimate.value for point in found.points}
    assert kept[0] == pytest.approx(0)
    assert kept[1] == pytest.approx(4 / 6)
    assert found.named.estimate.value == pytest.approx(1)
    assert kept[2] == kept[6] == pytest.approx(1)
    assert len(found.points[1].random) == RANDOM_ORDERS == len(found.random_areas)
    assert all(0 <= value <= 1 + 1e-9 for point in found.points for value in point.random)
    assert found.areas.cmd + found.areas.cpr == pytest.approx(1)


def test_the_wiring_first_beats_random_orders(load_planted: Callable[[str], Any]) -> None:
    model, subject = find_planted("planted-strict"), load_planted("planted-strict")
    assert model is not None
    prompts = tokenise(model.find_task("context").make(4, 0), subject.tokenizer)
    wired = [head(0, 0), head(1, 0), head(1, 3)]
    rest = [part for part in subject.components(Kind.HEAD) if part not in wired]
    good, bad = (
        PLUGIN.run(
            subject,
            CurveRequest(prompts, prompts, tuple(wired), order=tuple(order)),
            means=None,
            on_progress=no_progress,
        )
        for order in ([*wired, *rest], [*rest, *wired])
    )
    assert good.random_as_near == 0
    assert good.areas.cmd < 0.2
    assert bad.areas.cmd > 0.7
    assert bad.random_as_near > RANDOM_ORDERS / 2
    with pytest.raises(ClaimRefused, match="each of the 12 heads of this model once"):
        PLUGIN.run(
            subject,
            CurveRequest(prompts, prompts, tuple(wired), order=tuple(wired)),
            means=None,
            on_progress=no_progress,
        )
