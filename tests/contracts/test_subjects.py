"""What every subject owes the audits: the toy that tests rest on, and every family of models on the shelf."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy.additive import AdditiveSubject, pair_up
from toy.encoder_decoders import build_random as build_random_t5
from toy.models import FAMILIES, build_random
from toy.prompts import tokenise_letters

from audit_core.capability import ATTENTION, GRADIENTS, HEADS, MEANS, PATHS, PATTERNS, ROUTING
from audit_core.component import Kind, head
from audit_core.errors import ModelRefused
from audit_core.intervention import ABLATIONS, CLEAN_RUN, CORRUPTED_RUN, Direction, Replacement, intervene
from audit_core.models import ModelIdentity
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.references import Setting
from audit_core.registry import list_plugins
from audit_core.subject import Subject
from audit_core.subject_family import SubjectFamily, find_listed, list_families, list_models, list_planted, load_folder


@pytest.fixture(params=["additive", *FAMILIES])
def case(request: pytest.FixtureRequest, load_family: Callable[[str], Any]) -> tuple[Subject, TokenisedPrompts]:
    if request.param == "additive":
        toy = AdditiveSubject({part: 1.0 for part in AdditiveSubject({}).components(Kind.HEAD)})
        return toy, pair_up(toy, 6)
    subject = load_family(request.param)
    return subject, tokenise_letters(subject.tokenizer, [6, 8, 6, 8, 6, 8], n_templates=1)


def test_logits_have_a_row_per_intervention_and_a_column_per_prompt(case: tuple[Subject, TokenisedPrompts]) -> None:
    subject, prompts = case
    parts = subject.components(Kind.HEAD)
    asked = [CLEAN_RUN, CORRUPTED_RUN, *(intervene([part], Replacement.ZERO) for part in parts)]
    found = subject.run(prompts, asked, vocabulary=True)
    assert found.answer.shape == found.foil.shape == (len(asked), len(prompts))
    assert found.answer.dtype == np.float32
    assert found.vocabulary is not None
    assert found.vocabulary.shape == (len(asked), len(prompts), subject.geometry.n_vocabulary)
    assert found.edits_applied == len(parts) * len(prompts)
    assert subject.run(prompts, asked).vocabulary is None
    with pytest.raises(ValueError, match="read-only"):
        found.answer[...] = 0


def test_every_way_of_replacing_is_carried_out(case: tuple[Subject, TokenisedPrompts]) -> None:
    subject, prompts = case
    means = subject.capture_means(prompts)
    part = subject.components(Kind.HEAD)[0]
    clean = subject.run(prompts, [CLEAN_RUN]).answer
    for replacement in (*ABLATIONS, Replacement.IDENTITY, Replacement.NOISE):
        found = subject.run(prompts, [intervene([part], replacement, factor=0.5)], means=means)
        assert found.edits_applied == len(prompts), replacement
        moved = np.abs(found.answer - clean).max()
        assert moved == 0 if replacement is Replacement.IDENTITY else moved > subject.tolerance, replacement


def test_denoising_begins_from_the_corrupted_run(case: tuple[Subject, TokenisedPrompts]) -> None:
    subject, prompts = case
    everything = subject.components(Kind.HEAD)
    corrupted = subject.run(prompts, [CORRUPTED_RUN]).answer
    nothing = intervene([], Replacement.RESAMPLE, direction=Direction.DENOISING)
    assert (subject.run(prompts, [nothing]).answer == corrupted).all()
    restored = intervene(everything, Replacement.RESAMPLE, direction=Direction.DENOISING)
    assert np.abs(subject.run(prompts, [restored]).answer - corrupted).max() > subject.tolerance


def test_work_is_counted_and_progress_reaches_it(case: tuple[Subject, TokenisedPrompts]) -> None:
    subject, prompts = case
    asked = [intervene([part], Replacement.ZERO) for part in subject.components(Kind.HEAD)]
    seen: list[tuple[int, int]] = []
    subject.run(prompts, asked, on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (subject.count_work(prompts, asked),) * 2


def test_attention_and_patterns_are_shares_over_the_tokens_of_each_prompt(
    case: tuple[Subject, TokenisedPrompts],
) -> None:
    subject, prompts = case
    shape = subject.geometry
    for rows, pair in zip(subject.attention_to_last(prompts), prompts.pairs, strict=True):
        n = len(pair.clean_ids)
        assert rows.shape == (shape.n_layers, shape.n_heads, n)
        np.testing.assert_allclose(rows.sum(-1), 1, atol=1e-5)
        drawn = subject.patterns(pair, CLEAN_RUN)
        assert drawn.shape == (shape.n_layers, shape.n_heads, n, n)
        np.testing.assert_allclose(drawn[:, :, -1], rows, atol=1e-5)
        np.testing.assert_array_equal(subject.pattern_of(pair, CLEAN_RUN, head(1, 0)), drawn[1, 0])


def test_a_subject_says_exactly_what_it_is(case: tuple[Subject, TokenisedPrompts]) -> None:
    subject, _ = case
    assert isinstance(subject.identity, ModelIdentity)
    assert all(len(digest) == 64 for digest in (subject.identity.weights_sha256, subject.identity.tokenizer_sha256))
    assert subject.tolerance > 0
    assert subject.geometry.n_heads % subject.geometry.n_key_value_heads == 0


@pytest.mark.parametrize(
    ("name", "setting"), [("planted-induction", Setting.DENSE), ("planted-mixture", Setting.MIXTURE)]
)
def test_a_model_of_a_class_gives_what_its_family_offers(
    name: str, setting: Setting, load_planted: Callable[[str], Any]
) -> None:
    """The card of a model is written from what the family offers, before the model is loaded."""
    subject = load_planted(name)
    offered = {one for family in list_families() for one in family.offers.get(setting, ())}
    assert offered
    assert {one.name: one.explain_missing(subject) for one in offered if not one.is_met(subject)} == {}


def test_what_a_subject_of_numbers_cannot_give_is_not_among_its_capabilities() -> None:
    """The toy has heads, means and patterns, and no engine: nothing of it can be differentiated or routed."""
    toy: Any = AdditiveSubject({})
    given = {one.name for one in (HEADS, MEANS, ATTENTION, PATTERNS, GRADIENTS, PATHS, ROUTING) if one.is_met(toy)}
    assert given == {"head components", "mean activations", "attention of heads", "attention patterns"}


def test_every_name_in_the_menu_is_offered_once_and_found_by_one_family() -> None:
    names = [model.name for model in list_models()]
    assert len(names) == len(set(names))
    assert names[:4] == ["default", "moe-tiny", "t5-tiny", "default+default-layer-12"]
    # The first has applicants in the place of prompt sets and claims, the second is one of the others with a dictionary.
    more = {"planted-decision", "planted-strict+planted-strict"}
    assert set(names[4:]) == {model.name for model in list_planted()} | more
    assert find_listed("planted-or") is not None
    assert find_listed("gpt2") is None


def test_a_configuration_that_two_families_open_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Special(SubjectFamily):
        question: str = "?"

        def opens(self, config: Mapping[str, Any]) -> bool:
            return config.get("model_type") == "gpt2"

        def load(self, folder: Path) -> Any:
            return f"loaded by {self.name}"

    folder = build_random("gpt2", tmp_path)
    general = list_plugins("subjects")["transformer"]
    monkeypatch.setattr("audit_core.subject_family.list_plugins", lambda _: {"a": Special("a"), "transformer": general})
    assert load_folder(folder) == "loaded by a", "the general family is asked last"
    both = {"a": Special("a"), "b": Special("b"), "transformer": general}
    monkeypatch.setattr("audit_core.subject_family.list_plugins", lambda _: both)
    with pytest.raises(ModelRefused, match="a and b"):
        load_folder(folder)


@pytest.mark.parametrize("key", list_plugins("subjects"))
def test_every_kind_of_subject_on_the_shelf_loads_a_folder(key: str, tmp_path: Any) -> None:
    plugin = list_plugins("subjects")[key]
    if key == "images":
        # It has no layers that an engine could edit: only its images are changed.
        assert plugin.load(plugin.find_here("digits-marked")).geometry.n_layers == 0
        return
    if key == "tabular":
        # It has no layers either: only the inputs of its rows are changed.
        assert plugin.load(plugin.find_here("breast-cancer")).geometry.n_layers == 0
        return
    folder = build_random_t5(tmp_path) if key == "encoder_decoder" else build_random("gpt2", tmp_path)
    assert plugin.load(folder).geometry.n_layers == 3
