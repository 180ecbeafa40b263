"""Prompt sets: what is refused, that the refusal names row and remedy, and what the hash and the halves are made of."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy.additive import WordTokenizer

from audit_core.errors import PromptRefused
from audit_core.prompt_files.table import MAX_CHARACTERS, MAX_FILE_BYTES, MAX_PROMPTS
from audit_core.prompts.alignment import MAX_TOKENS, tokenise
from audit_core.prompts.prompt_set import (
    Prompt,
    PromptSet,
    dump_jsonl,
    is_exploratory,
    load_prompts,
    parse_prompts,
    take_split,
)

ROW = {
    "id": "r1",
    "clean": "the cat sat",
    "corrupted": "the dog sat",
    "answer": " down",
    "foil": " up",
    "template": "t",
}


def parse(*rows: Any) -> PromptSet:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    return parse_prompts("\n".join(lines).encode(), name="set")


def refuse(function: Callable[[], object]) -> str:
    with pytest.raises(PromptRefused) as caught:
        function()
    error = caught.value
    assert error.found
    assert error.wanted
    assert error.remedy
    assert "What to do" in str(error)
    return str(error)


def refused(**changes: Any) -> str:
    """What is said of a row with these fields changed, tokenised; None leaves a field out."""
    row = {key: value for key, value in {**ROW, **changes}.items() if value is not None}
    return refuse(lambda: tokenise(parse(row), WordTokenizer()))


def test_a_row_in_the_format_is_taken() -> None:
    """The positive control of every refusal below: bos, three words; answer and foil one token each, spaces kept."""
    (pair,) = tokenise(parse({**ROW, "group": "g", "source": "s"}), WordTokenizer()).pairs
    assert pair.pieces == ("<bos>", "the", " cat", " sat")
    assert pair.corrupted_pieces == ("<bos>", "the", " dog", " sat")
    assert (pair.prompt.answer, pair.prompt.group, pair.first_changed) == (" down", "g", 2)
    tokenizer = WordTokenizer(bos_id=None)
    (pair,) = tokenise(parse(ROW), tokenizer).pairs
    assert [tokenizer.piece(token) for token in (*pair.clean_ids, pair.answer_id, pair.foil_id)] == [
        "the", " cat", " sat", " down", " up",
    ]  # fmt: skip
    assert pair.first_changed == 1


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "check the path" in refuse(lambda: load_prompts(tmp_path / "none.jsonl"))
    assert "No file" in refuse(lambda: load_prompts(tmp_path))


def test_a_file_is_named_after_its_stem_and_a_byte_order_mark_is_no_part_of_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(ROW).encode() + b"\r\n\r\n")
    assert load_prompts(path) == replace(parse(ROW), name="mine")


@pytest.mark.parametrize(
    "bad, says",
    [
        ("{not json", "line 2: not JSON"),
        ("[1, 2]", "line 2: not an object"),
        ('"text"', "line 2: not an object"),
        ("9" * 5000, "line 2: not JSON"),
        ('{"id": ' + "9" * 5000 + "}", "line 2: not JSON"),
        ("[" * 100_000, "line 2: not JSON"),
        ({"id": "r2", "clean": "x"}, "row 'r2': corrupted is missing"),
        ({**ROW, "id": "r2", "answer": 5}, "row 'r2': answer is not text"),
        ({**ROW, "id": "r2", "foil": ""}, "row 'r2': foil is not text of 1 to"),
        ({**ROW, "id": "r2", "clean": "x" * (MAX_CHARACTERS + 1)}, "row 'r2': clean is not text of 1 to"),
        ({**ROW, "id": "r2", "source": ["s"]}, "row 'r2': source is not text"),
        ({**ROW, "id": ["r2"]}, "id is not text"),
        (
            '{"id": "r2", "clean": "\\ud83d cut", "corrupted": "b c", "answer": " a", "foil": " b", "template": "t"}',
            "row 'r2': clean is not text",
        ),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_bad_row_is_named_and_the_whole_file_refused(bad: Any, says: str) -> None:
    assert says in refuse(lambda: parse(ROW, bad))


def test_every_bad_row_is_named_up_to_a_number_that_can_be_read() -> None:
    said = refuse(lambda: parse(*[{**ROW, "id": f"r{n}", "answer": 5} for n in range(30)]))
    assert [f"'r{n}'" in said for n in range(30)] == [True] * 20 + [False] * 10
    assert "(and 10 more)" in said


def test_an_empty_file_is_refused() -> None:
    assert "contains no prompts" in refuse(lambda: parse(""))


def test_text_that_is_not_utf8_is_refused_at_its_byte() -> None:
    assert "not UTF-8 at byte 3" in refuse(lambda: parse_prompts(b"abc\xff", name="set"))


def test_an_id_used_for_two_different_rows_is_refused() -> None:
    assert "row 'r1': id used more than once" in refuse(lambda: parse(ROW, {**ROW, "answer": " up", "foil": " down"}))


def test_too_many_prompts_are_refused() -> None:
    rows = [{**ROW, "id": str(n)} for n in range(MAX_PROMPTS + 1)]
    assert "take a sample" in refuse(lambda: parse(*rows))
    distinct = [
        {**row, "clean": f"the cat sat {n}", "corrupted": f"the dog sat {n}"} for n, row in enumerate(rows[:-1])
    ]
    assert len(parse(*distinct)) == MAX_PROMPTS


@pytest.mark.parametrize("content", [b"x" * 10_000_000, json.dumps({**ROW, "clean": "a " * 5_000_000}).encode()])
def test_ten_megabytes_are_refused_before_they_are_read(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "large.jsonl"
    path.write_bytes(content)
    start = time.monotonic()
    assert f"more than {MAX_FILE_BYTES:,} bytes" in refuse(lambda: load_prompts(path))
    assert time.monotonic() - start < 1


def test_a_prompt_that_fills_the_file_limit_is_refused_fast() -> None:
    start = time.monotonic()
    assert "clean is not text of 1 to" in refuse(lambda: parse({**ROW, "clean": "a " * 1_900_000}))
    assert time.monotonic() - start < 2


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"answer": " up there"}, "an answer begins with a foil"),
        ({"foil": " down there"}, "or a foil with an answer"),
        ({"answer": "down"}, "answer 'down' would continue the word 'sat'; write ' down'"),
        ({"foil": "up"}, "foil 'up' would continue the word 'sat'; write ' up'"),
        ({"clean": "the cat sat on"}, "clean has 5 tokens and corrupted 4; use words that tokenise to the same number"),
        ({"corrupted": "the wonderful sat"}, "clean has 4 tokens and corrupted 5"),
        ({"corrupted": "the cat sat"}, "clean and corrupted have the same tokens; change the word"),
        (
            {"clean": "the cat sat "},
            "answer ' down' begins with a space and the prompt ends in white space; write 'down'",
        ),
        (
            {"clean": "the cat sat ", "answer": "down"},
            "forms one token with the white space at the end of the prompt; move the space",
        ),
        ({"corrupted": "the dog sat\n"}, "(after the corrupted prompt) begins with a space and the prompt ends in"),
        ({"foil": " down"}, "answer and foil have the same tokens; choose a foil that is wrong"),
        ({"clean": "a " * 2100 + "b", "corrupted": "a " * 2100 + "c"}, f"2102 tokens, at most {MAX_TOKENS}; shorten"),
    ],
)
def test_a_pair_that_does_not_align_is_refused_with_its_row_and_a_remedy(changes: dict[str, str], says: str) -> None:
    said = refused(**changes)
    assert said.startswith("row 'r1'")
    assert says in said


def test_one_bad_pair_refuses_the_set_and_nothing_is_cut_to_fit() -> None:
    rows = [ROW, {**ROW, "id": "long", "clean": "the cat sat on"}, {**ROW, "id": "r3"}]
    said = refuse(lambda: tokenise(parse(*rows), WordTokenizer()))
    assert "'long'" in said
    assert "'r3'" not in said


def test_an_answer_after_a_sign_that_is_no_letter_needs_no_space() -> None:
    """After `(` a word without a space is what a model would write."""
    row = {**ROW, "clean": "the cat (", "corrupted": "the dog (", "answer": "down", "foil": "up"}
    assert tokenise(parse(row), WordTokenizer()).pairs[0].prompt.answer == "down"


def test_a_line_separator_inside_text_ends_no_row() -> None:
    row = {**ROW, "clean": "the\u2028cat\u0085sat", "corrupted": "the\u2028dog\u0085sat"}
    assert parse(json.dumps(row, ensure_ascii=False)).prompts[0].clean == row["clean"]


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
prompts = st.builds(Prompt, texts, texts, texts, texts, texts, texts, st.just("") | texts, st.just("") | texts)


@given(st.lists(prompts, min_size=1, max_size=5, unique_by=lambda prompt: prompt.id))
def test_what_is_written_is_read_back_with_the_same_hash(rows: list[Prompt]) -> None:
    written = PromptSet("set", tuple(rows))
    read = parse_prompts(dump_jsonl(rows).encode(), name="set")
    assert read == written
    assert read.sha256 == written.sha256


@given(prompts, st.sampled_from(["id", "clean", "corrupted", "answer", "foil", "template", "group", "source"]))
def test_every_field_is_in_the_hash(row: Prompt, field: str) -> None:
    changed = replace(row, **{field: getattr(row, field) + "x"})
    assert PromptSet("set", (row,)).sha256 != PromptSet("set", (changed,)).sha256


def test_order_is_in_the_hash_and_the_name_is_not() -> None:
    first, second = parse(ROW).prompts[0], parse({**ROW, "id": "r2"}).prompts[0]
    assert PromptSet("a", (first, second)).sha256 != PromptSet("a", (second, first)).sha256
    assert PromptSet("a", (first,)).sha256 == PromptSet("b", (first,)).sha256


def test_splits_are_disjoint_whole_and_decided_by_text_alone() -> None:
    rows = parse(*[{**ROW, "id": str(n), "clean": f"the cat {n}", "corrupted": f"the dog {n}"} for n in range(200)])
    exploratory, confirmatory = (take_split(rows, exploratory=which) for which in (True, False))
    assert {p.id for p in exploratory.prompts} | {p.id for p in confirmatory.prompts} == {p.id for p in rows.prompts}
    assert not {p.id for p in exploratory.prompts} & {p.id for p in confirmatory.prompts}
    assert 70 <= len(exploratory) <= 130, "a fair coin of 200 throws lies outside this in 3 of 100,000 sets"
    assert exploratory.sha256 != confirmatory.sha256
    row = rows.prompts[0]
    assert is_exploratory(row) is is_exploratory(replace(row, id="other", template="u", answer=" x", group="g"))


def test_a_split_without_prompts_is_refused() -> None:
    row = parse(ROW)
    half = is_exploratory(row.prompts[0])
    assert len(take_split(row, exploratory=half)) == 1
    assert "both splits" in refuse(lambda: take_split(row, exploratory=not half))
