"""Ways of looking for a circuit, where the wiring says what there is to be found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from toy.additive import AdditiveSubject, pair_up

from audit_core.audits.discover import PLUGIN, DiscoverRequest, DiscoverResult
from audit_core.circuit_discovery.greedy_pruning import PLUGIN as GREEDY
from audit_core.circuit_discovery.greedy_pruning import _list_rounds
from audit_core.circuits.discovery import DiscoveryRequest, order_by_size
from audit_core.component import head
from audit_core.errors import PromptRefused
from audit_core.intervention import Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts, take_split
from audit_core.registry import list_plugins
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted

Load = Callable[[str], Any]
METHODS = tuple(list_plugins("circuit_discovery"))
WIRED = {
    "planted-induction": (Replacement.RESAMPLE, {"L0.H0", "L1.H0", "L1.H3"}),
    "planted-and": (Replacement.ZERO, {"L0.H0", "L1.H0", "L1.H1"}),
}


def discover(load_planted: Load, name: str, method: str, replacement: Replacement, *, seed: int = 0) -> DiscoverResult:
    model, subject = find_planted(name), load_planted(name)
    assert model is not None
    task = next(
        task for task in model.tasks if task.name == ("context" if "induction" in name else model.tasks[0].name)
    )
    prompts = tokenise(take_split(task.make(8, 0), exploratory=True), subject.tokenizer)
    request = DiscoverRequest(prompts, prompts, method, replacement=replacement, seed=seed)
    return PLUGIN.run(subject, request, means=subject.capture_means(prompts), on_progress=no_progress)


@pytest.mark.parametrize("method", METHODS)
def test_every_component_is_ordered_once_and_the_order_is_repeatable(method: str, load_planted: Load) -> None:
    found = discover(load_planted, "planted-induction", method, Replacement.RESAMPLE)
    subject = load_planted("planted-induction")
    from audit_core.component import Kind

    assert sorted(found.components) == sorted(str(part) for part in subject.components(Kind.HEAD))
    assert len(found.scores) == len(found.components)
    assert found.misses.endswith(".")
    assert found.unit
    assert discover(load_planted, "planted-induction", method, Replacement.RESAMPLE) == found
    assert found.is_measured is (method in ("exact", "greedy_pruning"))


@pytest.mark.parametrize("name", WIRED)
@pytest.mark.parametrize("method", ["exact", "greedy_pruning"])
def test_measured_orders_put_the_wiring_first(method: str, name: str, load_planted: Load) -> None:
    replacement, wired = WIRED[name]
    found = discover(load_planted, name, method, replacement)
    assert set(found.components[:3]) == wired


def test_a_straight_line_does_not_see_the_head_behind_a_saturated_softmax(load_planted: Load) -> None:
    """Methods 2.11: the previous-token head is worth all of the metric, and attribution patching gives it nothing."""
    found = discover(load_planted, "planted-induction", "attribution_patching", Replacement.RESAMPLE)
    at = found.components.index("L0.H0")
    assert abs(found.scores[at]) < 1e-2
    assert {"L1.H0", "L1.H3"} == set(found.components[:2])
    exact = discover(load_planted, "planted-induction", "exact", Replacement.RESAMPLE)
    assert abs(exact.scores[exact.components.index("L0.H0")]) > 10


def test_chance_differs_from_seed_to_seed(load_planted: Load) -> None:
    orders = {
        discover(load_planted, "planted-and", "random_order", Replacement.RESAMPLE, seed=s).components for s in range(5)
    }
    assert len(orders) == 5


def test_pruning_keeps_both_parts_that_single_replacement_calls_redundant(load_planted: Load) -> None:
    """Two heads that each suffice: alone neither is missed, so the exact order has both among the rest; pruning lets one
    go early and must then keep the other."""
    exact = discover(load_planted, "planted-or", "exact", Replacement.RESAMPLE)
    worth = dict(zip(exact.components, map(abs, exact.scores)))
    assert max(worth["L1.H0"], worth["L1.H1"]) < 0.1 * worth["L0.H0"]
    pruned = discover(load_planted, "planted-or", "greedy_pruning", Replacement.RESAMPLE)
    assert {"L1.H0", "L1.H1"} & set(pruned.components[:2])


def test_the_order_is_by_size_whatever_the_sign() -> None:
    parts = (head(0, 0), head(0, 1), head(0, 2))
    found = order_by_size(parts, np.array([[1.0, 1.0], [-2.0, -4.0], [2.0, 2.0]]), "logits", None)
    assert found.components == (head(0, 1), head(0, 2), head(0, 0))
    assert found.scores.tolist() == [-3, 2, 1]


def test_pruning_by_hand() -> None:
    """Worth 1, 5, 2 and the rest nothing: the last that is left is the one worth most, then 2, then 1."""
    subject = AdditiveSubject({head(0, 0): 1.0, head(0, 2): 5.0, head(1, 1): 2.0})
    found = GREEDY.order(
        subject, DiscoveryRequest(pair_up(subject), replacement=Replacement.ZERO), means=None, on_progress=no_progress
    )
    assert found.components[:3] == (head(0, 2), head(1, 1), head(0, 0))
    assert _list_rounds(12) == [12, 9, 7, 6, 5, 4, 3, 2, 1]


def test_the_confirmatory_split_is_refused(load_planted: Load) -> None:
    model, subject = find_planted("planted-and"), load_planted("planted-and")
    assert model is not None
    prompts: TokenisedPrompts = tokenise(model.tasks[0].make(4, 0), subject.tokenizer)
    with pytest.raises(PromptRefused, match="belong to the confirmatory split"):
        PLUGIN.run(subject, DiscoverRequest(prompts, prompts, "exact"), means=None, on_progress=no_progress)
