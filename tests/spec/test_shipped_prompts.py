"""The shipped prompt sets: what their README promises, checked on the files without a model."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from audit_core.prompts.found_templates import find_templates
from audit_core.prompts.prompt_set import Prompt, PromptSet, is_exploratory, load_prompts, take_split
from data.prompts.cards import CARDS, write_readme
from data.prompts.generate import TASKS, build_files
from data.prompts.words import CAPITALS

FOLDER = Path(__file__).parents[2] / "data" / "prompts"
FILES = {path.stem: path for path in sorted(FOLDER.glob("*.jsonl"))}
RECORDED = json.loads((FOLDER / "cards.json").read_text(encoding="utf-8"))
each_set = pytest.mark.parametrize("name", FILES)
each_half = pytest.mark.parametrize("exploratory", [True, False])


def load(name: str) -> PromptSet:
    return load_prompts(FILES[name])


def by_template(rows: tuple[Prompt, ...]) -> dict[str, list[Prompt]]:
    found = defaultdict(list)
    for row in rows:
        found[row.template].append(row)
    return dict(found)


def swap(row: Prompt) -> tuple[str, ...]:
    return (row.corrupted, row.clean, row.foil, row.answer, row.template)


def test_the_six_sets_are_there_and_each_has_its_card() -> None:
    assert {*FILES} == {*TASKS} == {*CARDS} == {*RECORDED["sets"]}
    assert len(FILES) == 6


def test_writing_the_sets_again_gives_the_same_bytes() -> None:
    assert build_files() == {f"{name}.jsonl": path.read_bytes().decode() for name, path in FILES.items()}


def test_the_first_row_is_mary_and_john() -> None:
    row = load("indirect_object").prompts[0]
    assert (row.id, row.answer, row.foil) == ("io-0001", " Mary", " John")
    assert row.clean == "When Mary and John went to the store, John gave a drink to"
    assert row.corrupted == "When Mary and John went to the store, Mary gave a drink to"


@each_set
def test_a_set_has_eight_rows_in_each_of_twenty_templates(name: str) -> None:
    sizes = Counter(row.template for row in load(name).prompts)
    assert len(sizes) == 20
    assert set(sizes.values()) == {8}


@each_set
def test_ids_are_unique_and_count_from_one(name: str) -> None:
    ids = [row.id for row in load(name).prompts]
    prefix = ids[0].split("-")[0]
    assert ids == [f"{prefix}-{number:04d}" for number in range(1, len(ids) + 1)]


def test_ids_are_unique_across_sets() -> None:
    ids = [row.id for name in FILES for row in load(name).prompts]
    assert len({*ids}) == len(ids)


@each_set
@each_half
def test_each_split_has_ten_templates_equally_often_and_enough_rows(name: str, exploratory: bool) -> None:
    half = take_split(load(name), exploratory=exploratory)
    assert len(half) == 80
    assert {len(rows) for rows in by_template(half.prompts).values()} == {8}


@each_set
def test_no_template_of_one_split_occurs_in_the_other(name: str) -> None:
    """By its label, and by the skeleton of its texts."""
    prompts = load(name).prompts
    for labels in ([row.template for row in prompts], find_templates(prompts)):
        splits = [
            {label for row, label in zip(prompts, labels, strict=True) if is_exploratory(row) is half}
            for half in (True, False)
        ]
        assert [len(split) for split in splits] == [10, 10]
        assert not splits[0] & splits[1]


@each_set
def test_both_splits_have_every_group_equally_often(name: str) -> None:
    counts = [Counter(row.group for row in take_split(load(name), exploratory=half).prompts) for half in (True, False)]
    assert counts[0] == counts[1]


@each_set
def test_no_text_of_one_split_occurs_in_the_other(name: str) -> None:
    texts = [
        {text for row in take_split(load(name), exploratory=half).prompts for text in (row.clean, row.corrupted)}
        for half in (True, False)
    ]
    assert not texts[0] & texts[1]


@each_set
def test_every_row_is_followed_or_preceded_by_its_twin_with_the_roles_exchanged(name: str) -> None:
    rows = load(name).prompts
    for row, twin in zip(rows[::2], rows[1::2], strict=True):
        assert swap(row) == (twin.clean, twin.corrupted, twin.answer, twin.foil, twin.template)


@each_set
def test_a_text_is_clean_exactly_once(name: str) -> None:
    assert set(Counter(row.clean for row in load(name).prompts).values()) == {1}


@each_set
@each_half
def test_in_each_split_and_template_every_answer_is_as_often_a_foil(name: str, exploratory: bool) -> None:
    for rows in by_template(take_split(load(name), exploratory=exploratory).prompts).values():
        assert Counter(row.answer for row in rows) == Counter(row.foil for row in rows)


def test_the_order_of_names_is_balanced_and_each_name_is_the_answer_equally_often() -> None:
    rows = load("indirect_object").prompts
    assert Counter(row.group for row in rows) == {"ABBA": 80, "BABA": 80}
    assert set(Counter(row.answer for row in rows).values()) == {4, 5}
    for row in rows:
        first, second = re.findall(r"([A-Z][a-z]+) and ([A-Z][a-z]+)", row.clean)[0]
        assert row.answer.strip() == (first if row.group == "ABBA" else second)


def test_the_copied_word_follows_its_cue_and_both_candidates_are_in_both_prompts() -> None:
    """The last word of the text asks: what followed it before?"""
    for row in load("induction").prompts:
        assert f"{row.clean.split()[-1]}{row.answer}" in row.clean
        assert f"{row.clean.split()[-1]}{row.foil}" in row.corrupted
        assert sorted(re.findall(r"\w+", row.clean)) == sorted(re.findall(r"\w+", row.corrupted))


def test_a_year_answer_lies_inside_its_span_and_the_foil_outside_and_neither_can_be_copied() -> None:
    """All ten years of the answer's decade lie inside the clean span, none of the foil's; the reverse on the other side."""
    for row in load("greater_than").prompts:
        for text, right, wrong in ((row.clean, row.answer, row.foil), (row.corrupted, row.foil, row.answer)):
            start, end, century = map(int, re.findall(r"\d+", text))
            assert all(start < 100 * century + 10 * int(right) + unit < end for unit in range(10))
            assert not any(start <= 100 * century + 10 * int(wrong) + unit <= end for unit in range(10))
            assert not {right, wrong} & {*text}


def test_a_capital_is_that_of_the_country_named() -> None:
    rows = [row for row in load("factual_recall").prompts if row.group == "capital"]
    assert rows
    for row in rows:
        (country,) = [country for country in CAPITALS if re.search(rf"\b{country}\b", row.clean)]
        assert row.answer == f" {CAPITALS[country]}"


def test_each_verb_form_is_the_answer_equally_often_and_the_subject_decides_it() -> None:
    rows = load("subject_verb_agreement").prompts
    verbs = Counter(row.answer for row in rows)
    assert {*verbs} == {" is", " are", " was", " were", " has", " have"}
    assert max(verbs.values()) - min(verbs.values()) <= 2
    assert Counter(row.group for row in rows) == {"no attractor": 64, "attractor agrees": 48, "attractor differs": 48}
    for row in rows:
        changed = [one for one, two in zip(row.clean.split(), row.corrupted.split(), strict=True) if one != two]
        assert len(changed) == 1
        assert changed[0].endswith("s") == (row.answer in (" are", " were", " have"))


def test_each_pronoun_is_the_answer_equally_often_for_occupations_and_for_definitions() -> None:
    rows = load("gender_pronoun").prompts
    assert Counter((row.group.split(",")[0], row.answer) for row in rows) == {
        ("occupation", " she"): 40,
        ("occupation", " he"): 40,
        ("definition", " she"): 40,
        ("definition", " he"): 40,
    }


@each_set
def test_the_card_was_measured_on_this_file(name: str) -> None:
    card, prompts = RECORDED["sets"][name], load(name)
    assert card["sha256"] == prompts.sha256
    assert card["n"] == len(prompts)
    assert [*card["templates"]] == [*by_template(prompts.prompts)]


@each_set
def test_the_rows_of_a_template_have_one_token_length(name: str) -> None:
    assert {len(card["tokens"]) for card in RECORDED["sets"][name]["templates"].values()} == {1}


def test_the_page_says_what_the_record_says() -> None:
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == write_readme(RECORDED)


@each_set
def test_the_example_of_a_card_is_a_row_of_its_set(name: str) -> None:
    clean, answer, foil = re.findall(r"`([^`]*)`", CARDS[name].example)
    assert (clean, answer, foil) in {(row.clean, row.answer, row.foil) for row in load(name).prompts}


@each_set
def test_every_row_says_where_it_comes_from(name: str) -> None:
    assert {row.source for row in load(name).prompts} == {"written for Assay, seed 0"}
