"""The audit of features, the shipped dictionary, searches of it, and labels that people give."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any

import duckdb
import numpy as np
import pytest
from toy.probe_texts import write_votes

from audit_core import open_subject
from audit_core.data_folder import DATA
from audit_core.dictionaries.planted import DECOY, USED, write_planted
from audit_core.dictionaries.shelf import DEFAULT, PLANTED
from audit_core.dictionaries.store import MAX_JSON_BYTES, WEIGHTS
from audit_core.errors import ComponentRefused, FindingRefused, IntegrityError, ModelRefused, Refused
from audit_core.features import (
    FeaturesRequest,
    LabelVerdict,
    find_dictionary,
    find_index,
    find_of_model,
    open_dictionary,
)
from audit_core.features.index import FeatureIndex, IndexedFeature, TokenWeight, build_index
from audit_core.features.results import EffectVerdict
from audit_core.features.search import MAX_FOUND, search_firing, search_labels, search_text, search_writes
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.registry import get_plugin
from audit_core.store import FeatureLabels, LabelEvidence, list_current, verify_log
from audit_core.store.database.connection import DATABASE, open_database
from audit_core.store.database.events import Action, list_events

AUDIT: Any = get_plugin("audits", "features")
TEST = LabelEvidence("plausible label", 0.9, 0.8, 1.0, 40, 40, "0" * 64)


@cache
def strict() -> Any:
    return open_subject("planted-strict")


def ask(label: str = "majority", **answers: str) -> FeaturesRequest:
    found = AUDIT.ask_file(
        strict(),
        write_votes(label, n_pairs=3),
        "votes.csv",
        {"dictionary": PLANTED, "features": "L1.F0 L1.F1", **answers},
    )
    assert isinstance(found, FeaturesRequest)
    return found


def ask_alike(**answers: str) -> FeaturesRequest:
    """Texts whose last letter is their majority, so that a label of one is a label of the other."""
    head, *rows = write_votes("majority", n_pairs=6).decode().splitlines()
    kept = [row for row in rows if row.split(" =")[0][-1] == row.split(",")[1]]
    raw = "\n".join([head, *kept]).encode()
    found = AUDIT.ask_file(
        strict(), raw, "alike.csv", {"dictionary": PLANTED, "features": "L1.F0 L1.F1", "described": "A", **answers}
    )
    assert isinstance(found, FeaturesRequest)
    return found


def run(request: FeaturesRequest) -> Any:
    return AUDIT.run(strict(), request, means=None, on_progress=lambda done, total: None)


# The audit


def test_a_decoy_has_a_plausible_label_and_no_effect_and_the_used_feature_has_an_effect() -> None:
    found = run(ask_alike())
    used, decoy = found.rows
    assert (decoy.label_verdict, decoy.effect_verdict) == (LabelVerdict.PLAUSIBLE, EffectVerdict.NONE)
    assert decoy.both in found.finding
    assert used.effect_verdict is EffectVerdict.EFFECT
    assert found.file_sha256
    assert found.identity_max <= strict().tolerance < found.noise_min


def test_features_are_chosen_on_one_half_of_the_templates_and_measured_on_the_other() -> None:
    found = run(ask(features="", described="A", most="1"))
    assert [row.component for row in found.rows] == [f"L1.F{USED}"], "it alone fires with the majority"
    assert found.n_chosen_on + found.n == len(ask().prompts)
    assert 0 < found.n < len(ask().prompts)


def test_texts_without_an_answer_have_no_effect_and_say_why() -> None:
    bare = [row.split(",") for row in write_votes("last", n_pairs=3).decode().splitlines()]
    raw = "\n".join(",".join((row[0], row[1], row[4])) for row in bare).encode()
    request = AUDIT.ask_file(strict(), raw, "votes.csv", {"dictionary": PLANTED, "features": "L1.F1", "described": "A"})
    (decoy,) = run(request).rows
    assert decoy.zeroed is None
    assert "no answers" in decoy.effect_why
    assert decoy.label_verdict is LabelVerdict.PLAUSIBLE
    assert decoy.firing_rate > 0


def test_one_prompt_has_an_effect_without_an_interval_and_without_a_verdict() -> None:
    request = ask(described="")
    at = next(i for i, pair in enumerate(request.prompts.pairs) if pair.prompt.answer.strip() == "A")
    one: TokenisedPrompts = request.prompts.take((at,))
    found = run(replace(request, prompts=one, features="L1.F0", described=""))
    assert found.rows[0].effect_verdict is EffectVerdict.UNRESOLVED
    assert found.rows[0].zeroed.low is None
    assert found.rows[0].zeroed.value == pytest.approx(1, abs=0.2)
    assert found.rows[0].matched == 0


def test_the_dictionary_is_part_of_what_a_result_is_kept_under() -> None:
    assert ask().describe()["dictionary_sha256"] == write_planted().sha256
    assert ask().describe() != replace(ask(), dictionary=DEFAULT).describe()


def test_what_cannot_be_measured_is_refused_with_what_was_wanted() -> None:
    with pytest.raises(ModelRefused, match="not of planted-strict"):
        open_dictionary(strict(), DEFAULT)
    with pytest.raises(Refused, match="No dictionary"):
        find_dictionary("another")
    with pytest.raises(ComponentRefused, match="layer 1"):
        run(ask(features="L0.F0"))
    with pytest.raises(ComponentRefused, match="no feature"):
        run(ask(features="L0.H1"))
    with pytest.raises(ComponentRefused, match="0 to 45"):
        run(ask(features="L1.F46"))
    with pytest.raises(Refused, match="C"):
        ask(described="C")
    assert find_of_model("planted-induction") is None


# The shipped dictionary


def test_the_shipped_dictionary_has_the_digest_of_its_card_and_of_its_index() -> None:
    entry = find_dictionary(DEFAULT)
    card, weights, index = entry.read_card(), entry.load(), find_index(entry)
    assert weights.sha256 == card["sha256"] == entry.sha256
    assert index is not None
    assert index.dictionary == entry.sha256
    assert len(index.features) == len(weights)
    assert (DATA / "features" / DEFAULT / WEIGHTS).stat().st_size <= 8 * 1024**2
    assert (DATA / "features" / DEFAULT / "card.json").stat().st_size < MAX_JSON_BYTES
    added = card["loss_added"]
    assert added["templates"] > 20, "intervals over more documents than a few"
    assert card["recovered_from_mean"]["low"] > card["random_recovered_from_mean"]["high"]


def test_every_search_of_the_shipped_dictionary_answers_within_a_second() -> None:
    index = find_index(find_dictionary(DEFAULT))
    assert index is not None
    start = perf_counter()
    firing, writing = search_firing(index, "the"), search_writes(index, "the")
    assert perf_counter() - start < 1
    assert firing
    assert writing
    assert firing == sorted(firing, key=lambda one: -one.score)[: len(firing)] or len(firing) == MAX_FOUND


# Searches


def indexed(tokens: list[tuple[str, float]], writes: list[tuple[str, float]]) -> IndexedFeature:
    weights = [tuple(TokenWeight(*one) for one in group) for group in (tokens, writes)]
    return IndexedFeature(0.1, 1.0, (), (), weights[0], weights[1], (), ())


def test_a_whole_word_is_found_before_a_part_of_one_and_the_larger_share_before_the_smaller() -> None:
    index = FeatureIndex("0" * 64, 10, (
        indexed([(" theatre", 0.9)], [(" cat", 1.0)]), indexed([(" The", 0.2)], [("dog", 2.0)]),
        indexed([("the", 0.4)], [(" cat", 3.0)]), indexed([("a", 1.0)], []),
    ))  # fmt: skip
    assert [one.index for one in search_firing(index, "the")] == [2, 1, 0]
    assert [(one.index, one.score) for one in search_writes(index, "cat")] == [(2, 3.0), (0, 1.0)]
    assert search_firing(index, "zebra") == []
    labels = {3: "plural nouns", 1: "Plural verbs"}
    assert [one.index for one in search_labels(labels, "plural")] == [1, 3]
    assert [one.index for one in search_labels(labels, "nouns plural")] == [3]
    for query in ("", " " * 5, "x" * 201):
        with pytest.raises(Refused):
            search_firing(index, query)


def test_a_text_is_searched_by_the_largest_value_in_it() -> None:
    found = search_text(strict(), write_planted(), "A B A A A B A B A =")
    assert found[0].index == DECOY or found[0].score >= found[-1].score
    assert USED in [one.index for one in found], "the majority is A"
    assert USED not in [one.index for one in search_text(strict(), write_planted(), "B B A B B B A B A =")]
    with pytest.raises(Refused, match="tokens"):
        search_text(strict(), write_planted(), "")


def test_an_index_shows_where_each_feature_fires_and_what_it_writes() -> None:
    tokenizer = strict().tokenizer
    texts = ("A B A A A B A B A =", "B B A B B B A B B =")
    rows = [(tokenizer.bos_id, *tokenizer.encode(text)) for text in texts]
    stream = strict().read_stream(rows, 1)
    unembedding = np.eye(32, 192, k=88, dtype=np.float32)
    index = build_index(write_planted(), rows, stream, tokenizer, unembedding)
    used = index.features[USED]
    assert index.n_tokens == sum(len(row) - 1 for row in rows)
    assert [one.token.strip() for one in used.strongest] == ["="]
    assert used.rate == pytest.approx(1 / index.n_tokens, abs=1e-5)
    assert (used.writes[0].token.strip(), used.opposes[0].token.strip()) == ("A", "B")
    assert used.writes[0].weight == pytest.approx(1 / np.sqrt(2), abs=1e-3)
    assert sum(one.weight for one in used.tokens) == pytest.approx(1)


# Labels by people


def test_labels_have_versions_authors_and_tests_and_are_in_the_log(tmp_path: Path) -> None:
    labels = FeatureLabels(tmp_path)
    first = labels.write("d" * 64, "L12.F1", "fires  on dates", by="Anna", based_on=0, test=None)
    assert (first.version, first.text, first.test) == (1, "fires on dates", None)
    second = labels.write("d" * 64, "L12.F1", "fires on years", by="bela", based_on=1, test=TEST)
    labels.write("e" * 64, "L12.F1", "of another dictionary", by="bela", based_on=0, test=None)
    versions = labels.list_versions("d" * 64)
    assert [(one.version, one.by) for one in versions] == [(1, "anna"), (2, "bela")]
    assert list_current(versions) == {"L12.F1": second}
    assert versions[1].test == TEST
    with open_database(tmp_path) as connection:
        events = list_events(connection, action=Action.FEATURE_LABELLED)
        assert [event.payload["tested"] for event in events] == [False, True, False]
        assert verify_log(connection).findings == ()


def test_a_label_over_a_newer_one_and_an_unusable_text_are_refused(tmp_path: Path) -> None:
    labels = FeatureLabels(tmp_path)
    labels.write("d" * 64, "L12.F1", "fires on dates", by="anna", based_on=0, test=None)
    with pytest.raises(Refused, match="version 1"):
        labels.write("d" * 64, "L12.F1", "mine", by="bela", based_on=0, test=None)
    for text in ("", "x" * 121, "a\x00b"):
        with pytest.raises(FindingRefused):
            labels.write("d" * 64, "L12.F2", text, by="anna", based_on=0, test=None)


def test_a_changed_label_is_found_by_its_event(tmp_path: Path) -> None:
    labels = FeatureLabels(tmp_path)
    labels.write("d" * 64, "L12.F1", "fires on dates", by="anna", based_on=0, test=None)
    with duckdb.connect(str(tmp_path / DATABASE)) as raw:
        with pytest.raises(duckdb.Error, match="append-only"):
            raw.execute("DELETE FROM feature_label")
        raw.execute("DROP TRIGGER feature_label_fixed ON feature_label")
        body = json.loads(raw.execute("SELECT body FROM feature_label").fetchall()[0][0]) | {"text": "of cats"}
        raw.execute("UPDATE feature_label SET body = ?", [json.dumps(body)])
    with pytest.raises(IntegrityError, match="labels of features"):
        labels.list_versions("d" * 64)
