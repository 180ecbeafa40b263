"""The invented world that the generated text is about: people, cities, two languages, and the facts that are fixed."""

from __future__ import annotations

import random
from dataclasses import dataclass

JOBS = tuple(
    [
        "baker",
        "smith",
        "tailor",
        "farmer",
        "sailor",
        "teacher",
        "painter",
        "miller",
        "hunter",
        "singer",
        "doctor",
        "weaver",
    ]
)
NOUNS = tuple(
    [
        "dog",
        "cat",
        "horse",
        "bird",
        "fish",
        "tree",
        "house",
        "boat",
        "stone",
        "river",
        "bread",
        "lamp",
        "chair",
        "door",
        "book",
        "cup",
        "ring",
        "coat",
        "hat",
        "bell",
        "king",
        "queen",
        "road",
        "bridge",
        "tower",
        "ship",
        "wall",
        "gate",
        "star",
        "rain",
        "salt",
        "iron",
    ]
)
ADJECTIVES = tuple(["old", "new", "cold", "warm", "tall", "small", "dark", "bright"])
VERBS = tuple(["saw", "found", "lost", "sold", "bought", "carried", "painted", "watched"])
LANGUAGES = ("zulo", "kemi")
_SYLLABLES = ["ka", "to", "mi", "ra", "be", "lo", "su", "ne", "vi", "da", "po", "ze", "gu", "fi", "ho", "wa"]
_N_PEOPLE, _N_CITIES = 40, 24


@dataclass(frozen=True)
class World:
    """Names and facts. Facts are the same in every text that the model is trained on, so that it can only remember them."""

    people: tuple[str, ...]
    cities: tuple[str, ...]
    home: dict[str, str]
    """Person → city."""
    job: dict[str, str]
    """Person → job."""
    dictionary: dict[str, dict[str, str]]
    """Language → noun → its word in that language; no word belongs to two nouns or to both languages."""


def make_world(seed: int) -> World:
    """The world of a seed: names are drawn from syllables, facts are drawn evenly from what may be true."""
    rng = random.Random(f"world {seed}")
    taken: set[str] = set()
    people = tuple(_draw_word(rng, 2, taken).capitalize() for _ in range(_N_PEOPLE))
    cities = tuple(_draw_word(rng, 3, taken).capitalize() for _ in range(_N_CITIES))
    dictionary = {language: {noun: _draw_word(rng, 2, taken) for noun in NOUNS} for language in LANGUAGES}
    home = {person: rng.choice(cities) for person in people}
    job = {person: rng.choice(JOBS) for person in people}
    return World(people, cities, home, job, dictionary)


def _draw_word(rng: random.Random, n_syllables: int, taken: set[str]) -> str:
    while True:
        word = "".join(rng.sample(_SYLLABLES, n_syllables))
        if word not in taken and word not in LANGUAGES:
            taken.add(word)
            return word
