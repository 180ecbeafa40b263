"""The small mixture of experts: its text, its file, its card and its prompt sets are what they are said to be."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from audit_core.component import Kind
from audit_core.errors import IntegrityError
from audit_core.models import ModelOrigin, find_origin, find_shipped, preview_model, read_card, resolve_model
from audit_core.models.cache import hash_file
from audit_core.models.known import MOE_TINY
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import dump_jsonl, take_split
from audit_core.prompts.template_labels import check_template_labels
from audit_core.run import open_subject
from audit_core.shipped import list_prompt_sets, load_prompt_set
from tools.mixture import train
from tools.mixture.domains import DOMAINS, draw_lines
from tools.mixture.evaluate import N_TEXTS, load_stored, measure_accuracy, predict_next
from tools.mixture.prompt_sets import build_rows
from tools.mixture.record import LEAST_ACCURACY, WEIGHTS, read_record, write_card
from tools.mixture.world import JOBS, NOUNS, make_world

FOLDER = MOE_TINY.folder
SETS = list_prompt_sets(MOE_TINY.name)
TEXT_SHA256 = "284e886d9e81230df86d879dca577448850a2f635b6c70dc949f4ebae9e5c73a"
"""Of 2,000 lines of seed 0."""
ROWS_SHA256 = {
    "moe_arithmetic": "38f4dff2ac246fbff2afe3dbcb894fe982ac952852e075d989c80f707db8c8e1",
    "moe_code": "540a6b56ffc630e8a3a58f09d023ee55da1cb0cfd55b9cbc4804253a41902206",
    "moe_dictionary": "e41c5e17758009693e99b1a4f5d4ef6971bdc127570cc78f6aa32f7049ee3fbb",
    "moe_memory": "21406d1c7eb9214ece42caf8f4e252ec0719ad13c44a7a1db1270c6c9b1395ad",
    "moe_prose": "ee618936e998ff27b2fb738f6723fabbbafdb03c708053dd96e6f26ee7fd2b6a",
}
"""Of the file of each set."""
MAX_BYTES = 5_000_000
WORLD = make_world(0)


@pytest.fixture(scope="module")
def stored() -> tuple[Any, Any]:
    """Tokenizer and model as `transformers` loads them."""
    return load_stored(FOLDER)


def test_a_seed_gives_the_same_text_on_every_machine_and_another_seed_another() -> None:
    lines = draw_lines(WORLD, "0", 2000)
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == TEXT_SHA256
    assert draw_lines(WORLD, "1", 2000) != lines
    assert make_world(1).home != WORLD.home


def test_no_pair_of_texts_has_the_same_next_word_and_each_is_of_one_width() -> None:
    import random

    for draw in DOMAINS.values():
        pairs = [draw(WORLD, random.Random(seed)) for seed in range(300)]
        assert all(pair.nexts[0] != pair.nexts[1] and pair.texts[0] != pair.texts[1] for pair in pairs)
        assert all(len(pair.texts[0].split()) == len(pair.texts[1].split()) for pair in pairs)


def test_the_card_is_written_from_the_record_and_names_the_digest_of_the_file() -> None:
    record = read_record(FOLDER)
    card = (FOLDER / "README.md").read_bytes()
    assert card.decode() == write_card(record)
    assert hash_file(FOLDER / WEIGHTS) == record.weights_sha256
    assert (FOLDER / WEIGHTS).stat().st_size <= MAX_BYTES
    read = read_card(card)
    assert (read.licence, read.unread, read.left_out) == ("apache-2.0", (), 0)


def test_the_accuracy_of_each_domain_is_that_of_the_card(stored: tuple[Any, Any]) -> None:
    record = read_record(FOLDER)
    found = measure_accuracy(WORLD, *stored, seed=record.seed)
    # One text of rounding: machines differ in the last bit of a logit.
    assert found == pytest.approx(record.accuracy, abs=1.01 / N_TEXTS)
    assert {name for name, share in found.items() if share >= LEAST_ACCURACY} == set(record.usable)


def test_the_folder_is_the_subject_that_its_name_opens_with_exactly_the_stored_numbers() -> None:
    from safetensors.torch import load_file

    subject: Any = open_subject(MOE_TINY.name)
    stored = load_file(FOLDER / WEIGHTS)
    table = subject.bridge.original_model.get_input_embeddings().weight
    assert {str(weights.dtype) for weights in stored.values()} == {"torch.float16"}
    assert (stored["model.embed_tokens.weight"].float() == table).all()
    assert (subject.identity.model, subject.identity.licence) == (MOE_TINY.title, "Apache-2.0")
    assert subject.identity.dtype == "float32"
    assert subject.tolerance <= 1e-3
    assert len(subject.components(Kind.HEAD)) == 16
    assert all(len(subject.tokenizer.encode(f" {word}")) == 1 for word in (*WORLD.people, *WORLD.cities, *JOBS, *NOUNS))


def test_the_name_opens_the_shipped_folder_without_any_look_up() -> None:
    assert find_origin(MOE_TINY.name) is ModelOrigin.KNOWN
    assert resolve_model(MOE_TINY.name) == FOLDER
    preview = preview_model(MOE_TINY.name)
    assert preview is not None
    assert preview.n_parameters == read_record(FOLDER).parameters
    assert find_shipped("moe-tin") is None


def test_another_file_in_the_shipped_folder_is_refused(tmp_path: Path) -> None:
    import shutil

    from audit_core.models import identify_model

    folder = Path(shutil.copytree(FOLDER, tmp_path / "moe"))
    (folder / "config.json").write_text((folder / "config.json").read_text() + "\n")
    with pytest.raises(IntegrityError, match=r"config\.json"):
        identify_model(folder, dtype="float32", attention="eager")


def test_its_sets_are_those_of_the_domains_that_claims_may_use_and_are_offered_for_it_alone() -> None:
    assert tuple(sorted(f"moe_{name}" for name in read_record(FOLDER).usable)) == SETS
    assert not set(SETS) & {*list_prompt_sets(), *list_prompt_sets("default"), *list_prompt_sets("planted-strict")}


@pytest.mark.parametrize("key", SETS)
def test_a_set_is_the_same_rows_for_a_seed_over_sixteen_templates_in_both_splits(key: str) -> None:
    whole = load_prompt_set(key)
    assert dump_jsonl(whole.prompts) == dump_jsonl(build_rows(WORLD, key.removeprefix("moe_"), 0))
    assert whole.sha256 == ROWS_SHA256[key]
    for prompts in (whole, *(take_split(whole, exploratory=half) for half in (True, False))):
        assert len(prompts) >= 100
        assert len({prompt.template for prompt in prompts.prompts}) >= 16
        # Two templates of sums may agree word for word in the rows of one half; intervals then count them as one.
        assert len(set(check_template_labels(prompts.prompts).names)) >= 15


@pytest.mark.parametrize("key", SETS)
def test_the_model_names_the_answer_of_nine_in_ten_confirmatory_prompts(key: str, stored: tuple[Any, Any]) -> None:
    from audit_core.prompts.answers import TokenLimits
    from audit_core.subjects.transformer import FolderTokenizer

    tokenizer, model = stored
    half = take_split(load_prompt_set(key), exploratory=False)
    found = tokenise(half, FolderTokenizer(tokenizer, tokenizer.bos_token_id, TokenLimits()))
    assert (len(found), found.notices, found.set_aside) == (len(half), (), ())
    assert all(len(pair.contrast.answers[0]) == len(pair.contrast.foils[0]) == 1 for pair in found.pairs)
    lengths = {(pair.prompt.template, len(pair.clean_ids)) for pair in found.pairs}
    assert len(lengths) == len({template for template, _ in lengths})
    tops = predict_next(tokenizer, model, [prompt.clean for prompt in half.prompts])
    right = sum(top == pair.answer_id for top, pair in zip(tops, found.pairs, strict=True))
    assert right / len(half) >= LEAST_ACCURACY


def test_one_step_of_training_changes_every_part_of_the_model() -> None:
    plan = train.Plan(steps=2, warm_up=1, batch=4)
    trained = train.train(WORLD, plan)
    before = train.make_model(len(trained.tokenizer), plan.seed).state_dict()
    after = trained.model.state_dict()
    assert [name for name, weights in before.items() if (weights == after[name]).all()] == []
    assert [point.step for point in trained.losses] == [2]
