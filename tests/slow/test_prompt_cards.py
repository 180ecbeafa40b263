"""The data cards, measured again: the shipped rows under the real tokenizer and the real default model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import load_prompts

if TYPE_CHECKING:
    from data.prompts.measure import Model

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "data" / "prompts"
RECORDED = json.loads((FOLDER / "cards.json").read_text(encoding="utf-8"))
TOLERANCE = 0.005
"""Of an accuracy: less than one row of 144, so that no row may change sides."""
each_set = pytest.mark.parametrize("name", RECORDED["sets"])


@pytest.fixture(scope="module")
def model() -> Model:
    from audit_core.models import resolve_model
    from data.prompts.measure import Model

    return Model(resolve_model("default"))


def test_the_cards_are_of_the_default_model() -> None:
    from audit_core.models import digest_folder, resolve_model

    digest = digest_folder(resolve_model("default"))
    assert RECORDED["model"]["weights_sha256"] == digest.weights_sha256
    assert RECORDED["model"]["tokenizer_sha256"] == digest.tokenizer_sha256


@each_set
def test_every_row_is_accepted_by_the_real_tokenizer_and_lines_up_within_its_template(name: str, model: Model) -> None:
    prompts = load_prompts(FOLDER / f"{name}.jsonl")
    pairs = tokenise(prompts, model.tokenizer).pairs
    assert len(pairs) == len(prompts)
    lengths = {(pair.prompt.template, len(pair.clean_ids)) for pair in pairs}
    assert lengths == {
        (template, length)
        for template, card in RECORDED["sets"][name]["templates"].items()
        for length in card["tokens"]
    }
    assert all(pair.clean_ids[0] == model.tokenizer.bos_id for pair in pairs)


def test_every_word_of_the_lists_is_one_token_behind_a_space(model: Model) -> None:
    from data.prompts import words

    listed = [value for key, value in vars(words).items() if key.isupper()]
    every = {word for part in listed for word in part} | {
        word for part in listed if isinstance(part, dict) for word in part.values()
    }
    every |= {f"{noun}s" for noun in words.PEOPLE + words.OBJECTS + words.PLACES}
    assert {word for word in every if len(model.tokenizer.encode(f" {word}")) != 1} == set()


@each_set
def test_the_recorded_accuracy_is_found_again(name: str, model: Model) -> None:
    from data.prompts.measure import summarise

    found = summarise(model.read(load_prompts(FOLDER / f"{name}.jsonl")))
    for key in ("accuracy_clean", "accuracy_corrupted", "top_token_share"):
        assert found[key] == pytest.approx(RECORDED["sets"][name][key], abs=TOLERANCE), key
    for key in ("logit_difference_clean", "logit_difference_corrupted"):
        assert found[key] == pytest.approx(RECORDED["sets"][name][key], abs=0.01), key
