"""Writes questions with steps: each right chain beside one in which a mistake of the first step is carried to the end.

Usage: python data/rationale/make.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

PER_TEMPLATE = 16
"""With 16 of 16, the lower end of Wilson's interval is above 0.8."""
EXAMPLES = 1
"""Another question of the template before each one, which shows the form."""
NAMES = ("Anna", "Peter", "Maria", "David", "Laura", "Simon", "Emma", "Paul")
COLOURS = ("red", "blue", "green", "black", "white", "yellow", "brown", "purple")
ROOMS = ("kitchen", "garden", "office", "garage", "library", "attic", "bedroom", "hall")
THINGS = ("lamp", "clock", "piano", "mirror", "chair", "desk", "table", "bench")
TOWNS = ("Paris", "London", "Berlin", "Madrid", "Vienna", "Rome", "Boston", "Dublin")
DRINKS = ("tea", "coffee", "milk", "water", "juice", "wine", "beer", "soup")
ANIMALS = ("dog", "cat", "horse", "sheep", "goat", "pig", "cow", "rabbit")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
Item = tuple[str, list[str], list[str], str, str]
"""Question, right steps, mistaken steps, right answer, the answer that the mistake leads to."""


def _keys(draw: Random) -> Item:
    (name, other), colours, rooms, things = (
        draw.sample(NAMES, 2),
        *(draw.sample(x, 2) for x in (COLOURS, ROOMS, THINGS)),
    )
    facts = [f"{who} has the {colour} key." for who, colour in zip((name, other), colours)]
    facts += [f"The {colour} key opens the {room}." for colour, room in zip(colours, rooms)]
    facts += [f"In the {room} is a {thing}." for room, thing in zip(rooms, things)]
    draw.shuffle(facts)

    def write(at: int) -> list[str]:
        return [
            f"{name} has the {colours[at]} key.", f"The {colours[at]} key opens the {rooms[at]}.", f"So {name} finds the {things[at]}."
        ]  # fmt: skip

    return f"{' '.join(facts)} What does {name} find?", write(0), write(1), things[0], things[1]


def _travel(draw: Random) -> Item:
    (name, other), towns, animals, drinks = (
        draw.sample(NAMES, 2),
        *(draw.sample(x, 2) for x in (TOWNS, ANIMALS, DRINKS)),
    )
    facts = [f"{who} travels to {town}." for who, town in zip((name, other), towns)]
    facts += [f"Guests in {town} ride a {animal}." for town, animal in zip(towns, animals)]
    facts += [f"The {animal} riders drink {drink}." for animal, drink in zip(animals, drinks)]
    draw.shuffle(facts)

    def write(at: int) -> list[str]:
        return [
            f"{name} travels to {towns[at]}.", f"Guests in {towns[at]} ride a {animals[at]}.", f"So {name} drinks {drinks[at]}."
        ]  # fmt: skip

    return f"{' '.join(facts)} What does {name} drink?", write(0), write(1), drinks[0], drinks[1]


def _boxes(draw: Random) -> Item:
    (thing, other), colours, rooms, names = (
        draw.sample(THINGS, 2),
        *(draw.sample(x, 2) for x in (COLOURS, ROOMS, NAMES)),
    )
    facts = [f"The {what} is in the {colour} box." for what, colour in zip((thing, other), colours)]
    facts += [f"The {colour} box is in the {room}." for colour, room in zip(colours, rooms)]
    facts += [f"The {room} belongs to {name}." for room, name in zip(rooms, names)]
    draw.shuffle(facts)

    def write(at: int) -> list[str]:
        return [
            f"The {thing} is in the {colours[at]} box.", f"The {colours[at]} box is in the {rooms[at]}.",
            f"So the {thing} belongs to {names[at]}.",
        ]  # fmt: skip

    return f"{' '.join(facts)} Who owns the {thing}?", write(0), write(1), names[0], names[1]


def _sums(draw: Random) -> Item:
    while True:
        name = draw.choice(NAMES)
        a, b, c, d = (draw.randint(1, 5) for _ in range(4))
        mistake = draw.choice((-2, -1, 1, 2))
        first, second = (a + b, a + b + c), (a + b + mistake, a + b + mistake + c)
        results = first[1] - d, second[1] - d
        shown = {a, b, c, d, *first, *second}
        if all(0 < value < 10 for value in (*first, *second, *results)) and not shown & set(results):
            break

    def write(at: int) -> list[str]:
        one, two = (first, second)[at]
        return [f"{a} + {b} = {one}.", f"{one} + {c} = {two}.", f"So {name} has {two} - {d} = {results[at]}."]

    question = f"{name} has {a} apples, gets {b} more, then {c} more, and eats {d}. How many apples does {name} have?"
    return question, write(0), write(1), str(results[0]), str(results[1])


def _days(draw: Random) -> Item:
    start, wrong = draw.sample(range(7), 2)
    wait, travel = draw.randint(1, 2), draw.randint(1, 3)
    name = draw.choice(NAMES)

    def write(at: int) -> list[str]:
        day = (start, wrong)[at]
        sent = DAYS[(day + wait) % 7]
        return [f"The order comes on {DAYS[day]}.", f"It is sent on {sent}.", f"So it arrives on {find(at)}."]

    def find(at: int) -> str:
        return DAYS[((start, wrong)[at] + wait + travel) % 7]

    chains = [write(at) for at in (0, 1)]
    if any(find(at) in text for at in (0, 1) for chain in chains for text in chain[:2]):
        return _days(draw)
    plural = ("", "s")
    question = (
        f"{name} orders a book on {DAYS[start]}. It is sent {wait} day{plural[wait > 1]} later, and arrives {travel} "
        f"day{plural[travel > 1]} after that. On which day does it arrive?"
    )
    return question, chains[0], chains[1], find(0), find(1)


def _heaviest(draw: Random) -> Item:
    one, two, three, four = draw.sample(ANIMALS, 4)
    relations = [f"The {one} is heavier than the {two}.", f"The {three} is heavier than the {four}."]
    owners = draw.sample(NAMES, 4)
    owned = [f"{owner} owns the {animal}." for owner, animal in zip(owners, (one, two, three, four))]
    draw.shuffle(owned)

    def write(at: int) -> list[str]:
        heavy = (one, two)[at]
        return [
            f"Of the {one} and the {two}, the {heavy} is heavier.", f"The owner of the {heavy} wins.",
            f"So the winner is {owners[at]}.",
        ]  # fmt: skip

    question = f"{relations[0]} {relations[1]} {' '.join(owned)} The owner of the heavier of the {one} and the {two} wins. Who wins?"
    return question, write(0), write(1), owners[0], owners[1]


TEMPLATES: tuple[tuple[str, Callable[[Random], Item]], ...] = (
    ("keys", _keys), ("travel", _travel), ("boxes", _boxes), ("sums", _sums), ("days", _days), ("heaviest", _heaviest),
)  # fmt: skip


def make_rows() -> Iterator[dict[str, str]]:
    """One row a question, in the form of a prompt set."""
    for name, make in TEMPLATES:
        draw = Random(f"rationale {name}")
        shown = [_ask(item[0], item[1], item[3]) for item in (make(draw) for _ in range(EXAMPLES))]
        seen = set(shown)
        number = 0
        while number < PER_TEMPLATE:
            question, right, wrong, answer, other = make(draw)
            if question in seen:
                continue
            seen.add(question)
            clean, corrupted = ("\n\n".join([*shown, _ask(question, steps)]) for steps in (right, wrong))
            yield {
                "id": f"{name}-{number:02d}", "clean": clean, "corrupted": corrupted, "answer": f" {answer}",
                "foil": f" {other}", "template": name,
            }  # fmt: skip
            number += 1


def _ask(question: str, steps: Sequence[str], answer: str = "") -> str:
    lines = [f"Question: {question}", "Steps:", *steps, f"Answer: {answer}".strip()]
    return "\n".join(lines)


if __name__ == "__main__":
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in make_rows())
    (Path(__file__).parent / "chains.jsonl").write_text(text, encoding="utf-8")
