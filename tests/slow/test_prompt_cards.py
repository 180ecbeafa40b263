"""The data cards, measured again: the shipped rows under the real tokenizer and the real default model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import load_prompts

if TYPE_CHECKING:
    from data.prompts.measure import Model

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[2] / "data" / "prompts"
RECORDED = json.loads((FOLDER / "cards.json").read_text(encoding="utf-8"))
SHARES = ("accuracy_clean", "accuracy_corrupted", "top_token_share")
DIFFERENCES = ("logit_difference_clean", "logit_difference_corrupted")
TOLERANCE = 0.01
"""Less than one row of a template, so that no row may change sides."""
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
def test_the_recorded_accuracy_of_every_fourth_template_is_found_again(name: str, model: Model) -> None:
    """Few rows at a time, so that one that changes sides is seen; the whole set's numbers are those of its templates, below."""
    from data.prompts.measure import summarise

    recorded = RECORDED["sets"][name]["templates"]
    chosen = list(recorded)[::4]
    assert len(chosen) >= 4
    prompts = load_prompts(FOLDER / f"{name}.jsonl")
    kept = tuple(prompt for prompt in prompts.prompts if prompt.template in chosen)
    readings = model.read(replace(prompts, prompts=kept))
    for template in chosen:
        found = summarise(reading for reading in readings if reading.pair.prompt.template == template)
        for key in ("n", *SHARES, *DIFFERENCES):
            assert found[key] == pytest.approx(recorded[template][key], abs=TOLERANCE), (template, key)


@each_set
def test_the_numbers_of_a_set_are_those_of_its_templates(name: str) -> None:
    card = RECORDED["sets"][name]
    counts = [template["n"] for template in card["templates"].values()]
    assert sum(counts) == card["n"]
    for key in (*SHARES, *DIFFERENCES):
        values = [template[key] for template in card["templates"].values()]
        assert np.average(values, weights=counts) == pytest.approx(card[key], abs=2e-4), key
