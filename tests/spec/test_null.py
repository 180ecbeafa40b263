"""The matched random null: distinct, disjoint, of the claim's shape; pushes where a model is too small for sets."""

import numpy as np
import pytest
from toy.models import build_random, load
from toy.prompts import tokenise_letters

from audit_core.component import Component, Kind, head, mlp
from audit_core.intervention import Replacement, intervene
from audit_core.judging.null import DRAWS, draw_null, draw_sets, plan_remainders, plan_removals
from audit_core.stats.multiplicity import rank_in_null, step_down
from audit_core.subjects.transformer import TransformerSubject

LARGE = [head(layer, index) for layer in range(30) for index in range(9)]
SMALL = [head(layer, index) for layer in range(3) for index in range(6)]


def test_draws_are_distinct_disjoint_from_the_claim_and_of_its_kinds() -> None:
    parts = (head(3, 1), head(20, 4), mlp(7))
    sets, reach = draw_sets(parts, [*LARGE, *(mlp(layer) for layer in range(30))], seed=0)
    assert len(sets) == DRAWS == len({frozenset(drawn) for drawn in sets})
    assert all(not set(drawn) & set(parts) and len(set(drawn)) == 3 for drawn in sets)
    assert all(sorted(c.kind for c in drawn) == [Kind.HEAD, Kind.HEAD, Kind.MLP] for drawn in sets)
    for drawn in sets:
        layers = sorted(c.layer for c in drawn if c.kind is Kind.HEAD)
        assert abs(layers[0] - 3) <= reach
        assert abs(layers[1] - 20) <= reach


def test_a_set_is_taken_from_its_own_layers_where_they_have_enough() -> None:
    """Three heads of a layer of nine: the other six make 20 sets; three of each of three layers make thousands."""
    parts = (head(1, 0), head(5, 0), head(9, 0), head(12, 3))
    assert draw_sets(parts, LARGE, seed=0)[1] == 0
    _, reach = draw_sets((head(15, 0),), LARGE, seed=0)
    assert reach == 11, "2 · 11 + 1 = 23 layers of nine are the first with 199 other heads"


def test_an_expert_is_compared_with_experts_that_receive_about_as_many_tokens() -> None:
    """80 experts of one layer; those with an even number receive 100 tokens, the others 10, as does the claim's."""
    experts = [Component(0, Kind.EXPERT, index) for index in range(80)]
    slots = {expert: 10 if expert.index % 2 else 100 for expert in experts}
    loads, own = {expert: (float(n),) for expert, n in slots.items()}, experts[1]
    sets, _ = draw_sets([own], experts, seed=0, loads=loads)
    assert {slots[part] for (part,) in sets} == {10}
    assert len(sets) == 39
    unmatched, _ = draw_sets([own], experts, seed=0)
    assert {slots[part] for (part,) in unmatched} == {10, 100}
    pair, _ = draw_sets([own, experts[2]], experts, seed=0, loads=loads, draws=20)
    assert all(sorted(slots[part] for part in drawn) == [10, 100] for drawn in pair)
    assert (
        "within a factor of 2 in tokens received"
        in draw_null([own], experts, [4], can_use_directions=False, seed=0, loads=loads).design
    )


@pytest.mark.parametrize(("parts", "among"), [((head(1, 0), head(2, 3)), SMALL), ((head(3, 1), head(20, 4)), LARGE)])
def test_sets_are_those_of_one_pick_after_another(parts: tuple[Component, ...], among: list[Component]) -> None:
    """All picks come at once; recorded verdicts rest on the picks of a loop. In the small model no layer alone has enough sets."""
    rng, reach = np.random.default_rng(4), -1
    found: dict[frozenset[Component], tuple[Component, ...]] = {}
    while len(found) < DRAWS and reach < 2:
        reach, found = reach + 1, {}
        pools = [[c for c in among if c not in parts and abs(c.layer - p.layer) <= reach] for p in parts]
        for _ in range(40 * DRAWS):
            chosen = [pool[int(rng.integers(len(pool)))] for pool in pools]
            if len(set(chosen)) == 2 and len(found) < DRAWS:
                found.setdefault(frozenset(chosen), tuple(sorted(chosen, key=str)))
    assert draw_sets(parts, among, seed=4) == (tuple(found.values()), reach)


def test_a_seed_gives_the_draws_again() -> None:
    parts = (head(3, 1), head(20, 4))
    assert draw_sets(parts, LARGE, seed=1) == draw_sets(parts, LARGE, seed=1) != draw_sets(parts, LARGE, seed=2)


def test_a_small_model_is_pushed_in_random_directions_as_far_as_the_replacement_moves_it() -> None:
    null = draw_null((head(1, 0),), SMALL, [4], can_use_directions=True, seed=0)
    assert "too few other components" in null.design
    runs = plan_removals(null, Replacement.RESAMPLE, [2.5])
    assert len(runs) == DRAWS
    for run in runs:
        (edit,) = run.edits
        assert (edit.component, edit.replacement, edit.factor) == (head(1, 0), Replacement.ADD, 2.5)
        assert np.linalg.norm(edit.direction) == pytest.approx(1)
    assert len({run.edits[0].direction for run in runs}) == DRAWS


def test_a_claim_of_sufficiency_is_compared_with_sets_even_in_a_small_model() -> None:
    """A push is no set that could be left alone; of 18 heads less two there are 16 · 15 / 2 = 120 pairs."""
    parts = (head(0, 0), head(1, 0))
    null = draw_null(parts, SMALL, [4, 4], can_use_directions=False, seed=0)
    assert not null.directions
    runs = plan_remainders(null, lambda kept: intervene([c for c in SMALL if c not in kept], Replacement.ZERO))
    assert 110 <= len(runs) <= 120
    assert all(len(run.edits) == 16 for run in runs)


@pytest.mark.parametrize("value, p", [(5.0, 0.25), (2.0, 0.5), (0.5, 1.0)])
def test_the_claim_counts_itself(value: float, p: float) -> None:
    """Among draws of 1, 2 and 3: none, one or all do as much, and one more of four."""
    assert rank_in_null(value, np.array([1.0, 2.0, 3.0]) if value != 2.0 else np.array([1.0, 1.5, 3.0])) == p


def test_holm_steps_down_through_the_claims_of_a_report() -> None:
    """Of three claims one stands at α/3 and takes the bar to α/2, where the next stands, and then to α for the last."""
    assert step_down([3, 2, 1]) == (True, True, True)
    assert step_down([1, 3, 2]) == (True, True, True)
    assert step_down([2, 2, 2]) == (False, False, False), "none stands at α/3, so nothing is ever taken off"
    assert step_down([3, 1, 1]) == (True, False, False)
    assert step_down([0, 9]) == (False, True)
    assert step_down([]) == ()


def test_holm_agrees_with_the_textbook_on_p_values() -> None:
    """A claim with p stands among k claims where p ≤ α / k; adjusted p by hand: sorted, times those left, never falling."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = rng.uniform(0, 0.08, 5)
        adjusted = np.maximum.accumulate(np.sort(p) * np.arange(5, 0, -1))[np.argsort(np.argsort(p))]
        assert step_down([int(0.05 / value) for value in p]) == tuple(adjusted <= 0.05)


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> TransformerSubject:
    return load(build_random("llama", tmp_path_factory.mktemp("moves")))


def test_a_move_is_how_far_the_activation_is_from_what_replaces_it(subject: TransformerSubject) -> None:
    """Zero moves an output by its own length; resample by the distance of the two runs, where they differ."""
    import torch

    prompts = tokenise_letters(subject.tokenizer, (6, 6))
    parts: list[Component] = [head(1, 2), mlp(2)]
    names = ["blocks.1.attn.hook_z", "blocks.2.hook_mlp_out"]
    with torch.inference_mode():
        clean, corrupted = (
            subject.bridge.run_with_cache(torch.tensor([getattr(p, f"{side}_ids") for p in prompts.pairs]))[1]
            for side in ("clean", "corrupted")
        )
    here = [clean[names[0]][:, :, 2], clean[names[1]]]
    there = [corrupted[names[0]][:, :, 2], corrupted[names[1]]]
    for replacement, moved in (
        (Replacement.ZERO, here),
        (Replacement.RESAMPLE, [b - a for a, b in zip(here, there)]),
    ):
        lengths = [m.norm(dim=-1) for m in moved]
        expected = [float((n[n > 1e-4] ** 2).mean().sqrt()) for n in lengths]
        np.testing.assert_allclose(subject.activation_change_rms(prompts, parts, replacement), expected, rtol=1e-3)
