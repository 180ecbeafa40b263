"""One claim under perturbations: what changes and what does not, and the metrics that stand for decoding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audit_core.audits.robustness import (
    NOT_MEASURED,
    OTHER,
    SAME,
    UNRESOLVED,
    RobustnessRequest,
    RobustnessResult,
    list_perturbations,
)
from audit_core.claim import Claim, Role
from audit_core.component import head
from audit_core.effect import get_metric
from audit_core.errors import ComponentRefused, ModelRefused, Refused
from audit_core.intervention import Replacement
from audit_core.judging.difference import estimate_difference
from audit_core.judging.faithfulness import CircuitEffect
from audit_core.judging.trial import Trial, measure_null_draws
from audit_core.metrics.nucleus_answer import keep_nucleus
from audit_core.models import digest_folder
from audit_core.models.edited import silence_head
from audit_core.other_models import check_comparable
from audit_core.perturbation import Group
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import Prompt, TokenisedPrompts, take_tokenised_split
from audit_core.registry import get_plugin, search_also
from audit_core.run import Auditor
from audit_core.shipped import load_prompt_set
from audit_core.store import RunLog
from audit_core.subject import Logits
from audit_core.subject_family import find_folder
from audit_core.subjects.planted import find_planted

PAIR = Prompt(
    "p", "When Mary and John went to the store, John gave a drink to",
    "When Mary and John went to the store, Mary gave a drink to", " Mary", " John", "store",
)  # fmt: skip


@pytest.fixture(scope="module")
def ask(
    load_planted: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory, short_draws: None
) -> Callable[..., RobustnessResult]:
    subject, model = load_planted("planted-induction"), find_planted("planted-induction")
    assert model is not None
    prompts = tokenise(model.tasks[0].make(12, 0), subject.tokenizer)
    explored, judged = (take_tokenised_split(prompts, exploratory=split) for split in (True, False))
    auditor = Auditor(subject, RunLog(tmp_path_factory.mktemp("log")))

    @cache
    def run(*parts: Any, other_models: str = "", only: str = "") -> RobustnessResult:
        request = RobustnessRequest(judged, explored, parts, other_models=other_models)
        with pytest.MonkeyPatch.context() as patch:
            if only:
                kept = tuple(one for one in list_perturbations() if one.name == only)
                patch.setattr("audit_core.audits.robustness.list_perturbations", lambda: kept)
            found: RobustnessResult = auditor.execute("robustness", request)
        return found

    return run


def test_the_first_row_is_as_written_and_each_perturbation_has_one(ask: Callable[..., RobustnessResult]) -> None:
    found = ask(head(1, 0))
    names = [row.name for row in found.rows]
    assert names == ["as_written", *(one.name for one in list_perturbations())]
    assert len({row.group for row in found.rows[1:] if row.reading != NOT_MEASURED}) >= 4
    assert found.rows[0].state == "supported"
    measured = [row for row in found.rows[1:] if not row.not_measured]
    other = next(row for row in measured if row.name == "other_templates")
    assert other.example != found.rows[0].example
    assert other.difference is None
    assert {row.name for row in measured if row.group != "decoding" and row.reading != SAME} == set()
    # All of the answer is lost: decoding has no more to lose, and random sets on one prompt can tie with it.
    assert [row.effect and row.effect.value for row in measured if row.group == "decoding"] == pytest.approx(
        [1] * 3, abs=0.01
    )


def test_a_perturbation_that_changes_no_prompt_has_no_numbers(ask: Callable[..., RobustnessResult]) -> None:
    row = next(row for row in ask(head(1, 0)).rows if row.name == "synonyms")
    assert (row.reading, row.effect, row.accuracy, row.n) == (NOT_MEASURED, None, None, 0)
    assert "changes none" in row.not_measured


def test_a_perturbation_under_which_the_model_fails_is_unresolved(
    ask: Callable[..., RobustnessResult], tmp_path: Path
) -> None:
    """A positive control: a change that breaks the task, and one that turns the answer, are both noticed."""
    (tmp_path / "wrong_answer.py").write_text(
        "from dataclasses import replace\n"
        "from audit_core.perturbation import Group, Perturbation\n"
        "class Wrong(Perturbation):\n"
        "    def edit(self, prompt):\n"
        "        return replace(prompt, clean=prompt.corrupted, corrupted=prompt.clean)\n"
        "PLUGIN = Wrong('wrong_answer', Group.ADVERSARIAL, 'another answer', 'The texts change, the answers do not.')\n",
        encoding="utf-8",
    )
    with search_also("perturbations", tmp_path):
        row = next(row for row in ask(head(1, 0), only="wrong_answer").rows if row.name == "wrong_answer")
    assert (row.reading, row.reason, row.accuracy) == (UNRESOLVED, "model_fails_task", 0.0)


def test_no_perturbation_makes_a_decoy_matter(ask: Callable[..., RobustnessResult]) -> None:
    assert not [row.name for row in ask(head(1, 1)).rows if row.reading == OTHER]


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("leading_sentence", "This is a short text. When Mary and John went to the store, John gave a drink to"),
        ("synonyms", "When Mary and John went to the shop, John handed a drink to"),
        ("typing_error", "When Mary and John went to the sotre, John gave a drink to"),
        ("foil_mentioned", "The word John was read aloud. When Mary and John went to the store, John gave a drink to"),
        ("roles_exchanged", "When Mary and John went to the store, Mary gave a drink to"),
    ],
)
def test_each_edit_changes_both_texts_as_it_says(name: str, clean: str) -> None:
    changed = get_plugin("perturbations", name).apply(PAIR)
    assert changed.clean == clean
    other = PAIR.clean if name == "roles_exchanged" else clean.replace(", John ", ", Mary ")
    assert changed.corrupted == other


def test_every_shipped_set_is_changed_by_at_least_three_edits() -> None:
    for task in ("indirect_object", "subject_verb_agreement", "gender_pronoun", "factual_recall"):
        prompts = load_prompt_set(task).prompts[:40]
        edits = [one for one in list_perturbations() if one.edits_texts and any(map(one.apply, prompts))]
        assert len(edits) >= 3, task


def test_decoding_metrics_are_those_worked_by_hand() -> None:
    chances = np.array([[0.5, 0.3, 0.15, 0.05]])
    assert keep_nucleus(chances) == pytest.approx(np.array([[0.5, 0.3, 0.15, 0.0]]) / 0.95)
    vocabulary = np.log(chances)[:, None, :]
    pair: Any = SimpleNamespace(answer_ids=(0,), foil_ids=(1,))
    logits = Logits(np.zeros((1, 1)), np.zeros((1, 1)), vocabulary, 0)
    assert get_metric("greedy_answer").read(logits, [pair]) == pytest.approx(np.array([[1.0]]))
    assert get_metric("nucleus_answer").read(logits, [pair]) == pytest.approx(np.array([[0.2 / 0.95]]))
    powers = chances[0] ** (1 / 0.7)
    assert get_metric("temperature_answer").read(logits, [pair]) == pytest.approx(
        np.array([[(powers[0] - powers[1]) / powers.sum()]])
    )


def test_a_difference_of_effects_is_that_of_the_ratios_with_pairs_by_id() -> None:
    draw = np.random.default_rng(0)
    gap, share = 5 + draw.random(40), 0.3 + 0.1 * draw.random(40)
    first, second = _trial(gap, share * gap), _trial(2 * gap, share * gap)
    ids = tuple(map(str, range(40)))
    found = estimate_difference(first, second, ids, ids, seed=0)
    ratio = float((share * gap).sum() / gap.sum())
    assert found.value == pytest.approx(ratio / 2)
    assert found.low is not None
    assert found.low < ratio / 2 < (found.high or 0)
    turned = second.take(list(range(39, -1, -1)))
    assert estimate_difference(first, turned, ids, ids[::-1], seed=0) == found


def _trial(gap: np.ndarray, lost: np.ndarray) -> Trial:
    clusters = tuple(f"t{at % 8}" for at in range(len(gap)))
    circuit = CircuitEffect(gap, gap - lost, np.zeros_like(gap), np.zeros_like(gap), clusters, 0.1)
    nothing = np.empty((0, len(gap)))
    claim = Claim("c", (head(0, 0),))
    return Trial(claim, 0 * gap, {Replacement.RESAMPLE: circuit}, 0 * gap, {}, nothing, "", 0, clusters, "logits")


def test_groups_are_those_that_the_page_names() -> None:
    assert {one.group for one in list_perturbations()} == set(Group) - {Group.MODEL}


@pytest.fixture(scope="module")
def siblings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A planted Llama without what one head writes: the one that writes the answer, and its backup."""
    base, out = find_folder("planted-llama"), tmp_path_factory.mktemp("siblings")
    return {name: silence_head(base, out / name, *at) for name, at in (("L1.H0", (1, 0)), ("L2.H0", (2, 0)))}


@pytest.fixture(scope="module")
def on_siblings(
    load_planted: Callable[[str], Any], siblings: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The backup under test, which acts only without the head that writes the answer: label → row."""
    subject, model = load_planted("planted-llama"), find_planted("planted-llama")
    assert model is not None
    prompts = tokenise(model.tasks[0].make(12, 0), subject.tokenizer)
    explored, judged = (take_tokenised_split(prompts, exploratory=split) for split in (True, False))
    names = ", ".join([*map(str, siblings.values()), "planted-llama", "planted-induction"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audit_core.audits.robustness.list_perturbations", lambda: ())
        patch.setattr("audit_core.judging.trial.measure_null_draws", partial(measure_null_draws, most=1))
        request = RobustnessRequest(judged, explored, (head(2, 0),), other_models=names)
        found = Auditor(subject, RunLog(tmp_path_factory.mktemp("log"))).execute("robustness", request)
    assert "Of 4 perturbations, 1 give the same verdict, 1 another one; 0 unresolved, 2 not measured." in found.finding
    return {row.label: row for row in found.rows}


def test_a_backup_is_negligible_until_the_model_lacks_what_it_replaces(
    on_siblings: dict[str, Any], siblings: dict[str, Path]
) -> None:
    """The positive control of other models: the sibling is measured, and not the claim's own model again."""
    written, other = on_siblings["as written"], on_siblings["on L1.H0"]
    assert (written.state, other.state, other.reading) == ("negligible", "supported", OTHER)
    assert (other.group, other.name) == ("model", "L1.H0")
    assert other.weights_sha256 == digest_folder(siblings["L1.H0"]).weights_sha256
    assert other.difference.low > 0.5


def test_a_head_that_writes_nothing_in_the_sibling_has_no_effect_there(on_siblings: dict[str, Any]) -> None:
    own = on_siblings["on L2.H0"]
    assert (own.state, own.reading, own.accuracy) == ("negligible", SAME, 1.0)
    assert own.effect.value == pytest.approx(0, abs=1e-4)


def test_models_that_say_nothing_about_the_claim_are_rows_with_the_reason(on_siblings: dict[str, Any]) -> None:
    same, other = on_siblings["on planted-llama"], on_siblings["on planted-induction"]
    assert (same.reading, other.reading) == (NOT_MEASURED, NOT_MEASURED)
    assert "the claim's own model" in same.not_measured
    assert "L2.H0 names another component there: gpt2 of width 192, 3 layers, 18 heads, 3 MLPs" in other.not_measured
    assert "llama of width 288, 3 layers, 18 heads, 3 MLPs in the claim's model" in other.not_measured
    assert other.effect is None


def test_a_model_without_the_component_is_refused(load_planted: Callable[[str], Any]) -> None:
    with pytest.raises(ComponentRefused, match="It has no L23.H3: gpt2 of width 192"):
        check_comparable(load_planted("planted-llama"), load_planted("planted-induction"), (head(23, 3),))


def test_a_head_that_is_not_there_or_silent_already_is_not_edited(tmp_path: Path) -> None:
    base = find_folder("planted-llama")
    for at, folder in enumerate((base, find_folder("planted-induction"))):
        with pytest.raises(ModelRefused, match="writes anything"):
            silence_head(folder, tmp_path / str(at), 1, 1)


def test_too_many_other_models_are_refused_before_any_work(ask: Callable[..., RobustnessResult]) -> None:
    for names in ("moe-tiny, moe-tiny", "a/b", ",".join(f"/no/{n}" for n in range(5))):
        with pytest.raises(Refused):
            ask(head(1, 0), other_models=names)


def test_another_version_of_another_model_is_another_question(siblings: dict[str, Path]) -> None:
    first, second = map(str, siblings.values())
    prompts = TokenisedPrompts("p", (), "0")
    plain = RobustnessRequest(prompts, prompts, (head(1, 0),))
    described = [replace(plain, other_models=names).describe() for names in ("", first, second)]
    assert "other_models" not in described[0]
    assert described[1]["other_models"][0][1] != described[2]["other_models"][0][1]
    assert first not in str(described[1])


def test_an_artefact_is_withheld_as_in_a_claim_test(
    load_planted: Callable[[str], Any], tmp_path: Path, short_draws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head of `planted-unseen` carries 0.10 on every text, and each ablation alone says more."""
    monkeypatch.setattr("audit_core.audits.robustness.list_perturbations", lambda: ())
    subject, model = load_planted("planted-unseen"), find_planted("planted-unseen")
    assert model is not None
    prompts = tokenise(model.tasks[0].make(12, 0), subject.tokenizer)
    explored, judged = (take_tokenised_split(prompts, exploratory=split) for split in (True, False))
    auditor = Auditor(subject, RunLog(tmp_path))
    written = auditor.execute("robustness", RobustnessRequest(judged, explored, (head(1, 1),))).rows[0]
    assert (written.state, written.reason, written.no_range) == ("inconclusive", "off_distribution", "")
    assert written.effect.value > 0.3
    assert written.in_range.value == pytest.approx(0.10, abs=0.02)
    alone = RobustnessRequest(judged, explored, (head(0, 0), head(1, 0)), Role.SUFFICIENT, 0.8)
    row = auditor.execute("robustness", alone).rows[0]
    assert (row.in_range, row.no_range) == (None, "measured for necessary components only.")
