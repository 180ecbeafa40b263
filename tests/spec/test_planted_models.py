"""Every planted model does its tasks, and what was written down of it beforehand is what the engine measures."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.claim import DEFAULT_DELTA, Claim
from audit_core.component import Kind, head
from audit_core.effect import Effect, measure_effect
from audit_core.intervention import Replacement, intervene
from audit_core.judging.trial import measure_null_draws
from audit_core.judging.verdict import State, classify
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.stats.estimates import MIN_PROMPTS
from audit_core.subject import Means, no_progress
from audit_core.subjects import planted
from audit_core.subjects.planted import ATTENTION_MODELS, PLANTED_MODELS, build_planted, find_planted
from audit_core.subjects.planted.key import PlantedClaim, PlantedModel, PlantedRole
from audit_core.subjects.planted.weights import D_HEAD, D_MODEL, DUMP
from audit_core.subjects.transformer import TransformerSubject

TOLERANCE = {Replacement.ZERO: 0.05, Replacement.MEAN: 0.4, Replacement.RESAMPLE: 0.05}
"""Logits. A mean depends on which words were drawn; what zero and resample do follows from the weights."""
ROOT = Path(__file__).resolve().parents[2]
TASKS = [(model, task) for model in ATTENTION_MODELS for task in model.tasks]
GPT2_MODELS = [model for model in ATTENTION_MODELS if model.name != "planted-llama"]
"""Those whose norm needs a mean of zero; the Llama has tests of its own."""
CLAIMS = [
    (model, claim) for model in ATTENTION_MODELS for claim in model.claims if claim.planted is not PlantedRole.BYSTANDER
]
Load = Callable[[str], TransformerSubject]


def draw(subject: TransformerSubject, model: PlantedModel, task: str, n: int, *, seed: int = 0) -> TokenisedPrompts:
    return tokenise(model.find_task(task).make(n, seed), subject.tokenizer)


def measure(subject: TransformerSubject, prompts: TokenisedPrompts, asked: list, means: Any = None) -> Effect:
    return measure_effect(subject, prompts, asked, get_plugin("metrics", "logit_difference"), means=means, seed=0)


def read_weights(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def show(found: Any) -> str:
    if isinstance(found, PlantedClaim):
        return f"{found.task}-{'+'.join(map(str, found.components))}-{found.role}"
    return str(getattr(found, "name", found))


@pytest.mark.parametrize("model", PLANTED_MODELS, ids=show)
def test_a_planted_model_is_built_again_byte_for_byte(model: PlantedModel, tmp_path: Path) -> None:
    for folder in (tmp_path / "once", tmp_path / "again"):
        model.build(folder, 0)
    files = {path.name for path in (tmp_path / "once").iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json"} <= files
    for name in files:
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


@pytest.mark.parametrize("model", GPT2_MODELS, ids=show)
def test_another_seed_changes_the_background_heads_and_nothing_else(model: PlantedModel, tmp_path: Path) -> None:
    """A head's columns among queries, keys and values, its rows in the output matrix, with their part of the dump."""
    for seed in (0, 1):
        model.build(tmp_path / str(seed), seed)
    one, other = (read_weights(tmp_path / str(seed)) for seed in (0, 1))
    bystanders = [part for claim in model.claims if claim.planted is PlantedRole.BYSTANDER for part in claim.components]
    changed = 0
    for name in one:
        differs = one[name] != other[name]
        layer = re.search(r"h\.(\d+)\.attn\.c_(attn|proj)\.weight", name)
        allowed = np.zeros_like(differs)
        for part in bystanders if layer else ():
            if part.layer == int(layer[1]):
                at = slice(part.index * D_HEAD, (part.index + 1) * D_HEAD)
                rows = allowed.reshape(D_MODEL, -1, D_MODEL)
                if layer[2] == "attn":
                    rows[:, :, at] = True
                else:
                    allowed[at] = True
        assert not (differs & ~allowed).any(), name
        changed += int(differs.sum())
    assert changed > 1000 * len(bystanders)


@pytest.mark.parametrize("model", GPT2_MODELS, ids=show)
def test_every_row_that_is_written_sums_to_zero(model: PlantedModel, tmp_path: Path) -> None:
    """Else the norms' mean would move with what is written, and no effect would be what was planted."""
    model.build(tmp_path, 0)
    written = {k: v for k, v in read_weights(tmp_path).items() if re.search(r"c_proj\.weight|wte|wpe", k)}
    assert len(written) >= 6
    for name, rows in written.items():
        np.testing.assert_allclose(rows.astype(float).sum(-1), 0, atol=1e-4, err_msg=name)
        assert rows[:, DUMP].any() or not rows.any()


@pytest.mark.parametrize("model", ATTENTION_MODELS, ids=show)
def test_every_head_has_its_claim(model: PlantedModel, load_planted: Load) -> None:
    claimed = {part for claim in model.claims for part in claim.components}
    assert claimed == set(load_planted(model.name).components(Kind.HEAD))
    assert {claim.task for claim in model.claims} <= {task.name for task in model.tasks}
    assert model.name.startswith("planted-")
    assert model.title
    assert model.story.endswith(".")


def test_every_planted_role_is_played_and_is_in_the_glossary() -> None:
    played = {claim.planted for model in PLANTED_MODELS for claim in model.claims}
    assert played == set(PlantedRole)
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/glossary.md").read_text(), re.M)
    words = {word.strip() for row in rows for word in row.split(",")}
    assert {role.value for role in PlantedRole} <= words


@pytest.mark.parametrize("model, task", TASKS, ids=show)
def test_prompts_are_the_same_for_a_seed_and_vary_within_a_template(model: PlantedModel, task: Any) -> None:
    found, fewer, other = task.make(3, 0), task.make(2, 0), task.make(3, 1)
    assert found.name == task.name
    assert found.sha256 == task.make(3, 0).sha256
    assert {p.id: p for p in found.prompts}.items() >= {p.id: p for p in fewer.prompts}.items()
    assert len({p.id for p in found.prompts}) == len({p.clean for p in found.prompts}) == len(found)
    assert len({p.template for p in found.prompts}) == len(found) / 3 >= 8
    assert {p.id for p in other.prompts} == {p.id for p in found.prompts}
    assert not {p.clean for p in other.prompts} & {p.clean for p in found.prompts}


@pytest.mark.parametrize("model, task", TASKS, ids=show)
def test_a_planted_model_does_its_task(model: PlantedModel, task: Any, load_planted: Load) -> None:
    subject = load_planted(model.name)
    found = measure(subject, draw(subject, model, task.name, 4), [])
    assert found.accuracy >= 0.95
    assert found.gap.mean() > 4


@pytest.mark.parametrize("model, task", TASKS, ids=show)
def test_what_was_written_down_is_what_is_measured(model: PlantedModel, task: Any, load_planted: Load) -> None:
    subject = load_planted(model.name)
    prompts = draw(subject, model, task.name, 6)
    claims = [claim for claim in model.claims if claim.task == task.name]
    stated = [(claim, family, logits) for claim in claims for family, logits in claim.support.items()]
    asked = [intervene(claim.components, family) for claim, family, _ in stated]
    found = measure(subject, prompts, asked, subject.capture_means(prompts)).support.mean(1)
    for (claim, family, logits), measured in zip(stated, found, strict=True):
        assert measured == pytest.approx(logits, abs=TOLERANCE[family]), f"{show(claim)} {family}"
    assert all(Replacement.ZERO in claim.support for claim in claims)


@pytest.fixture(scope="module")
def ask(load_planted: Load) -> Callable[[PlantedModel, str], tuple[TokenisedPrompts, Means]]:
    """Prompts of a task with the means of its model; of each template as few as make the 20 that a verdict needs."""

    @cache
    def read(name: str, task: str) -> tuple[TokenisedPrompts, Means]:
        subject, model = load_planted(name), find_planted(name)
        assert model is not None
        n_templates = len(model.find_task(task).make(1, 1))
        prompts = draw(subject, model, task, -(-MIN_PROMPTS // n_templates), seed=1)
        return prompts, subject.capture_means(prompts)

    return lambda model, task: read(model.name, task)


@pytest.mark.parametrize("model, claim", CLAIMS, ids=show)
def test_a_claim_ends_in_the_state_that_is_right(
    model: PlantedModel,
    claim: PlantedClaim,
    load_planted: Load,
    ask: Callable[[PlantedModel, str], tuple[TokenisedPrompts, Means]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A claim is held against other prompts than its effects were measured on."""
    prompts, means = ask(model, claim.task)
    # All 199 draws of what is planted far from chance, each on one prompt. Heads that share the vote have larger sets beside them, and
    # some heads act on some templates only, so that their draws need a prompt of each template.
    of_each = claim.task == "vote" or model.name in ("planted-modes", "planted-rare")
    most = len(set(prompts.templates)) if of_each else 1
    monkeypatch.setattr("audit_core.judging.trial.measure_null_draws", partial(measure_null_draws, most=most))
    stated = Claim(claim.planted, claim.components, role=claim.role, delta=DEFAULT_DELTA[claim.role])
    audit = get_plugin("audits", "claim_test")
    found: ClaimTestResult = audit.run(
        load_planted(model.name), ClaimTestRequest(prompts, stated), means=means, on_progress=no_progress
    )
    assert found.state == (claim.in_range or claim.expected)
    if claim.in_range is not None:
        assert found.reason == "off_distribution"
    elif claim.planted is PlantedRole.RARE:
        assert found.reason == "straddles_delta"
    else:
        assert (found.reason == "ablations_disagree") is (claim.expected is State.INCONCLUSIVE)
    for family in TOLERANCE:
        estimate = found.families[family]
        assert estimate is not None
        assert classify(estimate, stated.delta) is claim.by_family.get(family, claim.expected), family


def test_half_a_dose_does_nothing_and_a_double_one_half_as_much_again(load_planted: Load) -> None:
    """The MLP answers x by 20·relu(x − 0.5) − 20·relu(x − 1.25), so 0, 0, 5, 10, 15 and 15 at these doses of 1."""
    model = planted.DOSE
    subject = load_planted(model.name)
    doses = {0.25: 0, 0.5: 0, 0.75: 5, 1: 10, 1.25: 15, 2: 15}
    asked = [intervene([head(1, 0)], Replacement.SCALE, factor=dose) for dose in doses]
    found = measure(subject, draw(subject, model, "query", 2), asked)
    assert list(found.support.mean(1)) == pytest.approx([10 - answer for answer in doses.values()], abs=0.02)


def test_a_suppressing_head_attends_to_the_predicted_token_and_nowhere_without_it(load_planted: Load) -> None:
    model = planted.SUPPRESSED
    subject = load_planted(model.name)
    for pair in draw(subject, model, "query", 1).pairs:
        at = pair.clean_ids.index(pair.answer_id)
        looks = subject.patterns(pair, intervene([], Replacement.ZERO))[2, 0, -1]
        without = subject.patterns(pair, intervene([head(1, 0)], Replacement.ZERO))[2, 0, -1]
        assert looks[at] > 0.99
        assert without[0] > 0.99


def test_a_planted_model_is_built_into_the_cache_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_MODELS", str(tmp_path))
    model, built = planted.GATE, []
    counting = replace(model, build=lambda folder, seed: (built.append(seed), model.build(folder, seed)))
    first = build_planted(counting)
    assert first == build_planted(counting) != build_planted(counting, 1)
    assert built == [0, 1]
    assert first.parent == tmp_path
    assert find_planted(model.name) is model
    assert find_planted("planted-nothing") is None
