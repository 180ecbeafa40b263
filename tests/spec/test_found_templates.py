"""Templates found from the texts, and labels held against them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from toy.planted import make_induction, make_votes

from audit_core.prompts.found_templates import find_templates
from audit_core.prompts.prompt_set import Prompt, PromptSet, take_split
from audit_core.prompts.template_labels import check_template_labels
from audit_core.shipped import list_prompt_sets, load_prompt_set
from audit_core.subjects.planted import PLANTED_MODELS

NAMES = ("Mary", "John", "Anna", "Paul", "Emma", "Luke")
FILLERS = [
    "park",
    "river",
    "stone",
    "cloud",
    "music",
    "paper",
    "field",
    "seven",
    "window",
    "bottle",
    "garden",
    "silver",
    "doctor",
    "winter",
    "summer",
    "letter",
    "pocket",
    "market",
    "bridge",
    "forest",
    "shore",
    "valley",
    "museum",
    "harbour",
]
TEXT = "Then {a} and {b} walked to the {filler}, {s} gave a ball to"
OTHER = "When {a} met {b} at noon in town, {s} sold a car to"


def write(texts: Sequence[str], *, label: str = "t{}") -> tuple[Prompt, ...]:
    """A pair a text, each of another couple of names; `{filler}` is another word in each."""
    draw, rows = random.Random(0), []
    for number, text in enumerate(texts):
        a, b = draw.sample(NAMES, 2)
        words = {"a": a, "b": b, "filler": FILLERS[number % len(FILLERS)], "n": number}
        clean, corrupted = (text.format(s=s, **words) for s in (b, a))
        rows.append(Prompt(f"p{number}", clean, corrupted, f" {a}", f" {b}", label.format(number)))
    return tuple(rows)


ONE_SKELETON = {
    "names alone": [TEXT.replace("{filler}", "park")] * 24,
    "a filler word each": [TEXT] * 24,
    "a word put before each": ["{filler} " + TEXT.replace("{filler}", "park")] * 24,
    "a word put before every other": ["", "{filler} "] * 12,
    "two words put in": [TEXT.replace("{filler}", "park {filler} {n}")] * 24,
    "a word put behind": [TEXT.replace("{filler}", "park") + " {filler}"] * 24,
    "numbered": ["{n}. " + TEXT.replace("{filler}", "park")] * 24,
    "other punctuation": [TEXT.replace("{filler},", f"park{mark}") for mark in (",", " -", ";", ":", "...", "!")] * 4,
    "other case": [TEXT.replace("{filler}", word) for word in ("park", "Park", "PARK")] * 8,
    "invisible signs": ["\u200b" * at + TEXT.replace("{filler}", "pa\u200drk") for at in range(24)],
    "signs that look alike": [TEXT.replace("{filler}", word) for word in ("park", "\uff50\uff41\uff52\uff4b")] * 12,
}
ONE_SKELETON["a word put before every other"] = [
    put + TEXT.replace("{filler}", "park") for put in ONE_SKELETON["a word put before every other"]
]


@pytest.mark.parametrize("how", ONE_SKELETON)
def test_a_text_with_little_changed_is_one_template_whatever_it_is_named(how: str) -> None:
    prompts = write(ONE_SKELETON[how])
    assert len(set(find_templates(prompts))) == 1
    found = check_template_labels(prompts)
    assert len(set(found.names)) == 1
    assert found.notice == "24 templates are named; their texts share 1 skeleton; intervals are taken over 1."


def test_two_skeletons_under_twelve_names_are_two() -> None:
    rows = write([TEXT.replace("{filler}", "park"), OTHER] * 12)
    named = tuple(replace(row, template=f"t{at // 2}") for at, row in enumerate(rows))
    found = check_template_labels(named)
    assert len(set(found.names)) == 2
    assert found.notice == "12 templates are named; their texts share 2 skeletons; intervals are taken over 2."


def test_texts_of_a_script_without_spaces_share_a_skeleton() -> None:
    text = "当{a}和{b}去公园的时候，{s}把一个球给了"
    rows = []
    for at, (a, b) in enumerate(
        [("玛丽", "约翰"), ("安娜", "保罗"), ("艾玛", "卢克"), ("玛丽", "保罗"), ("约翰", "安娜")]
    ):
        clean, corrupted = (text.format(a=a, b=b, s=s) for s in (b, a))
        rows.append(Prompt(f"p{at}", clean, corrupted, a, b, f"t{at}"))
    assert len(set(find_templates(rows))) == 1


def test_worked_examples_before_every_prompt_do_not_make_the_prompts_one() -> None:
    """Twelve words that all share, then sentences of their own."""
    frame = "Finish the sentence as in this example. The sky on a clear day looks very blue. "
    own = (TEXT.replace("{filler}", "park"), OTHER, "After lunch {a} told {b} a secret and {s} smiled back at")
    rows = write([frame + text for text in own * 4], label="same")
    assert len(set(find_templates(rows))) == 3


def test_one_text_with_other_foils_is_one_template() -> None:
    words = ("Paris", "Berlin", "Madrid", "Lisbon", "Vienna")
    rows = [
        Prompt(f"p{at}", "The capital of France is", f"The {w} of France is", " x", f" {w}", f"t{at}")
        for at, w in enumerate(words)
    ]
    assert len(set(find_templates(rows))) == 1


@pytest.mark.parametrize("key", list_prompt_sets())
def test_labels_of_every_shipped_set_and_split_are_believed(key: str) -> None:
    whole = load_prompt_set(key)
    for prompts in (whole, *(take_split(whole, exploratory=half) for half in (True, False))):
        found = check_template_labels(prompts.prompts)
        assert found.notice == ""
        assert found.names == tuple(prompt.template for prompt in prompts.prompts)
        assert prompts.notices == ()


@pytest.mark.parametrize("key", list_prompt_sets())
def test_a_shipped_set_whose_prompts_are_each_a_template_counts_its_twenty(key: str) -> None:
    rows = load_prompt_set(key).prompts
    each = tuple(replace(row, template=row.id) for row in rows)
    found = check_template_labels(each).names
    together = {(name, row.template) for name, row in zip(found, rows, strict=True)}
    assert len(set(found)) == 20
    assert len(together) == 20


@pytest.mark.parametrize("n", [1, 2, 8])
def test_labels_of_every_planted_task_are_believed(n: int) -> None:
    """Random words share no skeleton, and a vote has too few words to have one: counts and margins are its templates."""
    tasks = {task.name: task for model in PLANTED_MODELS for task in model.tasks}
    for task in tasks.values():
        prompts = task.make(n, 0).prompts
        assert check_template_labels(prompts).names == tuple(prompt.template for prompt in prompts), task.name


def test_the_order_of_the_prompts_is_irrelevant() -> None:
    rows = [*write([TEXT, OTHER] * 6), *load_prompt_set("induction").prompts[:40]]
    found = dict(zip((row.id + row.clean for row in rows), find_templates(rows), strict=True))
    random.Random(1).shuffle(rows)
    assert dict(zip((row.id + row.clean for row in rows), find_templates(rows), strict=True)) == found


def test_a_label_over_several_skeletons_stays() -> None:
    rows = tuple(replace(row, template=f"t{at % 2}") for at, row in enumerate(write([TEXT, OTHER] * 6)))
    assert set(check_template_labels(rows).names) == {"t0", "t1"}
    one = tuple(replace(row, template="mine") for row in rows)
    assert set(check_template_labels(one).names) == {"mine"}
    assert check_template_labels(one).notice == ""


def test_permuted_labels_give_way_to_what_the_texts_share() -> None:
    rows = load_prompt_set("indirect_object").prompts
    labels = [row.template for row in rows]
    random.Random(0).shuffle(labels)
    found = check_template_labels(tuple(replace(row, template=label) for row, label in zip(rows, labels, strict=True)))
    assert {(name, row.template) for name, row in zip(found.names, rows, strict=True)} == set(
        zip(found.names, (row.template for row in rows), strict=True)
    )
    assert len({(name, row.template) for name, row in zip(found.names, rows, strict=True)}) == 20


def test_fewer_labels_that_cut_through_skeletons_are_one_where_they_share_one() -> None:
    """t0 and t1 share a skeleton, t2 has two of its own: of three labels and three skeletons two clusters would be wrong,
    so of three labels over four skeletons two are left."""
    texts = [TEXT.replace("{filler}", "park"), OTHER, "After lunch {a} told {b} a secret and {s} smiled back at"]
    texts = [*texts, "Neither {a} nor {b} could swim so well that {s} would race"]
    rows = write([texts[0], texts[0], texts[1], texts[2], texts[3], texts[3]])
    named = tuple(replace(r, template=t) for r, t in zip(rows, ("t0", "t1", "t2", "t2", "t1", "t1"), strict=True))
    found = check_template_labels(named)
    assert found.names == ("t0", "t0", "t2", "t2", "t0", "t0")
    assert "3 templates are named" in found.notice
    assert "over 2" in found.notice


@pytest.mark.parametrize("label", ["", "all"])
def test_prompts_that_name_no_template_are_clustered_by_their_texts(label: str) -> None:
    rows = tuple(replace(row, template=label) for row in write([TEXT, OTHER] * 6))
    found = check_template_labels(rows)
    assert len(set(found.names)) == 2
    assert "No template is named" in found.notice


def test_toy_prompts_of_random_words_keep_their_labels() -> None:
    for prompts in (make_induction(60, change="context", n_templates=6), make_votes(("AAB", "ABB"), ("AAA", "BBB"))):
        assert check_template_labels(prompts.prompts).names == tuple(p.template for p in prompts.prompts)
    assert find_templates(PromptSet("none", ()).prompts) == ()
