"""The benchmark audit on models with known wiring: a head that carries, one that does not, and models at chance."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from toy.planted import make_induction
from toy.tokenizers import make_bytes, wrap

from audit_core import cli
from audit_core.benchmarks import (
    CARRIES,
    NOT_TESTABLE,
    NOTHING,
    BenchmarkRequest,
    BenchmarkResult,
    PromptFormat,
    ask_items,
    compare_artefacts,
    read_benchmark,
    read_own_facts,
    read_recorded,
)
from audit_core.benchmarks.measurement import explain_no_effect, find_chance, measure_benchmark
from audit_core.benchmarks.prompting import borrow
from audit_core.benchmarks.results import AGAINST, UNRESOLVED
from audit_core.benchmarks.scoring import Margin
from audit_core.benchmarks.summary import Summary
from audit_core.component import Kind, head, mlp
from audit_core.effect import measure_effect
from audit_core.errors import Refused
from audit_core.intervention import Edit, Intervention, Replacement
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.answers import Contrast
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.shares import wilson
from audit_core.subject import no_progress
from audit_core.subjects.planted import find_planted
from audit_core.subjects.transformer import TransformerSubject


@pytest.fixture(scope="module")
def prompts(planted: TransformerSubject) -> TokenisedPrompts:
    return tokenise(make_induction(20, change="context", n_templates=5), planted.tokenizer)


def ask(subject: TransformerSubject, request: BenchmarkRequest) -> BenchmarkResult:
    return measure_benchmark(subject, request, no_progress)


def test_the_head_that_carries_is_found_and_a_decoy_has_no_effect(
    planted: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    carrier, decoy = (ask(planted, BenchmarkRequest(prompts, (head(1, at),))) for at in (0, 2))
    assert (carrier.accuracy.value, carrier.reading, carrier.stays_right.value) == (1.0, CARRIES, 0.0)  # type: ignore[union-attr]
    assert max(map(abs, carrier.random_effects)) < carrier.effect.value  # type: ignore[union-attr]
    assert (decoy.reading, decoy.stays_right.value) == (NOTHING, 1.0)  # type: ignore[union-attr]


def test_accuracy_does_not_depend_on_the_components(planted: TransformerSubject, prompts: TokenisedPrompts) -> None:
    results = [ask(planted, BenchmarkRequest(prompts, (head(1, at),), random_sets=5)) for at in (0, 2)]
    assert results[0].accuracy == results[1].accuracy


def test_an_identity_patch_moves_no_margin_and_noise_does(
    planted: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    site = [head(1, at) for at in range(4)]
    runs = [Intervention(tuple(Edit(part, how) for part in site)) for how in (Replacement.IDENTITY, Replacement.NOISE)]
    effect: Any = measure_effect(planted, prompts, runs, Margin(), seed=0)  # type: ignore[arg-type]
    assert np.abs(effect.patched[0] - effect.clean).max() <= planted.tolerance
    assert np.abs(effect.patched[1] - effect.clean).mean() > 1


def test_a_model_at_chance_gets_an_accuracy_and_no_effect(
    planted: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    """Answers and foils of every second item are exchanged, so that half of them is right."""
    turned = tuple(
        replace(pair, contrast=Contrast(pair.contrast.shared, pair.contrast.foils, pair.contrast.answers))
        if at % 2
        else pair
        for at, pair in enumerate(prompts.pairs)
    )
    found = ask(planted, BenchmarkRequest(replace(prompts, pairs=turned), (head(1, 0),)))
    assert (found.reading, found.n_right, found.effect, found.random_effects) == (NOT_TESTABLE, 10, None, ())
    assert found.finding.startswith("The model does not do this benchmark")
    assert "0.50" in found.finding
    assert all(row.effect is None for row in found.items)


@pytest.mark.parametrize(
    ("hits", "n", "chance", "is_measured"),
    [(0, 100, 0.0, False), (1, 100, 0.0, False), (2, 100, 0.0, True), (33, 100, 0.25, False), (34, 100, 0.25, True)],
)
def test_effects_are_measured_only_where_the_whole_interval_is_above_chance(
    hits: int, n: int, chance: float, is_measured: bool
) -> None:
    """Wilson: 33 of 100 begins at 0.246 and 34 of 100 at 0.255, beside chance at 0.25. One right item is too few."""
    assert (explain_no_effect(wilson(hits, n), hits, chance) == "") is is_measured


def test_one_right_item_is_no_benchmark_that_the_model_does() -> None:
    """As the default model on 30 items of DROP."""
    said = explain_no_effect(wilson(1, 30), 1, 0.0)
    assert said.startswith("The model does not do this benchmark: one of 30 items is right")


def test_always_naming_the_most_frequent_label_is_chance(prompts: TokenisedPrompts) -> None:
    labels = ((1,), (2,))
    pairs = tuple(
        replace(pair, contrast=Contrast((), labels[at % 4 == 0 :][:1], labels[: at % 4 == 0] or labels[1:]))
        for at, pair in enumerate(prompts.pairs)
    )
    assert find_chance(replace(prompts, pairs=pairs)) == (0.75, "always the most frequent right label")


def test_a_written_answer_is_generated_matched_and_measured(
    planted: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    """Without foils the answer is written; the planted model writes on after it, so only its first word is the reference."""
    pairs = tuple(replace(pair, contrast=Contrast((), pair.contrast.answers, ())) for pair in prompts.pairs)
    found = ask(planted, BenchmarkRequest(replace(prompts, pairs=pairs), (head(1, 0),), random_sets=5))
    assert found.chance == 0
    assert all(row.answer for row in found.items)
    assert found.n_right == sum(row.answer == row.expected for row in found.items)


@pytest.mark.parametrize(
    "request_of",
    [
        lambda prompts: BenchmarkRequest(prompts, ()),
        lambda prompts: BenchmarkRequest(prompts, (head(1, 0, -1),)),
        lambda prompts: BenchmarkRequest(prompts, (head(1, 0),), random_sets=1),
    ],
    ids=["no component", "one position", "one random set"],
)
def test_what_random_sets_cannot_be_compared_with_is_refused(
    request_of: Callable[[TokenisedPrompts], BenchmarkRequest], planted: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    with pytest.raises(Refused):
        ask(planted, request_of(prompts))


def test_the_other_run_of_an_item_is_another_item_of_equal_length_and_end() -> None:
    tokenizer = wrap(make_bytes([]))
    rows = b"Who was it?,Ann,Bob,Cid,Dan,A\nAnd where was it found?,Rome,Oslo,Bonn,Kiev,D\nWhen?,10,20,30,40,B\n"
    found, source = ask_items(read_benchmark(rows, name="mine.csv"), tokenizer, PromptFormat.LETTER, most=10)
    assert source.n_in_file == len(found) == 3
    assert found.pairs[0].prompt.clean.endswith("D. Dan\nAnswer:")
    for at, pair in enumerate(found.pairs):
        assert len(pair.corrupted_ids) == len(pair.clean_ids)
        assert pair.corrupted_ids != pair.clean_ids
        assert pair.corrupted_ids[-7:] == pair.clean_ids[-7:]
        assert borrow(found.pairs, at, 1, tokenizer) == pair.corrupted_ids


def test_items_that_do_not_fit_are_counted_and_a_file_without_others_is_refused() -> None:
    tokenizer = wrap(make_bytes([]))
    short, long = "Q{}?,a,b,c,d,A\n", "long " * 500 + "?,a,b,c,d,A\n"
    found, source = ask_items(
        read_benchmark((short.format(1) + short.format(2) + long).encode(), name="m"), tokenizer, PromptFormat.TEXT, most=9
    )  # fmt: skip
    assert (len(found), source.left_out) == (2, (("longer than 2048 tokens", 1),))
    with pytest.raises(Refused, match="longer than 2048 tokens"):
        ask_items(read_benchmark(long.encode(), name="m"), tokenizer, PromptFormat.TEXT, most=9)


def make_run(**changes: Any) -> dict[str, Any]:
    estimate = {"value": 0.5, "low": 0.4, "high": 0.6}
    result = {
        "accuracy": estimate, "effect": None, "excess": None, "stays_right": None, "reading": NOT_TESTABLE, "n": 2,
        "items": [{"id": "a", "is_right": True}, {"id": "b", "is_right": False}],
    }  # fmt: skip
    run: dict[str, Any] = {
        "source": {"sha256": "1"}, "identity": {"weights_sha256": "2"}, "request": {}, "code_sha256": "3", "result": result,
    }  # fmt: skip
    return json.loads(json.dumps(run | changes))  # type: ignore[no-any-return]


def test_a_later_run_is_the_same_or_changed_with_the_cause() -> None:
    same = compare_artefacts(make_run(), make_run(code_sha256="4"))
    assert same.is_same
    assert same.causes == ("the code of Assay",)
    other = make_run(identity={"weights_sha256": "9"})
    other["result"]["items"][1]["is_right"] = True
    other["result"]["accuracy"] = {"value": 1.0, "low": 0.9, "high": 1.0}
    changed = compare_artefacts(make_run(), other)
    assert not changed.is_same
    assert changed.causes == ("the model's weights",)
    assert "accuracy was 0.500, is 1.000" in changed.sentence
    assert "right in one run only: b" in changed.sentence


def test_the_recorded_run_is_of_the_shipped_file() -> None:
    recorded, own = read_recorded(), read_benchmark(read_own_facts(), name="own_facts.jsonl")
    assert recorded.result.source is not None
    assert recorded.result.source.sha256 == own.sha256
    assert [row.id for row in recorded.result.items] == [item.id for item in own.items]
    assert recorded.result.accuracy.low > recorded.result.chance  # type: ignore[operator]


def test_the_command_records_a_run_and_compares_it_with_a_later_one(
    planted: TransformerSubject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prompts: TokenisedPrompts,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The planted model has no words for questions, so the file's items are replaced by its own prompts."""
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path / "home"))
    _, source = ask_items(
        read_benchmark(b"Q?,a,b,c,d,A\nR?,a,b,c,d,A\n", name="m"), wrap(make_bytes([])), PromptFormat.TEXT, most=2
    )
    monkeypatch.setattr("audit_core.audits.benchmark.ask_items", lambda *_, **__: (prompts, source))
    monkeypatch.setattr("audit_core.cli.benchmarks.open_subject", lambda *_, **__: planted)
    file, artefact = tmp_path / "mine.csv", tmp_path / "run.json"
    file.write_bytes(b"Q?,a,b,c,d,A\n")
    assert cli.main(["benchmark", "--file", str(file), "--components", "L1.H0", "--out", str(artefact)]) == 0
    again = ["benchmark", "--file", str(file), "--again", str(artefact)]
    assert cli.main(again) == 0
    assert "Same: accuracy" in capsys.readouterr().out
    made = json.loads(artefact.read_text())
    assert planted.identity.folder not in artefact.read_text()
    made["result"]["items"][0]["is_right"] = False
    artefact.write_text(json.dumps(made))
    assert cli.main(again) == 1
    assert "Changed: 1 items" in capsys.readouterr().out


def test_an_mlp_and_a_mean_are_compared_with_random_sets_too(
    planted: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    found = ask(planted, BenchmarkRequest(prompts, (head(1, 0), mlp(0)), Replacement.MEAN, 5, measured_items=10))
    assert (found.reading, found.n_measured) == (CARRIES, 10)
    assert dict(found.conditions)["ablation"] == "mean over other items, aligned at the end"


@pytest.mark.parametrize(
    ("random_loss", "one_loss", "reading"), [(0.0, 0.0, CARRIES), (0.0, 6.0, UNRESOLVED), (6.0, 6.0, UNRESOLVED)]
)
def test_an_effect_that_random_sets_have_too_carries_nothing(
    prompts: TokenisedPrompts, random_loss: float, one_loss: float, reading: str
) -> None:
    """A loss of 5 of a margin of 10, beside 38 random sets: none, two or all of them lose as much."""
    rows = tuple(range(len(prompts)))
    losses = np.array([5.0, one_loss, one_loss, *[random_loss] * 36])[:, None] + np.zeros(len(rows))
    effects: Any = SimpleNamespace(
        rows=rows, clean=np.full(len(rows), 10.0), without=10.0 - losses, loss=losses, controls=None, kept=None
    )
    summary = Summary(prompts, effects, seed=0)
    assert summary.excess.value == pytest.approx(5 - losses[1:, 0].mean())
    assert summary.read() == reading


@pytest.mark.parametrize(
    ("left", "sign", "reading"), [(5.0, 1, CARRIES), (2.0, 1, UNRESOLVED), (-5.0, 1, UNRESOLVED), (5.0, -1, AGAINST), (0.5, -1, UNRESOLVED)]
)  # fmt: skip
def test_an_effect_of_which_little_is_left_in_range_is_unresolved(
    prompts: TokenisedPrompts, left: float, sign: int, reading: str
) -> None:
    """A loss of 5 of a margin of 10 that no random set has; `left` of it with later neurons in their usual range."""
    rows = tuple(range(len(prompts)))
    losses = sign * np.array([5.0, *[0.0] * 19])[:, None] + np.zeros(len(rows))
    effects: Any = SimpleNamespace(
        rows=rows, clean=np.full(len(rows), 10.0), without=10.0 - losses, loss=losses, controls=None,
        kept=np.full(len(rows), 10.0 - sign * left),
    )  # fmt: skip
    summary = Summary(prompts, effects, seed=0)
    assert summary.in_range is not None
    assert summary.in_range.value == pytest.approx(sign * left)
    assert summary.read() == reading


def test_what_an_artefact_and_a_cause_keep_in_range(load_planted: Callable[[str], Any]) -> None:
    """In `planted-unseen` both act through one MLP: L1.H1 mostly on inputs that no text makes, L1.H3 on every text."""
    subject, model = load_planted("planted-unseen"), find_planted("planted-unseen")
    assert model is not None
    prompts = tokenise(model.tasks[0].make(12, 0), subject.tokenizer)
    kept = {}
    for at in (1, 3):
        found = ask(subject, BenchmarkRequest(prompts, (head(1, at),), random_sets=5, measured_items=24))
        assert (found.effect is None, found.in_range is None, found.no_range) == (False, False, "")
        kept[at] = found.in_range.value / found.effect.value  # type: ignore[union-attr]
    assert kept[1] < 0.5
    assert kept[3] == pytest.approx(1, abs=0.1)


def test_where_no_mlp_follows_the_range_is_not_measured_and_says_so(
    planted: TransformerSubject, prompts: TokenisedPrompts
) -> None:
    last = max(part.layer for part in planted.components(Kind.MLP))
    found = ask(planted, BenchmarkRequest(prompts, (mlp(last),), random_sets=5, measured_items=10))
    assert (found.in_range, found.no_range) == (None, "no MLP reads these components.")
