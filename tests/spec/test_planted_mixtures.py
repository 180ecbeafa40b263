"""The planted mixtures do what their table says, by hooks on the modules of `transformers` alone."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from toy.mixtures import Sparse, find_sparse, masked, recorded, survivors_reweighted, zeroed

from audit_core.subjects.planted import find_planted
from audit_core.subjects.planted.key import PlantedModel, PlantedRole
from audit_core.subjects.planted.mixture import (
    BACKUP,
    BUSY,
    CARRIER,
    DECOY,
    EITHER,
    MIXTURE,
    MIXTURES,
    SIGMOID,
    TOP_FIRST,
    UNNORMALISED,
    UNROUTED,
    draw_wiring,
)
from audit_core.subjects.planted.mixture_weights import (
    AS_SCORED,
    CHOSEN_FIRST,
    GROUPED,
    N_EXPERTS,
    RENORMALISED,
    WORDS,
    RouterKind,
)

KINDS = {MIXTURE.name: RENORMALISED, UNNORMALISED.name: AS_SCORED, TOP_FIRST.name: CHOSEN_FIRST, SIGMOID.name: GROUPED}
FOUR = [model for model in MIXTURES if model.name in KINDS]
SEEDS = (0, 1, 2, 3)
CLOSE = 0.05
"""Logits; background experts and the growth of the norm change less."""


@dataclass(frozen=True, eq=False)
class Run:
    """A mixture on some prompts of its task."""

    model: Any
    clean: torch.Tensor
    corrupted: torch.Tensor
    answers: torch.Tensor
    foils: torch.Tensor

    @property
    def layers(self) -> tuple[Sparse, ...]:
        return find_sparse(self.model)

    def differ(self, edit: Any = None, *, corrupted: bool = False) -> float:
        """Mean logit of the answer minus that of the foil."""
        with torch.inference_mode(), edit or nullcontext():
            ends = self.model(self.corrupted if corrupted else self.clean, use_cache=False).logits[:, -1]
        rows = torch.arange(len(ends))
        return float((ends[rows, self.answers] - ends[rows, self.foils]).mean())

    def change(self, edit: Any) -> float:
        return self.differ(edit) - self.differ()

    def route(self, layer: int) -> torch.Tensor:
        """Weights by prompt, position and expert; 0 where it was not chosen."""
        with torch.inference_mode(), recorded(self.layers[layer]) as calls:
            self.model(self.clean, use_cache=False)
        return calls[0].spread(N_EXPERTS).view(*self.clean.shape, N_EXPERTS)

    def split_mask(self, expert: int) -> tuple[float, float, float]:
        """Effect of a router mask: output removed, survivors reweighted, newcomer."""
        layer = self.layers[0]
        removed = self.change(zeroed(layer, expert))
        reweighted = self.change(survivors_reweighted(layer, expert, N_EXPERTS))
        return removed, reweighted - removed, self.change(masked(layer, expert)) - reweighted


Build = Callable[..., Run]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    from transformers import AutoModelForCausalLM

    made: dict[tuple[str, int], Run] = {}

    def run(model: PlantedModel, seed: int = 0) -> Run:
        if (model.name, seed) not in made:
            folder: Path = tmp_path_factory.mktemp(model.name)
            model.build(folder, seed)
            prompts = model.tasks[0].make(2, seed).prompts

            def read(*texts: str) -> torch.Tensor:
                return torch.tensor([[WORDS.index(word) for word in text.split()] for text in texts])

            clean, corrupted = (read(*(f"<bos> {text}" for text in side)) for side in zip(*_texts(prompts)))
            answers, foils = (read(*side)[:, 0] for side in zip(*((p.answer, p.foil) for p in prompts)))
            loaded = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
            made[model.name, seed] = Run(loaded, clean, corrupted, answers, foils)
        return made[model.name, seed]

    return run


def _texts(prompts: Any) -> list[tuple[str, str]]:
    return [(prompt.clean, prompt.corrupted) for prompt in prompts]


def name(found: Any) -> str:
    return str(getattr(found, "name", found))


@pytest.mark.parametrize("model", MIXTURES, ids=name)
def test_it_can_be_asked_for_by_name_and_every_expert_has_its_claim(model: PlantedModel, build: Build) -> None:
    assert find_planted(model.name) is model
    claimed = {str(part) for claim in model.claims for part in claim.components}
    assert claimed == {f"L{at}.E{expert}" for at in range(len(build(model).layers)) for expert in range(N_EXPERTS)}
    assert {claim.task for claim in model.claims} == {task.name for task in model.tasks}


@pytest.mark.parametrize("model", MIXTURES, ids=name)
def test_prompts_keep_their_ids_and_vary_within_a_template(model: PlantedModel) -> None:
    make = model.tasks[0].make
    found, fewer, other = make(3, 0), make(2, 0), make(3, 1)
    assert found.name == model.tasks[0].name
    assert found.sha256 == make(3, 0).sha256
    assert {p.id: p for p in found.prompts}.items() >= {p.id: p for p in fewer.prompts}.items()
    assert len({p.id for p in found.prompts}) == len({p.clean for p in found.prompts}) == len(found)
    assert len({p.template for p in found.prompts}) == len(found) / 3 >= 8
    assert not {p.clean for p in other.prompts} & {p.clean for p in found.prompts}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("model", FOUR, ids=name)
def test_the_router_prefers_the_decoy_and_never_chooses_some(model: PlantedModel, seed: int, build: Build) -> None:
    weights = build(model, seed).route(0)
    last, load = weights[:, -1], (weights > 0).sum((0, 1))
    assert (last[:, DECOY] > last[:, CARRIER]).all()
    assert (last[:, CARRIER] > 0).all()
    assert load.argmax() == BUSY
    assert load.topk(2).values.unique().numel() == 2, "one expert has the largest load"
    assert not last[:, BUSY].any()
    assert not load[[*UNROUTED, BACKUP]].any()
    assert (build(model, seed).route(1) > 0).sum((0, 1)).all(), "every background expert has tokens"


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("model", FOUR, ids=name)
def test_one_expert_carries_the_answer_and_the_decoys_nothing(model: PlantedModel, seed: int, build: Build) -> None:
    run, answer = build(model, seed), draw_wiring(KINDS[model.name], seed).answer
    assert run.differ() == pytest.approx(answer, abs=0.15)
    assert run.differ(corrupted=True) == pytest.approx(-answer, abs=0.15)
    assert run.change(zeroed(run.layers[0], CARRIER)) == pytest.approx(-answer, abs=CLOSE)
    for expert in set(range(N_EXPERTS)) - {CARRIER}:
        assert run.change(zeroed(run.layers[0], expert)) == pytest.approx(0, abs=0.001), expert
    for expert in range(N_EXPERTS):
        assert run.change(zeroed(run.layers[1], expert)) == pytest.approx(0, abs=CLOSE), expert


def test_the_three_parts_of_a_mask_are_those_of_the_first_planted_mixture(build: Build) -> None:
    """Measured on the prototype: E3 by zero +0.0001, by mask +17.61; E5 by zero −6.99, by mask −4.51."""
    run = build(MIXTURE)
    assert run.split_mask(DECOY) == pytest.approx((0.0001, 12.01, 5.59), abs=CLOSE)
    assert run.change(masked(run.layers[0], DECOY)) == pytest.approx(17.61, abs=CLOSE)
    assert run.change(zeroed(run.layers[0], CARRIER)) == pytest.approx(-6.99, abs=CLOSE)
    assert run.change(masked(run.layers[0], CARRIER)) == pytest.approx(-4.51, abs=CLOSE)


@pytest.mark.parametrize(
    "model, decoy, carrier",
    [
        # The carrier writes 7 / 0.2689 = 26.03 at weight one and the backup four fifths of it, 20.82.
        # Without E3: 0.7311 · 26.03 − 7 and 0.2689 · 20.82. Without E5 the backup has e⁰ of e² + e⁰: 0.1192 · 20.82.
        (MIXTURE, (0, 12.03, 5.60), (-7, 0, 2.48)),
        (TOP_FIRST, (0, 12.03, 5.60), (-7, 0, 2.48)),
        # Of e² + e + 1 + 5 · e⁻⁴ = 11.199 the carrier has 0.2427, of 3.810 without E3 0.7135, of which nothing is shared out.
        (UNNORMALISED, (0, 13.58, 6.06), (-7, 0, 2.72)),
        # Scores 0.9526, 0.3775 and 0.5, times 2.5 over the sum of two.
        (SIGMOID, (0, 3.61, 11.24), (-7, 0, 6.79)),
    ],
    ids=name,
)
def test_a_mask_does_what_the_router_makes_of_it(
    model: PlantedModel, decoy: tuple[float, ...], carrier: tuple[float, ...], build: Build
) -> None:
    assert build(model).split_mask(DECOY) == pytest.approx(decoy, abs=CLOSE)
    assert build(model).split_mask(CARRIER) == pytest.approx(carrier, abs=CLOSE)


def test_masking_an_expert_without_tokens_moves_the_others_where_weights_are_shares_of_all(build: Build) -> None:
    """Without E6 the shares are of 10.199, not of 11.199: 7 · 1 / 10.199."""
    for model, logits in ((MIXTURE, 0), (TOP_FIRST, 0), (SIGMOID, 0), (UNNORMALISED, 0.686)):
        assert build(model).split_mask(BACKUP) == pytest.approx((0, logits, 0), abs=0.01), model.name


def test_masking_the_carrier_moves_its_whole_group(build: Build) -> None:
    """The groups of E2, E3 and of E4, E5 are chosen; without E5 that of E6, E7 replaces the second."""
    run = build(SIGMOID)
    router = run.layers[0].router
    with torch.inference_mode(), recorded(run.layers[0]) as calls:
        run.model(run.clean)
        scores = router(calls[0].hidden)[0].view(*run.clean.shape, -1)[:, -1]
        with masked(run.layers[0], CARRIER):
            run.model(run.clean)
    assert (scores[:, BACKUP] > scores[:, CARRIER]).all(), "chosen by its correction, weighted without it"
    entered = calls[1].spread(N_EXPERTS).view(*run.clean.shape, -1)[:, -1] > 0
    assert entered.nonzero()[:, 1].unique().tolist() == [DECOY, BACKUP]


@pytest.mark.parametrize("seed", SEEDS)
def test_of_two_experts_either_suffices(seed: int, build: Build) -> None:
    run = build(EITHER, seed)
    first, second = run.layers
    assert run.differ() == pytest.approx(5, abs=0.01)
    assert run.differ(corrupted=True) == pytest.approx(-5, abs=0.01)
    assert (run.route(0)[:, -1, [DECOY, CARRIER]] > 0.3).all(), "both are chosen"
    assert run.change(zeroed(first, DECOY)) == pytest.approx(0, abs=0.001)
    assert run.change(zeroed(first, CARRIER)) == pytest.approx(0, abs=0.001)
    assert run.change(zeroed(first, DECOY, CARRIER)) == pytest.approx(-10, abs=0.01)
    assert run.change(zeroed(second, 0)) == pytest.approx(-10, abs=0.01)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.model_type)
def test_weights_are_computed_as_the_router_does(kind: RouterKind, build: Build) -> None:
    model = next(model for model in FOUR if KINDS[model.name] is kind)
    router = build(model).layers[1].router
    hidden = torch.randn(20, router.weight.shape[1], generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits, weights, indices = router(hidden)
    for row in range(len(hidden)):
        expected = kind.weigh(logits[row].tolist(), indices[row].tolist())
        assert weights[row].tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("model", MIXTURES, ids=name)
def test_what_is_written_down_of_an_expert_is_what_zero_does(model: PlantedModel, build: Build) -> None:
    run = build(model)
    for claim in model.claims:
        layers = {part.layer for part in claim.components}
        if len(layers) > 1:
            # The answer's expert beside experts of another layer, each of which is a claim of its own.
            continue
        experts = [part.index for part in claim.components]
        lost = -run.change(zeroed(run.layers[layers.pop()], *experts))
        assert lost == pytest.approx(claim.support["zero"], abs=CLOSE), claim
        if claim.planted is PlantedRole.UNROUTED:
            assert lost == 0
