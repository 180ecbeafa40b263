"""Features of sparse dictionaries: recovered, edited, measured against matched ones, labels tested, files read."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from toy.dictionaries import draw_activations, write_basis
from toy.probe_texts import write_votes
from toy.saelens import write_saelens

from audit_core import open_subject
from audit_core.cli import main
from audit_core.component import Kind, parse_component, resid
from audit_core.dictionaries.planted import DECOY, USED
from audit_core.dictionaries.planted import write_planted as write_dictionary
from audit_core.dictionaries.shelf import Origin, add_dictionary
from audit_core.effect import measure_effect
from audit_core.errors import (
    Cancelled,
    ComponentRefused,
    ControlFailed,
    IntegrityError,
    InterventionRefused,
    NotMeasured,
    Refused,
)
from audit_core.features import (
    Dictionary,
    EffectVerdict,
    LabelledText,
    LabelVerdict,
    Recipe,
    Training,
    check_label,
    compare_families,
    describe_both,
    draw_dictionary,
    evaluation,
    import_saelens,
    load_dictionary,
    measure_features,
    measure_quality,
    save_dictionary,
    train_dictionary,
)
from audit_core.features.absorption import Absorption, LetterWords, measure_absorption, read_letter_words
from audit_core.features.difference import NOT_USE, compare_firing
from audit_core.features.evaluation import (
    NEURONS,
    OWN,
    PRINCIPAL,
    RANDOM,
    WHOLE,
    LabelledRows,
    evaluate_dictionary,
    probe_sparsely,
)
from audit_core.features.held_out import read_labelled_file
from audit_core.intervention import Edit, Intervention, Replacement, intervene
from audit_core.metrics.logit_difference import PLUGIN as LOGIT_DIFFERENCE
from audit_core.probes.reading import ask_labelled
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.estimates import Estimate
from audit_core.store import RunLog, make_key
from audit_core.verifier.walk import verify_pack

NO_LETTERS = Absorption(Estimate(0.25, 0.1, 0.4, 20, "F1", 0.95), None)
RECIPE = Recipe(width=48, active=2, steps=350, batch=256, rate=5e-3)


@cache
def strict() -> Any:
    return open_subject("planted-strict")


@cache
def votes() -> TokenisedPrompts:
    return ask_labelled(write_votes("majority", n_pairs=3), "votes.csv", strict().tokenizer, most=400)[0]


@cache
def found() -> Any:
    return measure_features(strict(), write_dictionary(), votes(), (USED, DECOY), seed=0)


def label(kind: str, index: int) -> Any:
    """Texts labelled by the majority, by the last letter, or by a coin."""
    pairs = ask_labelled(write_votes(kind), f"{kind}.csv", strict().tokenizer, most=400)[0].pairs
    texts = [LabelledText(p.clean_ids, p.prompt.group == "A", p.prompt.template) for p in pairs]
    return check_label(strict(), write_dictionary(), index, f"{kind} is A", texts, seed=0)


# Training


def test_a_known_dictionary_is_recovered_and_a_random_one_is_not() -> None:
    x, known = draw_activations()
    trained = train_dictionary(x, 0, RECIPE)
    fits = [np.abs(known @ one.decoder.T).max(1).mean() for one in (trained, draw_dictionary(trained, x, seed=9))]
    assert fits[0] >= 0.9
    assert fits[1] < 0.75
    values = trained.encode(x)
    assert (values > 0).sum(1).mean() == pytest.approx(RECIPE.active, rel=0.3)
    assert np.square(x - trained.reconstruct(x)).sum() < 0.25 * np.square(x - x.mean(0)).sum()


def test_training_repeats_with_its_seed_and_can_be_cancelled() -> None:
    x, short = draw_activations()[0], replace(RECIPE, steps=40)
    assert train_dictionary(x, 0, short).sha256 == train_dictionary(x, 0, short).sha256
    assert train_dictionary(x, 0, short).sha256 != train_dictionary(x, 0, replace(short, seed=1)).sha256

    def stop(done: int, total: int) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        train_dictionary(x, 0, short, on_progress=stop)
    with pytest.raises(Refused, match="active features"):
        train_dictionary(x, 0, replace(RECIPE, active=49))


def test_an_outlying_token_is_neither_trained_on_nor_read() -> None:
    x = np.concatenate([draw_activations()[0][:500], np.full((1, 24), 900.0, np.float32)])
    trained = train_dictionary(x, 0, replace(RECIPE, steps=20))
    assert not trained.encode(x[-1:]).any()
    np.testing.assert_array_equal(trained.reconstruct(x[-1:]), x[-1:])


# Versions of a model


@pytest.fixture(scope="module")
def without_vote(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """planted-strict whose head L0.H1, the cause of the vote, writes nothing."""
    from transformers import GPT2LMHeadModel

    folder, own = tmp_path_factory.mktemp("edited"), Path(strict().identity.folder)
    model = GPT2LMHeadModel.from_pretrained(own)
    with torch.no_grad():
        model.transformer.h[0].attn.c_proj.weight[32:64] = 0
    for path in own.iterdir():
        shutil.copy(path, folder / path.name)
    model.save_pretrained(folder)
    return open_subject(str(folder))


def read_votes() -> tuple[list[Any], list[str]]:
    """Votes, each vote a group of its own."""
    rows = list(dict.fromkeys(pair.clean_ids for pair in votes().pairs))
    return rows, [f"g{at}" for at in range(len(rows))]


def test_the_features_that_a_version_no_longer_fires_are_listed_and_no_other(without_vote: Any) -> None:
    """Feature 0 is the vote. All others fire with the last letter, which no edit touches."""
    rows, names = read_votes()
    found = compare_firing(strict(), without_vote, write_dictionary(), rows, names, seed=0)
    (first,) = [row for row in found.rows if row.differs]
    assert (first.component, found.n_differ, found.null_differ) == ("L1.F0", 1, 0)
    values = [write_dictionary().encode(one[1:]) for one in strict().read_stream(rows, 1)]
    assert found.n_features == (np.sum([(one > 0).any(0) for one in values], 0) >= 3).sum() > 10
    assert found.n_silent == (np.sum([(one > 0).any(0) for one in values], 0) == 0).sum()
    assert first.second.value == 0 < first.first.low
    assert found.stream_change > 0
    # The vote is on a part of the texts alone; features that fire on every text would have been found if they fell silent.
    assert 0 < found.n_detectable <= found.n_features
    assert first.rate.value == pytest.approx(-first.first.value)
    assert first.rate.high < 0
    assert (first.rate.n, first.rate.unit) == (len(rows), "of the tokens")
    assert found.finding.startswith(f"1 of {found.n_features} features fire differently")
    assert NOT_USE in found.finding


def test_one_version_has_no_difference_with_itself_and_refusals_have_reasons() -> None:
    rows, names = read_votes()
    dictionary = write_dictionary()
    silent = replace(dictionary, threshold=np.where(np.arange(len(dictionary)) == 5, 1e9, dictionary.threshold))
    found = compare_firing(strict(), strict(), silent, rows, names, seed=0)
    assert (found.n_silent, found.n_features) == (1, len(dictionary) - 1)
    assert (found.n_differ, [row.differs for row in found.rows]) == (0, [False] * len(found.rows))
    assert found.finding.startswith(f"None of {found.n_features} features was found")
    assert {row.p_rate for row in found.rows} == {1.0}
    assert found.stream_change == 0
    assert "The stream that they read is the same in both" in found.finding
    with pytest.raises(NotMeasured, match="2 clusters"):
        compare_firing(strict(), strict(), write_dictionary(), rows[:2], names[:2], seed=0)
    with pytest.raises(Refused, match="different tokenizers"):
        compare_firing(strict(), open_subject("planted-mixture"), write_dictionary(), rows, names, seed=0)


# Evaluation


def test_a_dictionary_that_is_read_and_rebuilds_all_is_above_the_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    """The label is the vote, which the stream holds in one direction: one feature reads it, no random one does."""
    rows, names = write_repeated()
    labelled = read_labelled_file(write_votes("majority"), "votes.csv", strict().tokenizer)
    assert read_letter_words(strict(), write_basis().layer) is None, "words of planted models have no letters"
    # Letters as a model with words has them: which families they are measured of.
    asked: list[Dictionary] = []
    monkeypatch.setattr(evaluation, "read_letter_words", lambda *_: "words")
    monkeypatch.setattr(evaluation, "measure_absorption", lambda one, words, seed: (asked.append(one), NO_LETTERS)[1])
    found = evaluate_dictionary(strict(), write_basis(), rows, names, labelled, seed=0)
    assert [one.sha256 == write_basis().sha256 for one in asked] == [True, False]
    assert len(asked) == 2, "this dictionary and the random one; principal components are never silent"
    own, random, principal, neurons, whole = found.families
    assert [one.family for one in found.families] == [OWN, RANDOM, PRINCIPAL, NEURONS, WHOLE]
    assert own.fvu == pytest.approx(0, abs=1e-6)
    assert own.recovered.value == pytest.approx(1, abs=1e-3)
    assert random.recovered.high < own.recovered.low
    assert (own.probe_one.value, own.probe_five.value) == (1.0, 1.0)
    assert whole.probe_five.value > 0.9
    assert random.probe_one.value < 1
    assert principal.l0 == pytest.approx(own.l0, rel=0.1), "as many numbers a token"
    assert neurons.probe_one.value == 1.0
    assert own.letters is random.letters is NO_LETTERS.f1
    assert (principal.letters, principal.absorbed) == (None, None)
    assert "loss recovered: above" in found.finding
    assert found.controls.identity_max <= 1e-4 < found.controls.noise_min


def test_a_probe_on_shuffled_labels_is_at_chance_and_chooses_where_it_trains() -> None:
    draw = np.random.default_rng(0)
    y, templates = draw.random(200) < 0.5, tuple(f"t{at % 10}" for at in range(200))
    noise = draw.normal(size=(200, 500)).astype(np.float32)
    found = probe_sparsely(noise, LabelledRows("noise", ((0,),) * 200, y, templates), 5)
    assert found.low < 0.5 < found.high
    noise[:, 3] += 4 * y
    assert probe_sparsely(noise, LabelledRows("one", ((0,),) * 200, y, templates), 1).value > 0.95


def test_absorption_finds_words_whose_letter_another_feature_carries_and_none_without() -> None:
    """Direction 0 or 1 is the letter, and in one dictionary a feature of its own carries it on few words: 2 of 80 measured."""
    n, width = 80, 8
    letters = ("a",) * n + ("b",) * n
    stream = np.zeros((2 * n, width), np.float32)
    stream[:n, 0] = stream[n:, 1] = 2.0
    # Of every 40 words one of each split: so few that the feature raises F1 too little to count as one of the letter.
    special = np.isin(np.arange(2 * n) % 40, (8, 18))
    special[n:] = False
    stream[special, 2] = 3.0
    # On others it carries the letter too, and the letter's own feature fires: those are not absorbed.
    beside = np.isin(np.arange(2 * n) % 40, (5, 15)) & (np.arange(2 * n) < n)
    stream[beside, 2] = 0.6
    words = LetterWords(letters, stream, np.arange(2 * n) // 10 % 2 == 0)
    eye = np.eye(width, dtype=np.float32)
    whole = Dictionary(
        0, eye, np.zeros(width, np.float32), np.full(width, 0.5, np.float32), eye, np.zeros(width, np.float32)
    )
    found = measure_absorption(whole, words, seed=0)
    assert (found.f1.value, found.share.value) == (1.0, 0.0)
    encoder, decoder = eye.copy(), eye.copy()
    encoder[0, 2], encoder[2, 2] = -2.0, 4.0
    decoder[2, 0] = 1.0
    decoder /= np.linalg.norm(decoder, axis=1, keepdims=True)
    absorbing = Dictionary(0, encoder, whole.bias, whole.threshold, decoder, whole.centre)
    found = measure_absorption(absorbing, words, seed=0)
    assert found.share.value == pytest.approx(2 / n)
    assert found.f1.value < 1


def test_the_commands_ask_audits_whose_answers_are_reused_and_travel_in_packs(
    own_home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts, out = tmp_path / "texts.csv", tmp_path / "out.json"
    tokenizer = strict().tokenizer
    lines = [" ".join(tokenizer.piece(one) for one in row[1:]) for row in read_votes()[0]]
    texts.write_text("text\n" + "\n".join(lines) + "\n")
    words = ["--model", "planted-strict", "--dictionary", "planted-strict", "--texts", str(texts), "--json"]
    compare = ["features", "compare", *words, "--other", "planted-induction"]
    assert main([*compare, "--out", str(out)]) == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["n_differ"], first["stream_change"]) == (0, 0), "they differ after the layer of the dictionary alone"
    assert json.loads(out.read_text())["n"] == len(lines)
    assert main(compare) == 0
    again = capsys.readouterr()
    assert json.loads(again.out) == first
    assert "answered before" in again.err
    assert main(["features", "compare", *words, "--other", "planted-strict"]) == 2, "it is this model"
    assert main(["features", "evaluate", *words, "--out", str(out)]) == 2, "no file is written over"
    assert main(["features", "evaluate", *words]) == 3, "these texts are predicted as well without the site"
    runs = [(run["kind"], run["outcome"]) for run in RunLog(own_home).export()]
    assert sorted(runs) == [
        ("feature_evaluation", "not_measured"), ("feature_versions", "done"), ("feature_versions", "refused"),
    ]  # fmt: skip
    (answered,) = [run["run_id"] for run in RunLog(own_home).export() if run["outcome"] == "done"]
    make_key(own_home, "anna")
    assert main(["pack", "--answer", answered, "--key", "anna", "--out", str(tmp_path / "answer.zip")]) == 0
    assert verify_pack((tmp_path / "answer.zip").read_bytes()).integrity == "INTEGRITY_VERIFIED"
    capsys.readouterr()
    basis, weights = write_basis(), strict().identity.weights_sha256
    add_dictionary(
        basis, name="basis", model="planted-strict", weights_sha256=weights, origin=Origin.DIMENSIONS, card={}
    )
    assert main(["features", "list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dictionaries"][-1]["sha256"] == basis.sha256


# Edits


def run(*edits: Edit) -> Any:
    return measure_effect(strict(), votes(), [Intervention((e,)) for e in edits], LOGIT_DIFFERENCE, seed=0)


def test_a_feature_is_addressed_and_needs_its_dictionary() -> None:
    part = write_dictionary().component(USED)
    assert (str(part), part.kind) == ("L1.F0", Kind.FEATURE)
    assert parse_component("L1.F0") == part
    with pytest.raises(InterventionRefused, match="opened without a dictionary"):
        strict().run(votes(), [intervene([part], Replacement.ZERO)])
    with pytest.raises(ComponentRefused):
        write_dictionary().component(99)
    with pytest.raises(InterventionRefused, match="mean value"):
        write_dictionary().edit(USED, Replacement.MEAN)
    two = [write_dictionary().edit(at, Replacement.ZERO) for at in (0, 1)]
    with pytest.raises(InterventionRefused, match="one replacement for the features of a layer"):
        Intervention(tuple(two))


def test_each_replacement_of_a_feature_does_its_arithmetic() -> None:
    """The output's logits are read off the edited dimensions, so a step of s along (A − B) / √2 moves A − B by s · √2."""
    make, root = write_dictionary().edit, np.sqrt(2)
    effect = run(
        make(USED, Replacement.IDENTITY), make(USED, Replacement.ZERO), make(USED, Replacement.SCALE, factor=0.5),
        make(USED, Replacement.SET, factor=1.0, position=-1), make(USED, Replacement.ADD, factor=1.0, position=-1),
        make(USED, Replacement.NOISE), make(USED, Replacement.RESAMPLE),
    )  # fmt: skip
    same, zeroed, halved, fixed, added, noisy, swapped = effect.support
    is_a = np.array([pair.prompt.answer.strip() == "A" for pair in votes().pairs])
    assert np.abs(same).max() <= strict().tolerance
    assert np.abs(noisy).max() > 1
    np.testing.assert_allclose(zeroed[is_a], effect.clean[is_a], rtol=0.2)
    np.testing.assert_allclose(zeroed[~is_a], 0, atol=0.01)
    np.testing.assert_allclose(halved[is_a], zeroed[is_a] / 2, rtol=0.05)
    np.testing.assert_allclose(added, np.where(is_a, -root, root), rtol=0.05)
    np.testing.assert_allclose(fixed[is_a], zeroed[is_a] - root, atol=0.1)
    # The pair's other text has the same majority or the other one; its value takes the place of this one.
    np.testing.assert_allclose(swapped[is_a & (effect.corrupted < 0)], zeroed[is_a & (effect.corrupted < 0)], rtol=0.2)


# Effects and labels


def test_a_feature_that_the_answer_is_read_from_has_an_effect_and_a_decoy_has_none() -> None:
    used, decoy = found().features
    assert used.verdict == EffectVerdict.EFFECT
    assert used.zeroed.value == pytest.approx(0.5, abs=0.12)
    assert used.matched == 39
    assert abs(used.zeroed.value) > used.largest_matched
    assert decoy.verdict == EffectVerdict.NONE
    assert decoy.mean_value > used.mean_value
    assert found().identity_max <= strict().tolerance < found().noise_min
    assert found().control.value > 0.9


def test_a_plausible_label_of_a_decoy_is_shown_beside_no_effect() -> None:
    test = label("last", DECOY)
    assert test.verdict == LabelVerdict.PLAUSIBLE
    assert test.auroc.value == 1
    assert describe_both(test, found().features[DECOY]) == "L1.F1: plausible label, no effect"
    with pytest.raises(ValueError, match="beside"):
        describe_both(test, found().features[USED])


def test_a_wrong_label_is_caught_even_where_the_feature_has_an_effect() -> None:
    assert label("random", USED).verdict == LabelVerdict.WRONG
    assert label("majority", USED).verdict == LabelVerdict.PLAUSIBLE
    assert check_label(strict(), write_dictionary(), USED, "mine", (), seed=0).verdict == LabelVerdict.UNTESTED


def test_without_enough_matched_features_nothing_has_an_effect() -> None:
    full = write_dictionary()
    few = replace(
        full, encoder=full.encoder[:9], bias=full.bias[:9], threshold=full.threshold[:9], decoder=full.decoder[:9]
    )
    (used,) = measure_features(strict(), few, votes(), (USED,), seed=0).features
    assert used.verdict == EffectVerdict.UNRESOLVED
    assert "7 features" in used.why


def test_where_the_texts_of_a_pair_have_the_same_answer_no_null_is_reported() -> None:
    """Pairs that differ in the last letter alone: both have the same majority, so nothing about them can move the answer."""
    same = ask_labelled(write_votes("last", n_pairs=3), "last.csv", strict().tokenizer, most=400)[0]
    with pytest.raises(ControlFailed, match="other text"):
        measure_features(strict(), write_dictionary(), same, (DECOY,), seed=0)


def test_families_are_chosen_on_half_of_the_templates_and_measured_on_the_other() -> None:
    planted, matched = compare_families(
        strict(), [("planted", write_dictionary()), ("basis", write_basis())], votes(), tried=60, seed=0
    )
    assert planted.component == "L1.F0"
    assert planted.zeroed.value == pytest.approx(0.5, abs=0.2)
    assert matched.zeroed.n < len(votes())


# Files and quality


def write_repeated() -> tuple[list[Any], list[str]]:
    """Texts of eleven words that are repeated, which the model continues as it read them."""
    words = [np.random.default_rng(seed).permutation(np.arange(1, 29))[:11].tolist() for seed in range(8)]
    return [(0, *one, *one) for one in words], [str(at) for at in range(8)]


@cache
def measure_card() -> Any:
    """Of the basis."""
    rows, names = write_repeated()
    source = Training("planted-strict", "0" * 64, RECIPE, 0)
    return measure_quality(strict(), write_basis(), rows, names, source, seed=0)


def test_a_dictionary_that_rebuilds_everything_recovers_the_loss_and_random_directions_do_not() -> None:
    card = measure_card()
    assert card.fvu == pytest.approx(0, abs=1e-6)
    assert card.loss_added.value == pytest.approx(0, abs=1e-3)
    assert card.recovered_from_mean.value == pytest.approx(1, abs=1e-3)
    assert card.random_recovered_from_mean.value < 0.9


def test_a_dictionary_comes_back_from_its_folder_and_a_changed_one_is_refused(tmp_path: Path) -> None:
    basis = write_basis()
    save_dictionary(basis, measure_card(), tmp_path / "one")
    back, card = load_dictionary(tmp_path / "one")
    assert back.sha256 == basis.sha256 == card["sha256"]
    with pytest.raises(Refused, match="not empty"):
        save_dictionary(basis, measure_card(), tmp_path / "one")
    path = tmp_path / "one" / "card.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "layer": 0}))
    with pytest.raises(IntegrityError):
        load_dictionary(tmp_path / "one")


def test_a_folder_of_saelens_rebuilds_as_its_formula_says(tmp_path: Path) -> None:
    folder = write_saelens(tmp_path)
    read, x = import_saelens(folder, n_layers=3, d_model=6), np.random.default_rng(1).normal(size=(50, 6))
    assert read.layer == 2
    draw = np.random.default_rng(0)
    w_enc, b_enc, w_dec = draw.normal(size=(6, 10)), draw.normal(size=10), 3 * draw.normal(size=(10, 6))
    b_dec, limit = draw.normal(size=6), draw.random(10)
    before = (x - b_dec) @ w_enc + b_enc
    np.testing.assert_allclose(read.reconstruct(x), before * (before > limit) @ w_dec + b_dec, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"architecture": "topk"}, "topk"),
        ({"hook_name": "blocks.1.hook_mlp_out"}, "hook_mlp_out"),
        ({"hook_name": "blocks.2.hook_resid_post"}, "hook_resid_post"),
        ({"normalize_activations": "layer_norm"}, "normalised"),
        ({"hook_name": None}, "None"),
    ],
)
def test_what_cannot_be_used_of_saelens_is_refused(tmp_path: Path, changed: dict[str, Any], found: str) -> None:
    with pytest.raises(Refused, match=found):
        import_saelens(write_saelens(tmp_path, **changed), n_layers=3, d_model=6)


def test_malformed_weights_are_refused(tmp_path: Path) -> None:
    folder = write_saelens(tmp_path)
    with pytest.raises(Refused, match="shape"):
        import_saelens(folder, n_layers=3, d_model=7)
    (folder / "sae_weights.safetensors").write_bytes(b"\xff" * 40)
    with pytest.raises(Refused, match="cannot be read"):
        import_saelens(folder, n_layers=3, d_model=6)


def test_the_controls_of_a_feature_are_those_of_the_residual_stream() -> None:
    effect = run(write_dictionary().edit(DECOY, Replacement.ZERO), Edit(resid(1), Replacement.ZERO))
    assert effect.controls.identity_max <= effect.controls.tolerance < effect.controls.noise_min
