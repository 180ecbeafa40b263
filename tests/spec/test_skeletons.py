"""The rule of templates by hand: words, frames, slots, what a template's prompts share, and which skeletons count as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from audit_core.verifier import skeletons
from audit_core.verifier.skeletons import (
    MAX_WORDS,
    agree_on_skeleton,
    choose_explored_templates,
    has_alike_apart,
    list_words,
    read_masks,
    remove_frame,
)

TEN = "a b c d e f g h i j"
TWENTY = "a b c d e f g h i j k l m n o p q r s t"


def split(text: str) -> tuple[str, ...]:
    return tuple(text.split())


def row(clean: str, corrupted: str = "", answer: str | list[str] = "zzz", foil: str = "zzz") -> dict[str, Any]:
    return {"clean": clean, "corrupted": corrupted or clean, "answer": answer, "foil": foil}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Two + two, he said: =4!", "two + two he said =4"), ("pa\u200drk", "park"), ("\uff50\uff41\uff52\uff4b", "park"),
        ("don't", "don't"), ("_name", "_name"), ("__ ... \u2026", ""), ("公园 x", "公 园 x"),
    ],
)  # fmt: skip
def test_words_of_a_text(text: str, words: str) -> None:
    """Punctuation is none, a sign such as + is one, and what looks alike is the same word."""
    assert list_words(text) == words.replace("=4", "= 4").split()


def test_of_a_long_text_the_first_and_the_last_words_are_compared() -> None:
    words = [f"w{number}" for number in range(MAX_WORDS + 44)]
    assert list_words(" ".join(words)) == words[:128] + words[-128:]
    assert list_words(" ".join(words[:MAX_WORDS])) == words[:MAX_WORDS]


FRONT, BACK = [f"f{n}" for n in range(1, 7)], [f"b{n}" for n in range(1, 7)]


@pytest.mark.parametrize(
    ("front", "bodies", "back", "is_removed"),
    [
        (FRONT, ["v w x y z", "1 2 3 4 5"], BACK, True),
        (FRONT, ["u v w x y z", "1 2 3 4 5 6", "7 8 9 10 11 12"], BACK, True),
        (FRONT + BACK, ["", "u v w x y z", "1 2 3 4 5 6"], [], True),
        (FRONT, ["", "u v w x y f6", "1 2 3 4 5 f6"], BACK, True),
        (FRONT, ["u v w x y z", "1 2 3 4 5 6"], BACK[:5], False),
        (FRONT, ["w x y z", "1 2 3 4"], BACK, False),
        (FRONT, ["u v w x y z"], BACK, False),
    ],
)
def test_a_frame_is_removed_if_it_is_long_enough_and_leaves_enough(
    front: list[str], bodies: list[str], back: list[str], is_removed: bool
) -> None:
    """Twelve words that all texts share, and a median of five others; a word counts for one end of a text alone."""
    texts = [(*front, *body.split(), *back) for body in bodies]
    assert remove_frame(texts) == ([split(body) for body in bodies] if is_removed else texts)


@pytest.mark.parametrize(
    ("rows", "masks"),
    [
        ([row("red green blue black Mary", answer=" Mary")], ["red green blue black _"]),
        ([row("red green blue Mary", answer=" Mary")], ["red green blue mary"]),
        ([row("red green blue black Ann Lee 7", answer=["Ann", " Lee"])], ["red green blue black _ #"]),
        ([row("river stone Mary", answer="Mary"), row("x cloud Mary John", "y cloud John Mary")], ["river stone _", "x cloud mary john"]),
        ([row("a cat sat down Mary Mary", answer="Mary", foil="cat")], ["a _ sat down _"]),
        ([row("cloud Mary", answer="Mary"), row("red green blue black white")], ["cloud mary", "red green blue black white"]),
        ([row("u v w x", "u v y z"), row("red green", "red green")], ["u v _", "red green"]),
        ([row("u v w x red", "u 1 2 3 red")], ["u v w x red"]),
        ([row("a b c d e f g", "a b c 1 2 3 4")], ["a b c d e f g"]),
        ([row("a b c d e f", "a b c e f")], ["a b c _ e f"]),
        ([row("a b c d e f", "a b c d e f g")], ["a b c d e f"]),
    ],
)  # fmt: skip
def test_slots_are_answers_and_what_differs_between_the_two_texts(rows: list[dict[str, Any]], masks: list[str]) -> None:
    """At least two words must remain; of texts of one length that differ in more than half of their words, none is a slot."""
    assert read_masks(rows) == [split(mask) for mask in masks]


@pytest.mark.parametrize(
    ("masks", "skeleton"),
    [
        (["a b c"], "a b c"), (["a b c", "a b d"], "a b _"), (["a b c", "a b c", "a b d"], "a b c"),
        (["a b c", "a b c", "a x b c d"], "a b c"), (["a x b c d", "a b c"], "a b c"), (["a b c", "a x b c d", "a x b c d"], "a x b c d"),
    ],
)  # fmt: skip
def test_a_skeleton_is_what_more_than_half_of_the_usual_length_share(masks: Sequence[str], skeleton: str) -> None:
    assert agree_on_skeleton([split(mask) for mask in masks]) == skeleton


def differ(text: str, n: int) -> str:
    """The text with its last words replaced."""
    words = text.split()
    return " ".join([*words[: len(words) - n], *(f"{word}{word}" for word in words[len(words) - n :])])


@pytest.mark.parametrize(
    ("one", "other", "prompts", "is_alike"),
    [
        (TWENTY, differ(TWENTY, 3), (3, 3), True), (TWENTY, differ(TWENTY, 4), (3, 3), False), (TWENTY, differ(TWENTY, 4), (3, 2), True),
        (TWENTY, differ(TWENTY, 4), (2, 3), True), (TWENTY, differ(TWENTY, 7), (1, 1), False), (TEN, f"x {TEN}", (3, 3), True),
        ("a b c d e", "a b c d e _", (3, 3), True), ("a b c d e", "a b _ c d e", (3, 3), True), ("a b c d e", "_ a b c d e", (3, 3), True),
        ("a b _ d e", "a _ c d e", (3, 3), False), ("a b x", "a b y", (1, 1), False), ("a b c _", "a b c", (3, 3), True),
        ("a _ b _ c d e", "b _ a _ e d c", (1, 1), False), (TWENTY, TWENTY[:31], (3, 3), False), (TWENTY, TWENTY[:33], (3, 3), True),
        ("a b c d e _ # _ #", "a b x y z _ # _ #", (3, 3), False),
    ],
)  # fmt: skip
def test_alike_skeletons_are_one_template(one: str, other: str, prompts: tuple[int, int], is_alike: bool) -> None:
    """0.85 of the words, 2/3 where one of them has at most two prompts; three words at least, and one run of words put in."""
    masks = [split(one)] * prompts[0] + [split(other)] * prompts[1] + [split("k1 k2 k3")]
    assert has_alike_apart(masks, [0] * prompts[0] + [1] * prompts[1] + [2]) is is_alike
    assert not has_alike_apart(masks, [0] * sum(prompts) + [2]), "listed as one"


def test_in_a_set_of_fewer_than_five_words_texts_agree_by_chance() -> None:
    assert has_alike_apart([split("a b c d e"), split("a b c d _")], [0, 1])
    assert not has_alike_apart([split("a b c d"), split("a b c _")], [0, 1])


def test_equal_skeletons_are_one_template_whatever_their_words() -> None:
    same, other = split("a _"), split("b c")
    assert has_alike_apart([same, same, other], [0, 1, 2])
    assert has_alike_apart([other, same, same], [0, 1, 2])
    assert not has_alike_apart([same, same, other], [0, 0, 1])
    assert not has_alike_apart([], [])


@pytest.mark.parametrize(("most", "is_compared"), [(12, True), (11, False)])
def test_no_more_than_the_limit_is_compared(monkeypatch: pytest.MonkeyPatch, most: int, is_compared: bool) -> None:
    """Two skeletons of at most six words: 2² × 6 = 24 words, against twice the limit."""
    monkeypatch.setattr(skeletons, "_MOST_COMPARED", most)
    assert has_alike_apart([split("a b c d e f"), split("a b c d e")], [0, 1]) is is_compared


def test_every_other_template_is_exploratory_in_the_order_of_a_salted_hash() -> None:
    """SHA-256 of `assay-split-2`, salt and skeleton, each after a zero byte, by sha256sum: b 49…, d b6…, c d0…, a f4…."""
    for skeletons_of, explored in (("abcd", "bc"), ("dcba", "bc")):
        flags = choose_explored_templates(list(skeletons_of), "0123456789abcdef")
        assert "".join(sorted(name for name, flag in zip(skeletons_of, flags, strict=True) if flag)) == explored
