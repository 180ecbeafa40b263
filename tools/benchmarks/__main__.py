"""Write `data/benchmarks/own_facts.jsonl`: `python -m tools.benchmarks`. The run is recorded by the command `benchmark`."""

from __future__ import annotations

import json
import random
from pathlib import Path

OUT = Path(__file__).resolve().parents[2] / "data" / "benchmarks" / "own_facts.jsonl"
OPTIONS = 4
FACTS: dict[str, tuple[str, str]] = {
    "capitals": (
        "What is the capital of {}?",
        "France Paris, Germany Berlin, Italy Rome, Spain Madrid, Japan Tokyo, Russia Moscow, Egypt Cairo, Greece Athens, "
        "England London, China Beijing",
    ),
    "opposites": (
        "What is the opposite of {}?",
        "hot cold, up down, big small, day night, open closed, wet dry, rich poor, early late, left right, strong weak",
    ),
    "young animals": (
        "What is a young {} called?",
        "dog puppy, cat kitten, cow calf, horse foal, sheep lamb, bear cub, duck duckling, pig piglet, goat kid, deer fawn",
    ),
    "colours": (
        "What colour is {}?",
        "grass green, snow white, coal black, blood red, chocolate brown, gold yellow, ash grey, lavender purple, "
        "sky blue, salmon pink",
    ),
    "order": (
        "What comes after {}?",
        "Monday Tuesday, Wednesday Thursday, Friday Saturday, January February, March April, May June, July August, "
        "September October, three four, seven eight",
    ),
    "languages": (
        "Which language is spoken in {}?",
        "France French, Germany German, Italy Italian, Spain Spanish, Japan Japanese, Russia Russian, Greece Greek, "
        "Sweden Swedish, Brazil Portuguese, China Chinese",
    ),
}
"""Category → question, and pairs of subject and answer; common knowledge, written for this project."""


def make_items(seed: int = 0) -> list[dict[str, object]]:
    """One item a fact, in ARC's published form: the answer among three other answers of its category, in seeded order."""
    rng, items = random.Random(seed), []
    for category, (question, written) in FACTS.items():
        facts = [fact.split() for fact in written.split(", ")]
        for number, (subject, answer) in enumerate(facts, start=1):
            wrong = rng.sample([other for _, other in facts if other != answer], OPTIONS - 1)
            options = rng.sample([answer, *wrong], OPTIONS)
            choices = {"text": options, "label": ["A", "B", "C", "D"]}
            items.append(
                {
                    "id": f"{category}-{number:02}".replace(" ", "-"),
                    "category": category,
                    "question": question.format(subject),
                    "choices": choices,
                    "answerKey": "ABCD"[options.index(answer)],
                }
            )
    return items


if __name__ == "__main__":
    OUT.write_text("".join(json.dumps(item) + "\n" for item in make_items()))
