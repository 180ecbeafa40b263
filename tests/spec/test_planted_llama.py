"""The planted Llama does what its table says, in spite of rotary positions, RMS norms and shared keys."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy.models import load

from audit_core.attention.plausibility import Source, weigh_source
from audit_core.audits.claim_test import ClaimTestRequest
from audit_core.claim import DEFAULT_DELTA, Claim, Universe
from audit_core.component import Component, Kind, head, parse_components
from audit_core.effect import Effect, measure_effect
from audit_core.intervention import CLEAN_RUN, Intervention, Replacement, intervene
from audit_core.judging.faithfulness import CircuitRuns, estimate_faithfulness, plan_circuit, read_circuit
from audit_core.judging.verdict import State, classify
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import Prompt, PromptSet, TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.subject import no_progress
from audit_core.subjects.planted import PLANTED_MODELS, find_planted
from audit_core.subjects.planted.key import PlantedClaim, PlantedRole
from audit_core.subjects.planted.llama import BACKUP, D_HEAD, EVEN, HEADS_PER_KEY, LLAMA
from audit_core.subjects.planted.weights import N_POSITIONS, NOUNS
from audit_core.subjects.transformer import TransformerSubject

pytestmark = pytest.mark.usefixtures("short_draws")

TOLERANCE = {Replacement.ZERO: 0.05, Replacement.MEAN: 0.4, Replacement.RESAMPLE: 0.05}
"""Logits. A mean depends on which words were drawn; what zero and resample do follows from the weights."""
TASKS = ("query", "context")
BYSTANDERS = [claim for claim in LLAMA.claims if claim.planted is PlantedRole.BYSTANDER]
LOOKING = {head(1, 0), head(1, 1), head(1, 2), head(1, 3), head(2, 1)}
"""Heads that look where the answer stands."""


@pytest.fixture(scope="module")
def subject(tmp_path_factory: pytest.TempPathFactory) -> TransformerSubject:
    folder = tmp_path_factory.mktemp("planted-llama")
    LLAMA.build(folder, 0)
    return load(folder)


@pytest.fixture(scope="module")
def measured(subject: TransformerSubject) -> Any:
    """Every claim of a task under every family, measured at the first call."""

    def measure_task(task: str) -> Effect:
        prompts = tokenise(LLAMA.find_task(task).make(6, 0), subject.tokenizer)
        asked = [
            run
            for claim in LLAMA.claims
            if claim.task == task
            for f in TOLERANCE
            for run in plan(subject, claim, f).as_tuple()
        ]
        return measure(subject, prompts, list(dict.fromkeys(asked)), subject.capture_means(prompts))

    return cache(measure_task)


def plan(subject: TransformerSubject, claim: PlantedClaim, family: Replacement) -> CircuitRuns:
    return plan_circuit(subject, claim.components, Universe.HEADS, family)


def measure(
    subject: TransformerSubject,
    prompts: TokenisedPrompts,
    asked: list[Intervention],
    means: Any = None,
    **options: bool,
) -> Effect:
    metric = get_plugin("metrics", "logit_difference")
    return measure_effect(subject, prompts, asked, metric, means=means, seed=0, **options)


def draw(subject: TransformerSubject, task: str, n: int) -> TokenisedPrompts:
    return tokenise(LLAMA.find_task(task).make(n, 0), subject.tokenizer)


def show(claim: object) -> str:
    return (
        f"{claim.task}-{'+'.join(map(str, claim.components))}-{claim.role}"
        if isinstance(claim, PlantedClaim)
        else str(claim)
    )


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def test_it_can_be_asked_for_by_name() -> None:
    assert LLAMA in PLANTED_MODELS
    assert find_planted("planted-llama") is LLAMA


def test_it_is_built_again_byte_for_byte(tmp_path: Path) -> None:
    for folder in (tmp_path / "once", tmp_path / "again"):
        LLAMA.build(folder, 0)
    files = {path.name for path in (tmp_path / "once").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= files
    for name in files:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_another_seed_changes_the_background_heads_and_nothing_else(tmp_path: Path) -> None:
    for seed in (0, 1):
        LLAMA.build(tmp_path / str(seed), seed)
    one, other = (read_weights(tmp_path / str(seed)) for seed in (0, 1))
    changed = {name: one[name] != other[name] for name in one if (one[name] != other[name]).any()}
    background = {part for claim in BYSTANDERS for part in claim.components}
    assert {name.rsplit(".", 2)[1] for name in changed} == {"q_proj", "k_proj", "v_proj", "o_proj"}
    for name, differs in changed.items():
        layer, kind = int(name.split(".")[2]), name.rsplit(".", 2)[1]
        rows = (differs.T if kind == "o_proj" else differs).any(1)
        served = 1 if kind in ("q_proj", "o_proj") else HEADS_PER_KEY
        for index, moved in enumerate(rows.reshape(-1, D_HEAD).any(1)):
            heads = {head(layer, index * served + k) for k in range(served)}
            assert moved == (heads <= background), f"{name} {index}"


def test_every_head_has_its_claim(subject: TransformerSubject) -> None:
    assert {part for claim in LLAMA.claims for part in claim.components} == set(subject.components(Kind.HEAD))
    assert len(BYSTANDERS) == 11


def test_pairs_of_heads_share_keys_and_values_and_the_blocks_run_one_by_one(subject: TransformerSubject) -> None:
    assert (subject.geometry.n_heads, subject.geometry.n_key_value_heads) == (6, 3)
    assert subject.fallback == ""
    assert subject.runner.shares_prefix


@pytest.mark.parametrize("task", TASKS)
def test_prompts_keep_their_ids_and_vary_within_a_template(task: str) -> None:
    make = LLAMA.find_task(task).make
    found, fewer = make(3, 0), make(2, 0)
    assert found.sha256 == make(3, 0).sha256 != make(3, 1).sha256
    assert {p.id: p for p in found.prompts}.items() >= {p.id: p for p in fewer.prompts}.items()
    assert len({p.id for p in found.prompts}) == len({p.clean for p in found.prompts}) == len(found)
    assert len({p.template for p in found.prompts}) == len(found) / 3 >= 8


@pytest.mark.parametrize("task", TASKS)
def test_it_does_its_tasks(task: str, measured: Any) -> None:
    """10 − 3 for the answer on the clean prompt, for the foil on the corrupted one."""
    effect: Effect = measured(task)
    assert effect.accuracy == 1
    assert effect.clean.mean() == pytest.approx(7, abs=0.3)
    assert effect.gap.mean() == pytest.approx(14, abs=0.3)


@pytest.mark.parametrize("task", TASKS)
def test_attention_is_where_the_table_says(subject: TransformerSubject, task: str) -> None:
    prompts = draw(subject, task, 2)
    mass = weigh_source(subject.attention_to_last(prompts), prompts, Source.ANSWER).mass
    for part in subject.components(Kind.HEAD):
        at_answer = mass[part.layer, part.index]
        if part in LOOKING:
            assert at_answer.min() > 0.999, part
        else:
            assert at_answer.mean() < 0.2, part


def test_the_previous_token_head_looks_one_back_from_every_position(subject: TransformerSubject) -> None:
    for pair in draw(subject, "query", 1).pairs:
        pattern = subject.patterns(pair, CLEAN_RUN)[0, 0]
        assert np.diagonal(pattern, -1).min() > 0.999


def test_the_backup_rests_on_the_first_token_until_the_flag_falls(subject: TransformerSubject) -> None:
    for pair in draw(subject, "query", 1).pairs:
        asleep = subject.patterns(pair, CLEAN_RUN)[2, 0, -1]
        awake = subject.patterns(pair, intervene([head(1, 0)], Replacement.ZERO))[2, 0, -1]
        assert asleep[0] > 0.999
        assert awake[pair.clean_ids.index(pair.answer_id)] > 0.999


def test_tokens_match_across_the_longest_prompt(subject: TransformerSubject) -> None:
    """Twenty tokens apart the slow pairs have turned by 2 milliradians at most; without a match the head rests."""
    words = NOUNS[: N_POSITIONS - 2]
    clean, corrupted = (" ".join([*words, words[at]]) for at in (0, 1))
    pair = Prompt("long", clean, corrupted, f" {words[1]}", f" {words[2]}", "long")
    prompts = tokenise(PromptSet("long", (pair,)), subject.tokenizer)
    assert len(prompts.pairs[0].clean_ids) == N_POSITIONS
    pattern = subject.patterns(prompts.pairs[0], CLEAN_RUN)
    assert pattern[1, 0, -1, 2] > 0.999
    assert pattern[1, 0, :-1, 0].min() > 0.999
    assert np.diagonal(pattern[0, 0], -1).min() > 0.999


def test_a_decoy_lifts_every_logit_alike(subject: TransformerSubject) -> None:
    """So that it moves what the model says by 5 logits and no probability by anything."""
    prompts = tokenise(PromptSet("one", LLAMA.find_task("query").make(1, 0).prompts[:1]), subject.tokenizer)
    found = measure(subject, prompts, [intervene([head(2, 1)], Replacement.ZERO)], next_tokens=True)
    assert found.vocabulary is not None
    np.testing.assert_allclose(found.vocabulary[0] - found.vocabulary[2], EVEN, atol=1e-3)


@pytest.mark.parametrize("claim", LLAMA.claims, ids=show)
def test_what_was_written_down_is_what_is_measured(
    claim: PlantedClaim, subject: TransformerSubject, measured: Any
) -> None:
    effect: Effect = measured(claim.task)
    for family, logits in claim.support.items():
        at = effect.interventions.index(plan(subject, claim, family).without)
        assert effect.support[at].mean() == pytest.approx(logits, abs=TOLERANCE[family]), family
    assert Replacement.ZERO in claim.support


@pytest.mark.parametrize("claim", LLAMA.claims, ids=show)
def test_each_family_says_what_was_written_down_of_it(
    claim: PlantedClaim, subject: TransformerSubject, measured: Any
) -> None:
    said = {}
    for family in TOLERANCE:
        circuit = read_circuit(measured(claim.task), plan(subject, claim, family))
        estimate = estimate_faithfulness(circuit, claim.role, seed=0, level=0.95)
        said[family] = classify(estimate, DEFAULT_DELTA[claim.role])
    assert said == {family: claim.by_family.get(family, claim.expected) for family in said}
    agreed = set(said.values())
    assert claim.expected is (agreed.pop() if len(agreed) == 1 else State.INCONCLUSIVE)


def test_the_audit_calls_a_cause_that_zero_does_not_see_inconclusive(subject: TransformerSubject) -> None:
    prompts = draw(subject, "query", 3)
    request = ClaimTestRequest(prompts, Claim("the primary head", (head(1, 0),)))
    means = subject.capture_means(prompts)
    found = get_plugin("audits", "claim_test").run(subject, request, means=means, on_progress=no_progress)
    assert (found.state, found.reason) == (State.INCONCLUSIVE, "ablations_disagree")


@pytest.mark.parametrize(
    "kept, logits",
    [
        ("L0.H0 L1.H0 L1.H3", 7),
        ("L0.H0 L1.H0", 10),
        ("L0.H0 L2.H0", BACKUP),
        ("L0.H0 L1.H3 L2.H0", BACKUP - 3),
        ("L0.H0 L1.H1 L1.H2 L2.H1", 0),
        ("L1.H0 L1.H3", 0),
    ],
)
def test_a_circuit_alone_says_what_its_gains_add_up_to(subject: TransformerSubject, kept: str, logits: float) -> None:
    parts: tuple[Component, ...] = parse_components(kept)
    alone = plan_circuit(subject, parts, Universe.HEADS, Replacement.ZERO).alone
    found = measure(subject, draw(subject, "query", 1), [alone]).patched
    np.testing.assert_allclose(found, logits, atol=0.01)


def test_background_heads_do_something_and_little_of_it(subject: TransformerSubject, measured: Any) -> None:
    """On one prompt less than half of the 0.7 logits that count; L0.H1 copies from keys that it shares, and does least."""
    effect: Effect = measured("query")
    rows = [effect.interventions.index(plan(subject, claim, Replacement.ZERO).without) for claim in BYSTANDERS]
    largest = np.abs(effect.support[rows]).max(1)
    assert largest.max() < 0.35
    assert largest.min() > 0.01
