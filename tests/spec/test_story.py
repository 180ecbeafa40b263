"""The recorded story: its numbers follow from its items, its heads from their rules, and it says when it has gone stale."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from audit_core import story as stories
from audit_core.errors import IntegrityError
from audit_core.shipped import list_circuits
from audit_core.story import Story, load_story


@pytest.fixture(scope="module")
def story() -> Story:
    return load_story()


def test_every_estimate_of_a_verdict_follows_from_the_items_beside_it(story: Story) -> None:
    for found in story.claims:
        is_necessary = found.claim["role"] == "necessary"
        for family, estimate in found.result.families.items():
            items = [item for item in found.result.items if item.family == family]
            assert len(items) == story.prompts.confirmatory_n
            gap = sum(item.clean - item.empty for item in items)
            lost = sum(item.clean - item.judged if is_necessary else item.judged - item.empty for item in items)
            assert estimate is not None
            assert lost / gap == pytest.approx(estimate.value, abs=2e-5)


def test_the_heads_are_those_that_their_rules_name(story: Story) -> None:
    assert max(story.heads, key=lambda head: head.attention.value) == story.find_head("looks_most")
    assert max(story.heads, key=lambda head: head.fraction.value) == story.find_head("acts")
    idle = [h for h in story.heads if h.fraction.low > -0.05 and h.fraction.high < 0.05]
    assert max(idle, key=lambda head: head.attention.value) == story.find_head("looks")
    assert len(story.heads) == story.n_layers * story.n_heads


def test_the_map_was_measured_on_one_split_and_the_verdicts_on_the_other(story: Story) -> None:
    assert {head.effect.n for head in story.heads} == {story.prompts.exploratory_n}
    assert {found.result.clean.n for found in story.claims} == {story.prompts.confirmatory_n}
    assert story.prompts.exploratory_sha256 != story.prompts.confirmatory_sha256


def test_the_record_speaks_of_the_weights_that_the_shipped_circuits_speak_of(story: Story) -> None:
    shipped = {
        circuit.weights_sha256
        for circuit in list_circuits()
        if circuit.task == story.prompts.name and not circuit.source
    }
    assert shipped == {story.measured_with.identity["weights_sha256"]}
    assert "folder" not in story.measured_with.identity


def test_a_record_under_the_rule_and_prompts_of_today_is_not_stale(story: Story) -> None:
    assert story.list_changes() == ()


def test_a_record_of_another_rule_or_other_prompts_is_stale(story: Story) -> None:
    older = replace(story, measured_with=replace(story.measured_with, rule_version=1))
    assert older.list_changes() == ("the verdict rule",)
    moved = replace(story, prompts=replace(story.prompts, confirmatory_sha256="0" * 64))
    assert moved.list_changes() == ("the prompts",)


@pytest.mark.parametrize("key", ["nobody", "../circuits/indirect_object-acts", ""])
def test_a_story_that_does_not_ship_is_refused(key: str) -> None:
    with pytest.raises(IntegrityError, match="ships with this version"):
        load_story(key)


def test_a_file_that_is_no_story_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken.json").write_text(json.dumps({"heads": []}))
    monkeypatch.setattr(stories, "STORIES", tmp_path)
    with pytest.raises(IntegrityError, match="is not a record that this version reads"):
        load_story("broken")


def test_the_words_on_the_page_fit_the_verdicts(story: Story) -> None:
    """The last steps say that the acting head is needed and not shown to be enough; no looking head is said to be either."""
    assert story.find_claim("acts").result.state == "supported"
    assert story.find_claim("acts", "sufficient").result.state != "supported"
    assert all(story.find_claim(key).result.state != "supported" for key in ("looks", "looks_most", "first_look"))
