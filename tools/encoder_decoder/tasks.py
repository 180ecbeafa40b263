"""Three tasks that a source decides: look a value up, copy a list, translate a list word by word.

Each task draws a pair of texts `source => beginning of the target`, which differ in one or two words of the source and in
what comes next. What precedes the arrow is for the encoder; the arrow and what follows are for the decoder.

    task       what comes next                   what decides it
    lookup     the city of the person asked for  one note of the source; it changes with every text
    copy       the next word of the source       the place in the list
    translate  the next word's translation       the place in the list, and a dictionary that never changes
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tools.mixture.domains import Pair
from tools.mixture.world import LANGUAGES, NOUNS, World

ARROW = "=>"
"""Begins the target; also the first token of the decoder."""
NOTES = (
    ("note : {p} moved to {c} .", "{q}"),
    ("{p} went to {c} .", "the home of {q} :"),
    ("news : {p} bought a house in {c} .", "house of {q} :"),
    ("{p} is in {c} today .", "we visit {q} in"),
    ("new road for {p} : {c} .", "letters for {q} :"),
    ("{p} was seen near {c} .", "seen : {q} near"),
    ("the king sent {p} to {c} .", "{q} lives in"),
    ("{p} , {c} .", "from this list , {q} ,"),
    ("a ship carried {p} to {c} .", "{q} :"),
    ("{p} left for {c} .", "then {q} left for"),
    ("boat of {p} : {c} .", "the boat of {q}"),
    ("{p} found work in {c} .", "work of {q} in"),
    ("the house of {p} is in {c} .", "so {q} is in"),
    ("ask for {p} in {c} .", "where to ask for {q} :"),
    ("{p} works in {c} .", "{q} works in"),
    ("a bridge brought {p} to {c} .", "today {q} is in"),
)
"""Form of a note in the source, and the beginning of the target: one template each."""
BARE = ("{p} {c} .", "{q}")
"""A note with nothing but person and city."""
COPIES = (
    "copy : {x} .", "repeat {x} .", "say again : {x} !", "write down {x} , please .", "the same once more : {x} ;",
    "{x} ; as it stands .", "echo {x}", "read aloud : {x} .", "list to keep : {x} .", "keep {x} in this order .",
    "print ( {x} )", "our words are {x} . copy them .", "after me : {x} .", "{x} , again !", "a line of text : {x} ;",
    "note these : {x} .",
)  # fmt: skip
TRANSLATIONS = (
    "in {l} : {x} .", "translate {x} to {l} .", "{l} for {x} .", "say {x} in {l} .", "to {l} : {x} ;", "{x} , in {l} .",
    "how do {l} people say {x} ?", "{l} , word by word : {x} .", "give the {l} of {x} .", "a {l} teacher reads {x} .",
    "our book of {l} : {x} ;", "{x} ; now speak {l} .", "turn {x} into {l} !", "what is {x} when said in {l} ?",
    "{l} < {x} >", "write {x} for a reader of {l} .",
)  # fmt: skip
N_NOTES, N_WORDS = 3, 4
"""Notes of a source in *lookup*, and words of a list in the others."""


@dataclass(frozen=True)
class Drawn:
    """One drawn pair, and the whole target of its first text, which training reads."""

    pair: Pair
    target: tuple[str, str]
    """Beginning that nothing decides, and the rest, which the source decides."""
    notes: tuple[tuple[str, str], ...] = ()
    """City and person of each note of the source, in their order, for the loss on the encoder."""


def draw_lookup(world: World, rng: random.Random) -> Drawn:
    """Three notes on who is where, and one of the people; the other text exchanges that city with another one's."""
    at = rng.randrange(len(NOTES))
    return _draw_notes(f"note-{at + 1}", *NOTES[at], world, rng)


def draw_bare_notes(world: World, rng: random.Random) -> Drawn:
    """Notes of a person and a city alone, for training: they show what *lookup* asks before its templates are learned."""
    return _draw_notes("bare", *BARE, world, rng)


def _draw_notes(name: str, note: str, question: str, world: World, rng: random.Random) -> Drawn:
    people, cities = rng.sample(world.people, N_NOTES), rng.sample(world.cities, N_NOTES)
    asked, other = rng.sample(range(N_NOTES), 2)
    begin = question.format(q=people[asked])
    texts = [
        " ".join([*(note.format(p=p, c=c) for p, c in zip(people, order)), ARROW, begin])
        for order in (cities, _swap(cities, asked, other))
    ]
    pair = Pair(name, (texts[0], texts[1]), (cities[asked], cities[other]))
    return Drawn(pair, (begin, cities[asked]), tuple(zip(cities, people, strict=True)))


def draw_copy(world: World, rng: random.Random) -> Drawn:
    """A list of four words to repeat; the other text has another word at the place that comes next."""
    at = rng.randrange(len(COPIES))
    return _draw_list(f"copy-{at + 1}", COPIES[at], {}, {noun: noun for noun in NOUNS}, rng)


def draw_translate(world: World, rng: random.Random) -> Drawn:
    """A list of four words to translate; the other text has another word at the place that comes next."""
    at, language = rng.randrange(len(TRANSLATIONS)), rng.choice(LANGUAGES)
    return _draw_list(f"translate-{at + 1}", TRANSLATIONS[at], {"l": language}, world.dictionary[language], rng)


def _draw_list(name: str, form: str, rest: dict[str, str], words: dict[str, str], rng: random.Random) -> Drawn:
    *items, new = rng.sample(NOUNS, N_WORDS + 1)
    # One place for each template, so that its texts line up word by word.
    place = 1 + int(name.rpartition("-")[2]) % (N_WORDS - 1)
    changed = [*items[:place], new, *items[place + 1 :]]
    begin = " ".join(words[item] for item in items[:place])
    texts = [f"{form.format(x=' '.join(order), **rest)} {ARROW} {begin}" for order in (items, changed)]
    pair = Pair(name, (texts[0], texts[1]), (words[items[place]], words[new]))
    return Drawn(pair, ("", " ".join(words[item] for item in items)))


def _swap(items: list[str], one: int, other: int) -> list[str]:
    swapped = list(items)
    swapped[one], swapped[other] = items[other], items[one]
    return swapped


Draw = Callable[[World, random.Random], Drawn]
TASKS: dict[str, Draw] = {"lookup": draw_lookup, "copy": draw_copy, "translate": draw_translate}


def draw_lines(world: World, seed: str, n: int) -> Iterator[str]:
    """Lines of all tasks in turn, for the tokenizer."""
    rng = random.Random(seed)
    names = list(TASKS)
    for at in range(n):
        pair = TASKS[names[at % len(names)]](world, rng).pair
        yield f"{pair.texts[0]} {pair.nexts[0]} ."
