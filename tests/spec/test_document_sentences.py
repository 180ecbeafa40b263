"""Sentences of documents: planted readers whose sentence is known, a test of the fit on sets it has not seen, and swaps."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from audit_core import open_subject
from audit_core.capability import DOCUMENTS
from audit_core.documents import DocumentsRequest, DocumentsResult, QuestionRow, SentenceReading
from audit_core.documents import sentences as by_sentence
from audit_core.documents.kept_runs import KeptRuns, keep_runs, restore_runs
from audit_core.documents.measurement import measure_question
from audit_core.documents.question import Question, parse_question, write_source
from audit_core.documents.report import measure_documents
from audit_core.documents.sentences import draw_masks, read_sentences, split_sentences
from audit_core.errors import ControlFailed, NotMeasured, Refused
from audit_core.prompts.alignment import tokenise
from audit_core.stats.linear_fit import fit_linear, spearman_interval
from audit_core.subject import no_progress
from audit_core.subject_family import find_planted

TASKS = {
    "grounded": ("reader-sentences", (2, 2)),
    "parametric": ("reader-sentences-remembered", None),
    "wrong-document": ("reader-sentences-first", (1, 1)),
}
"""Reader → its task, and the sentence that its answer is copied from: document and place."""
pytestmark = pytest.mark.usefixtures("short_draws")


@cache
def ask(mode: str) -> tuple[Any, DocumentsRequest]:
    subject, model = open_subject(f"planted-reader-{mode}"), find_planted(f"planted-reader-{mode}")
    assert model is not None
    prompts = tokenise(model.find_task(TASKS[mode][0]).make(1, 0), subject.tokenizer)
    return subject, DocumentsRequest(prompts.take(range(6)), fillers=2, edits=2, traced=1, by_sentence=6)


@cache
def measure(mode: str) -> DocumentsResult:
    subject, request = ask(mode)
    return measure_documents(subject, request, no_progress)


def read(row: QuestionRow) -> SentenceReading:
    assert row.sentences is not None
    return row.sentences


@pytest.mark.parametrize("mode", TASKS)
def test_the_sentence_that_the_answer_is_copied_from_is_found_on_every_prompt(mode: str) -> None:
    _, place = TASKS[mode]
    for row in measure(mode).questions:
        found = read(row)
        if place is None:
            assert found.sentences == ()
            assert found.lds is None
            assert "no set of sentences moves" in found.refused
            continue
        assert found.lds is not None
        assert (found.n, found.n_fit, found.n_held_out, found.lds.value) == (6, 43, 21, 1.0)
        assert len({one.kept for one in found.sets}) == 21
        for one in found.sentences:
            expected = 8 if (one.document, one.place) == place else 0
            assert one.weight.value == pytest.approx(expected, abs=1e-3)
            assert one.replaced.value == pytest.approx(expected, abs=1e-3)


def test_a_swap_with_the_next_hit_moves_the_answers_that_are_read_from_that_place() -> None:
    """The next hit is about the asked key: the grounded reader reads it anywhere, the others at one place or none."""
    swapped = {
        mode: np.array([[one.swapped for one in row.documents] for row in measure(mode).questions], float)
        for mode in TASKS
    }
    assert np.allclose(swapped["parametric"], 0, atol=1e-3)
    assert np.allclose(swapped["wrong-document"], [8, 0, 0], atol=1e-3)
    assert np.allclose(swapped["grounded"][:, 1], 8, atol=1e-3)
    for row in measure("wrong-document").questions:
        assert row.documents[0].swapped_to == row.next_hit.split()[1], "it takes the very place"
    for row in measure("grounded").questions:
        other = row.next_hit.split()[1]
        assert row.documents[1].swapped_to == other != row.given
    assert {one.swapped_to for row in measure("parametric").questions for one in row.documents} == {
        row.given for row in measure("parametric").questions
    }


def test_a_file_without_a_next_hit_has_no_swap() -> None:
    subject, request = ask("grounded")
    pairs = tuple(replace(pair, prompt=replace(pair.prompt, source="")) for pair in request.prompts.pairs[:1])
    asked = replace(request, prompts=replace(request.prompts, pairs=pairs), by_sentence=0)
    (row,) = measure_documents(subject, asked, no_progress).questions
    assert (row.next_hit, row.sentences) == ("", None)
    assert {(one.swapped, one.swapped_to) for one in row.documents} == {(None, "")}


def test_runs_are_restored_from_their_kept_numbers_to_the_last_bit() -> None:
    subject, request = ask("wrong-document")
    question = parse_question(request.prompts.pairs[0], DOCUMENTS.of(subject))
    runs = measure_question(subject, question, request)
    adapter = TypeAdapter(KeptRuns)
    found = restore_runs(adapter.validate_json(adapter.dump_json(keep_runs(runs))), subject, question, request)
    assert {
        np.array_equal(getattr(runs, f.name), getattr(found, f.name)) for f in fields(runs) if f.type == "Array"
    } == {True}
    others = [f.name for f in fields(runs) if f.type != "Array"]
    assert [getattr(runs, name) for name in others] == [getattr(found, name) for name in others]


def test_citation_scores_and_any_next_hit_are_read_back() -> None:
    subject, request = ask("grounded")
    pair = request.prompts.pairs[0]
    wanted = ("cites [1]; scores 9.0000; next hit: x", (1.5, 0.25, -1.0), 1)
    question = replace(
        parse_question(pair, DOCUMENTS.of(subject)), next_hit=wanted[0], scores=wanted[1], cited=wanted[2]
    )
    prompt = replace(pair.prompt, source=write_source(question))
    found = parse_question(replace(pair, prompt=prompt), DOCUMENTS.of(subject))
    assert (found.next_hit, found.scores, found.cited) == wanted


def read_with(monkeypatch: pytest.MonkeyPatch, lead: Any, *, n: int = 6) -> SentenceReading:
    """The reading of a made-up model: lead of the answer from the kept sentences, an array of booleans."""
    subject, request = ask("grounded")
    question: Question = parse_question(request.prompts.pairs[0], DOCUMENTS.of(subject))
    runs = measure_question(subject, question, request)

    def fake(subject: Any, parts: Any, rows: Any, *rest: Any) -> Any:
        kept = [[row[p] == parts.join(parts.ids)[p] for p in starts(parts)] for row in rows]
        return np.array([lead(np.array(one)) for one in kept], float)

    def starts(parts: Any) -> list[int]:
        """Position of the first token of each sentence: a key, which no filler has."""
        place, found = len(parts.encoded.begin), []
        for at in range(len(parts.ids)):
            place += len(parts.encoded.labels[0]) if at % 2 == 0 else 0
            found.append(place)
            place += len(parts.ids[at])
        return found

    monkeypatch.setattr(by_sentence, "_read_leads", fake)
    return read_sentences(subject, runs, request)


def test_weight_and_loss_differ_by_what_sentences_do_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two sentences add 2 logits together: half of it is in each weight, all of it in each loss."""
    own = np.array([0.8, 4.0, -0.6, 3.0, 0.4, 0.2])
    found = read_with(monkeypatch, lambda kept: own @ kept + 2 * (kept[1] and kept[3]) - 1.8)
    assert not found.refused
    assert [one.replaced.value for one in found.sentences] == pytest.approx(
        own + np.array([0, 2, 0, 2, 0, 0]), abs=1e-3
    )
    assert [one.weight.value for one in found.sentences] == pytest.approx(own + np.array([0, 1, 0, 1, 0, 0]), abs=0.3)


def test_either_of_two_sentences_is_not_cleared_by_leaving_each_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither has a loss alone. A sum of weights does not have their effect either, so nothing is said of them."""
    found = read_with(monkeypatch, lambda kept: 8.0 * (kept[1] or kept[3]) + 0.1 * kept[0])
    assert found.refused
    assert found.sentences == ()


def test_a_fit_that_does_not_predict_other_sets_says_nothing_of_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lead is a parity of all sentences: no sum of weights has it."""
    found = read_with(monkeypatch, lambda kept: 8.0 * (kept.sum() % 2) + 0.01 * kept[0])
    assert found.sentences == ()
    assert found.lds is not None
    assert found.lds.value < 0.8
    assert "0.8 is needed" in found.refused
    assert len(found.sets) == 21


def test_sentences_put_together_again_must_give_the_same_lead(monkeypatch: pytest.MonkeyPatch) -> None:
    subject, request = ask("grounded")
    question = parse_question(request.prompts.pairs[0], DOCUMENTS.of(subject))
    runs = measure_question(subject, question, request)
    wrong = replace(runs, lattice=runs.lattice + 0.1)
    with pytest.raises(ControlFailed, match="put together again"):
        read_sentences(subject, wrong, request)


def test_documents_of_too_few_sentences_are_refused_with_the_number() -> None:
    subject = ask("grounded")[0]
    model = find_planted("planted-reader-grounded")
    assert model is not None
    prompts = tokenise(model.find_task("reader-lookup").make(1, 0), subject.tokenizer).take([0])
    (row,) = measure_documents(subject, DocumentsRequest(prompts, 2, 2, 1, by_sentence=1), no_progress).questions
    assert read(row).refused.startswith("3 sentences: 5 to 30")
    with pytest.raises(Refused, match="0 to 20"):
        measure_documents(subject, DocumentsRequest(prompts, by_sentence=21), no_progress)


@pytest.mark.parametrize(("n", "n_fit", "n_held"), [(5, 22, 10), (6, 43, 21), (7, 64, 32), (30, 64, 32)])
def test_no_held_out_set_is_one_of_the_fit(n: int, n_fit: int, n_held: int) -> None:
    masks, found = draw_masks(n, Random(0))
    assert (found, len(masks) - found) == (n_fit, n_held)
    assert len(np.unique(masks, axis=0)) == len(masks)
    assert 0.35 < masks.mean() < 0.65


def test_sentences_are_split_and_nothing_is_lost() -> None:
    assert split_sentences("One. Two? Three! Four") == ("One.", "Two?", "Three!", "Four")
    assert split_sentences("k01 v02 . k03 v04 .") == ("k01 v02 .", "k03 v04 .")


def test_the_fit_finds_weights_and_its_intervals_cover_them() -> None:
    draw, truth = np.random.default_rng(0), np.array([2.0, 0.0, -1.0])
    inside = 0
    for _ in range(400):
        rows = (draw.random((40, 3)) < 0.25).astype(float)
        # The rarer rows have the larger spread: plain standard errors are too small here.
        values = 1 + rows @ truth + draw.normal(size=40) * (0.2 + 2 * rows[:, 0])
        found = fit_linear(rows, values).estimate(0, "logits")
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 2 <= found.high
    assert 0.91 <= inside / 400 <= 0.99
    exact = fit_linear(rows, 1 + rows @ truth)
    assert exact.weights == pytest.approx(truth)
    assert exact.predict(rows) == pytest.approx(1 + rows @ truth)
    with pytest.raises(NotMeasured, match="do not distinguish"):
        fit_linear(np.ones((40, 2)), np.zeros(40))


def test_the_interval_of_a_rank_correlation_covers_it() -> None:
    from scipy.stats import spearmanr

    draw, rho, inside = np.random.default_rng(1), 0.8, 0
    # Spearman's of a normal pair with Pearson's r is (6 / π) asin(r / 2).
    r = 2 * np.sin(np.pi * rho / 6)
    for _ in range(400):
        first, other = draw.normal(size=(2, 21))
        found = spearman_interval(float(spearmanr(first, r * first + np.sqrt(1 - r * r) * other)[0]), 21, "ρ")
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= rho <= found.high
    assert 0.92 <= inside / 400 <= 0.98
    assert spearman_interval(0.5, 4, "ρ").low is None
    perfect = spearman_interval(1.0, 21, "ρ")
    assert perfect.low is not None
    assert 0.99 < perfect.low < perfect.value == perfect.high
