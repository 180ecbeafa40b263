"""Layouts of public prompt files, recognised by their columns; each file here is small and of the published shape."""

from __future__ import annotations

import json
from typing import Any

import pytest

from audit_core.errors import PromptRefused
from audit_core.prompt_files.reading import ReadRows, read_rows
from audit_core.prompts.prompt_set import PromptSet, parse_prompts

AUTO_CIRCUIT = {
    "seq_labels": ["a", "b"],
    "word_idxs": {"end": 3},
    "prompts": [
        {"clean": "Ann met Bob. Bob saw", "corrupt": "Cy met Dee. Ed saw", "answers": [" Ann"], "wrong_answers": [" Bob"]},
        {"clean": "1363 to 13", "corrupt": "1301 to 13", "answers": ["64", "65"], "wrong_answers": ["00", "01", "02"]},
    ],
}  # fmt: skip
RELATION: dict[str, Any] = {
    "name": "country capital city",
    "prompt_templates": ["The capital of {} is"],
    "prompt_templates_zs": ["The capital of {} is the city of "],
    "properties": {"relation_type": "factual"},
    "samples": [
        {"subject": "France", "object": "Paris"},
        {"subject": "South Korea", "object": "Seoul"},
        {"subject": "Brazil", "object": "Bras\\u00edlia"},
        {"subject": "Saudi Arabia", "object": "Riyadh"},
    ],
}


def parse(document: Any) -> PromptSet:
    return parse_prompts(document.encode() if isinstance(document, str) else json.dumps(document).encode(), name="set")


def read(document: Any) -> ReadRows:
    return read_rows(document.encode() if isinstance(document, str) else json.dumps(document).encode(), name="set")


def test_auto_circuit_prompts_keep_their_sets_of_answers() -> None:
    found = parse(AUTO_CIRCUIT)
    assert [prompt.answers for prompt in found.prompts] == [(" Ann",), ("64", "65")]
    assert [prompt.foils for prompt in found.prompts] == [(" Bob",), ("00", "01", "02")]
    assert found.prompts[0].corrupted == "Cy met Dee. Ed saw"
    assert "'seq_labels', 'word_idxs'" in found.notices[0]


def test_the_same_columns_are_known_in_json_lines() -> None:
    lines = "\n".join(json.dumps(row) for row in AUTO_CIRCUIT["prompts"])
    assert parse(lines).sha256 == parse(AUTO_CIRCUIT).sha256


def test_arrays_of_numbers_instead_of_texts_are_named_row_by_row() -> None:
    found = read({"prompts": [{"clean": [[3.0]], "corrupt": [[1.0]], "answers": [1], "wrong_answers": [0]}] * 3})
    assert found.rows == ()
    assert {fault.place for fault in found.faults} == {"item 1", "item 2", "item 3"}
    assert "clean is not text" in " ".join(map(str, found.faults))


@pytest.mark.parametrize("column", ["label", "correct_idx"])
def test_greater_than_makes_every_later_year_right_and_every_other_one_a_foil(column: str) -> None:
    """From 1352 on: 53 to 99 are right, 00 to 52 are not; 1604 is written with the label 4."""
    found = parse(
        f"clean,corrupted,{column}\nThe war lasted from the year 1352 to the year 13,The war lasted from the year 1301 to the year 13,52\n"
        "The war lasted from the year 1604 to 16,The war lasted from the year 1601 to 16,4\n"
    )
    first, second = found.prompts
    assert (first.answers[0], first.answers[-1], len(first.answers)) == ("53", "99", 47)
    assert (first.foils[0], first.foils[-1], len(first.foils)) == ("00", "52", 53)
    assert (second.answers[0], second.foils[-1]) == ("05", "04")


@pytest.mark.parametrize(
    "row",
    [
        "from the year 1352 to the year 13,x,53", "from the year 1352 to the year 14,x,52", "from the year 1399 to 13,x,99",
        "from 1352 or 1353 to 13,x,52", "no year at all,x,52", "from 1352 to 13,x,", "from 1352 to 13,x,-52",
        "from 1352 to 13,x,²", "from 11352 to 13,x,52",
    ],
)  # fmt: skip
def test_a_label_that_the_prompt_does_not_bear_out_is_a_bad_row(row: str) -> None:
    good = "from the year 1352 to the year 13,from the year 1301 to the year 13,52"
    found = read(f"clean,corrupted,label\n{good}\n{row}\n")
    assert len(found.rows) == 1
    assert [fault.reason for fault in found.faults] == ["not_a_year"]
    assert found.faults[0].place == "line 3"


def test_a_label_in_a_file_without_years_is_no_year() -> None:
    with pytest.raises(PromptRefused, match="has no column answer, foil"):
        parse("clean,corrupted,label,wrong\na,b, x, y\n")


def test_token_numbers_without_their_tokenizer_are_refused_as_that() -> None:
    with pytest.raises(PromptRefused, match="token ids of a tokenizer that the file does not name"):
        parse("clean,corrupted,correct_idx,incorrect_idx\na,b,47764,26757\n")


def test_a_relation_contrasts_subjects_within_each_template() -> None:
    """Two templates and four subjects: eight pairs; two words go with two, and no letter stays escaped."""
    found = parse(RELATION)
    assert len(found) == 8
    by_id = {prompt.id: prompt for prompt in found.prompts}
    one = by_id["t1-South Korea"]
    assert (one.clean, one.corrupted) == (
        "The capital of South Korea is the city of", "The capital of Saudi Arabia is the city of",
    )  # fmt: skip
    assert (one.answer, one.foil, one.template) == (" Seoul", " Riyadh", "The capital of {} is the city of")
    assert by_id["t2-France"].foil == " Brasília"
    assert "1 samples contain " in found.notices[0]


def test_a_relation_gives_the_same_pairs_each_time_and_no_pair_with_a_shared_object() -> None:
    samples = [{"subject": f"s{n}", "object": f"o{n % 3}"} for n in range(20)] + [{"subject": "s0", "object": "o1"}]
    document = RELATION | {"samples": samples}
    found = parse(document)
    assert found.sha256 == parse(document).sha256
    assert all(set(prompt.answers).isdisjoint(prompt.foils) for prompt in found.prompts)
    assert found.prompts[0].answers == (" o0", " o1")


def test_a_relation_without_a_contrast_or_a_place_for_the_subject_is_refused() -> None:
    same = [{"subject": "a", "object": "x"}, {"subject": "b", "object": "x"}]
    with pytest.raises(PromptRefused, match="no subject with other objects"):
        parse(RELATION | {"samples": same})
    with pytest.raises(PromptRefused, match="no template has one"):
        parse(RELATION | {"prompt_templates": ["no place", 5, "{} and {}"], "prompt_templates_zs": []})


def test_a_bad_sample_of_a_relation_is_named_and_the_others_are_kept() -> None:
    found = read(
        RELATION | {"samples": [*RELATION["samples"], {"subject": "Peru"}, "text", {"subject": 1, "object": 2}]}
    )
    assert len(found.rows) == 8
    assert [fault.place for fault in found.faults] == ["sample 5", "sample 6", "sample 7"]


def test_a_large_relation_uses_as_many_whole_templates_as_there_is_room_for() -> None:
    samples = [{"subject": f"s{n:04d}", "object": f"o{n}"} for n in range(1200)]
    found = parse(RELATION | {"samples": samples})
    assert len(found) == 1200
    assert "1 of 2 templates are used" in found.notices[0]
