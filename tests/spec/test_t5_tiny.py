"""The small encoder–decoder: its file, its card and its prompt sets are what they are said to be."""

from __future__ import annotations

import random
from typing import Any

import pytest

from audit_core.component import Kind
from audit_core.controls import plan_controls, run_controls
from audit_core.intervention import Replacement, intervene
from audit_core.models import read_card
from audit_core.models.cache import hash_file
from audit_core.models.known import T5_TINY
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import dump_jsonl, take_split
from audit_core.prompts.template_labels import check_template_labels
from audit_core.run import open_subject
from audit_core.shipped import list_prompt_sets, load_prompt_set
from tools.encoder_decoder import train
from tools.encoder_decoder.evaluate import N_TEXTS, load_stored, measure_accuracy, predict_next
from tools.encoder_decoder.prompt_sets import build_rows
from tools.encoder_decoder.record import LEAST_ACCURACY, WEIGHTS, read_record, write_card
from tools.encoder_decoder.tasks import TASKS
from tools.mixture.world import NOUNS, make_world

FOLDER = T5_TINY.folder
SETS = list_prompt_sets(T5_TINY.name)
ROWS_SHA256 = {
    "t5_copy": "d1e64a144b549fe3484abaca07a405f12897cf9a866095c68dae62674e0bdc97",
    "t5_lookup": "10a939386ab8b934e05575bdcafd91c1de944a585710105b048cb2566379605d",
    "t5_translate": "54f9b2498967ae9b1d03db9ba70295ec96b66ad41e3235144231d27e21b32db9",
}
"""Of the file of each set."""
MAX_BYTES = 5_000_000
WORLD = make_world(0)


@pytest.fixture(scope="module")
def stored() -> tuple[Any, Any]:
    """Tokenizer and model as `transformers` loads them."""
    return load_stored(FOLDER)


def test_the_card_is_written_from_the_record_and_names_the_digest_of_the_file() -> None:
    record = read_record(FOLDER)
    card = (FOLDER / "README.md").read_bytes()
    assert card.decode() == write_card(record)
    assert hash_file(FOLDER / WEIGHTS) == record.weights_sha256
    assert (FOLDER / WEIGHTS).stat().st_size <= MAX_BYTES
    read = read_card(card)
    assert (read.licence, read.unread, read.left_out) == ("apache-2.0", (), 0)


def test_the_accuracy_of_each_task_is_that_of_the_card(stored: tuple[Any, Any]) -> None:
    record = read_record(FOLDER)
    found = measure_accuracy(WORLD, *stored, seed=record.seed)
    # One text of rounding: machines differ in the last bit of a logit.
    assert found == pytest.approx(record.accuracy, abs=1.01 / N_TEXTS)
    assert {name for name, share in found.items() if share >= LEAST_ACCURACY} == set(record.usable)


def test_the_name_opens_the_shipped_folder_with_exactly_the_stored_numbers() -> None:
    from safetensors.torch import load_file

    subject: Any = open_subject(T5_TINY.name)
    stored = load_file(FOLDER / WEIGHTS)
    table = subject.runner.model.get_input_embeddings().weight
    assert {str(weights.dtype) for weights in stored.values()} == {"torch.float16"}
    assert (stored["shared.weight"].float() == table).all()
    assert (subject.identity.model, subject.identity.licence) == (T5_TINY.title, "Apache-2.0")
    assert [len(subject.components(kind)) for kind in (Kind.ENCODER_HEAD, Kind.DECODER_HEAD, Kind.CROSS_HEAD)] == [
        12
    ] * 3
    assert all(len(subject.tokenizer.encode(f" {word}")) == 1 for word in (*WORLD.people, *WORLD.cities, *NOUNS))


def test_the_two_texts_of_a_pair_differ_in_the_source_alone_and_have_one_width() -> None:
    for draw in TASKS.values():
        for pair in (draw(WORLD, random.Random(seed)).pair for seed in range(300)):
            sources, begins = zip(
                *(text.split(" => ") if " => " in text else (text, "") for text in pair.texts), strict=True
            )
            assert sources[0] != sources[1]
            assert begins[0] == begins[1]
            assert len(pair.texts[0].split()) == len(pair.texts[1].split())
            assert pair.nexts[0] != pair.nexts[1]


def test_its_sets_are_those_of_the_tasks_that_claims_may_use_and_are_offered_for_it_alone() -> None:
    assert tuple(sorted(f"t5_{name}" for name in read_record(FOLDER).usable)) == SETS
    assert not set(SETS) & {*list_prompt_sets(), *list_prompt_sets("default"), *list_prompt_sets("moe-tiny")}


@pytest.mark.parametrize("key", SETS)
def test_a_set_is_the_same_rows_for_a_seed_over_sixteen_templates_in_both_splits(key: str) -> None:
    whole = load_prompt_set(key)
    assert dump_jsonl(whole.prompts) == dump_jsonl(build_rows(WORLD, key.removeprefix("t5_"), 0))
    assert whole.sha256 == ROWS_SHA256[key]
    for prompts in (whole, *(take_split(whole, exploratory=half) for half in (True, False))):
        assert len(prompts) >= 128
        assert len(set(check_template_labels(prompts.prompts).names)) >= 16


@pytest.mark.parametrize("key", SETS)
def test_the_model_names_the_answer_of_nine_in_ten_confirmatory_prompts(key: str, stored: tuple[Any, Any]) -> None:
    from audit_core.prompts.answers import TokenLimits
    from audit_core.subjects.transformer import FolderTokenizer

    tokenizer, model = stored
    half = take_split(load_prompt_set(key), exploratory=False)
    found = tokenise(half, FolderTokenizer(tokenizer, None, TokenLimits()))
    assert (len(found), found.notices, found.set_aside) == (len(half), (), ())
    tops = predict_next(tokenizer, model, [prompt.clean for prompt in half.prompts])
    right = sum(top == pair.answer_id for top, pair in zip(tops, found.pairs, strict=True))
    assert right / len(half) >= LEAST_ACCURACY


def test_one_step_of_training_changes_every_part_of_the_model() -> None:
    plan = train.Plan(steps=2, warm_up=1, batch=4)
    trained = train.train(WORLD, plan)
    config = trained.model.config
    before = train.make_model(len(trained.tokenizer), config.decoder_start_token_id, plan.seed).state_dict()
    after = trained.model.state_dict()
    assert [name for name, weights in before.items() if (weights == after[name]).all()] == []
    assert [point.step for point in trained.losses] == [2]


def test_noise_in_the_last_encoder_layer_reaches_an_answer_that_reads_another_place() -> None:
    """Noise at the last source token alone moved no logit here, and the hook was called dead: no decoder head reads that place."""
    subject: Any = open_subject(T5_TINY.name)
    heads = [part for part in subject.components(Kind.ENCODER_HEAD) if part.layer == 2]
    prompts = tokenise(take_split(load_prompt_set("t5_copy"), exploratory=False), subject.tokenizer)
    found = run_controls(subject, prompts, plan_controls(subject, [intervene(heads[:1], Replacement.ZERO)]), 1, seed=0)
    assert found.noise_min > 1.0
