"""Local scores averaged over applicants: worked out by hand, and a slot that acts in opposite directions on two halves."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from audit_core.decisions import Slot, find_recorded
from audit_core.decisions.aggregation import aggregate_scores, summarise_slot
from audit_core.decisions.fairness import flip
from audit_core.decisions.shipped import PLANTED
from audit_core.decisions.table import DecisionTable
from audit_core.stats.disagreement import Conflict

SLOTS = tuple(Slot(name, ("low", "high"), True) for name in ("a", "b", "c"))


def test_a_slot_has_the_mean_size_the_spread_and_the_direction_of_its_scores() -> None:
    """Sizes 1, 5, 2, 3. Towards the last level: +1 at the first, +2 at the last, −3 at the first; the middle has none."""
    slot = Slot("income", ("low", "middle", "high"), True)
    found = summarise_slot("LIME", slot, np.array([0, 1, 2, 0]), np.array([-1.0, 5.0, 2.0, 3.0]), seed=0)
    assert found.size.value == pytest.approx(2.75)
    assert found.spread == pytest.approx(np.std([-1, 5, 2, 3], ddof=1))
    assert found.toward is not None
    assert found.toward.value == pytest.approx(0)
    assert found.toward.n == 3
    assert summarise_slot("LIME", slot, np.array([1, 1, 0]), np.ones(3), seed=0).toward is None


def test_a_slot_whose_effects_cancel_over_everyone_is_named_as_larger_by_score_and_smaller_by_effect() -> None:
    """f = 4 if a = b, else −4, minus or plus 1.5 by c. Each of a and b has |φ| = 2, and c has 1.5. For everyone c moves
    f by −3, and a by +8 or −8 on one half each."""
    values = np.array([
        (4 if a == b else -4) - (1.5 if c else -1.5) for a, b, c in product(range(2), repeat=3)
    ]).reshape(2, 2, 2)  # fmt: skip
    table = DecisionTable(SLOTS, values)
    cells = np.array(list(product(range(2), repeat=3)), dtype=np.int64)
    rows = np.tile(cells, (25, 1))
    effects = {slot.name: flip(table, rows, at, 0, 1, seed=0).effect for at, slot in enumerate(SLOTS)}
    assert [round(effects[name].value, 9) for name in "abc"] == [0, 0, -3]
    found, conflicts = aggregate_scores(table, rows, cells, effects, seed=0)
    shapley = {row.slot: row for row in found if row.method == "Shapley values"}
    assert [round(shapley[name].size.value, 9) for name in "abc"] == [2, 2, 1.5]
    assert shapley["a"].toward is not None
    assert shapley["c"].toward is not None
    assert shapley["a"].toward.value == pytest.approx(0, abs=0.5)
    assert shapley["c"].toward.value == pytest.approx(-1.5)
    own = {one for one in conflicts if one.method == "Shapley values"}
    assert own == {Conflict("Shapley values", "order", "a", "c"), Conflict("Shapley values", "order", "b", "c")}


def test_without_interaction_local_and_global_agree() -> None:
    values = np.array([a + 2.0 * b + 4.0 * c - 3 for a, b, c in product(range(2), repeat=3)]).reshape(2, 2, 2)
    table = DecisionTable(SLOTS, values)
    cells = np.array(list(product(range(2), repeat=3)), dtype=np.int64)
    rows = np.tile(cells, (5, 1))
    effects = {slot.name: flip(table, rows, at, 0, 1, seed=0).effect for at, slot in enumerate(SLOTS)}
    found, conflicts = aggregate_scores(table, rows, cells, effects, seed=0)
    assert conflicts == ()
    assert {row.method for row in found} == {"Shapley values", "LIME"}


def test_the_recorded_run_has_both_methods_for_every_slot() -> None:
    recorded = find_recorded(PLANTED)
    assert recorded is not None
    result = recorded.result
    assert [row.slot for row in result.aggregates] == [*result.slots, *result.slots]
    by_slot = {row.slot: row for row in result.aggregates if row.method == "Shapley values"}
    assert by_slot["income"].size.n == 100
    assert by_slot["gender"].size.value < 1e-3
