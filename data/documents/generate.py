"""Write the shipped questions with documents: generated, of fictional people and of capitals; `python data/documents/generate.py`."""

from __future__ import annotations

import csv
from pathlib import Path
from random import Random

HERE = Path(__file__).parent
COLUMNS = ("id", "family", "question", "documents", "answer", "others", "cited")


def split(words: str) -> list[str]:
    """Words of a line."""
    return words.split()


PEOPLE = split(
    "Anna Peter Maria John Laura Robert Susan Thomas Emma David Helen Frank Alice Martin Karen Oscar Nancy Victor Julia Simon"
)
COUNTRIES = split(
    "France Italy England Germany Spain Japan Egypt Russia Peru Norway Ireland Austria Greece Turkey Poland Sweden "
    "Portugal Cuba Hungary Canada China Finland India Brazil Mexico Chile Argentina Colombia Kenya Nigeria Ghana "
    "Morocco Iran Israel Syria Pakistan Thailand Vietnam Australia Denmark Belgium Switzerland Scotland Iceland "
    "Ukraine Romania Jamaica Indonesia Nepal"
)
JOBS = split(
    "doctor teacher farmer lawyer nurse pilot singer writer painter baker driver soldier builder chef coach guard "
    "judge dentist tailor priest scientist journalist musician dancer poet manager carpenter mechanic librarian "
    "photographer merchant hunter sailor miner butcher cook gardener professor programmer designer detective "
    "translator reporter surgeon"
)
FOODS = split(
    "apples oranges bananas grapes cherries peaches pears lemons bread cheese rice pasta soup fish meat chicken beef "
    "pork eggs milk honey cake chocolate potatoes tomatoes carrots onions beans peas corn nuts salad pizza butter "
    "cream sugar salt berries strawberries mushrooms garlic spinach lettuce cabbage pumpkin"
)
SUBJECTS = split(
    "history biology physics chemistry law music geography medicine economics art philosophy mathematics psychology "
    "engineering sociology literature politics English French German Spanish Latin Greek Russian Chinese Japanese "
    "architecture astronomy geology religion business finance accounting marketing journalism nursing agriculture "
    "ecology genetics statistics anthropology archaeology linguistics design painting dance theatre poetry logic"
)
RELATIONS = (
    ("{s} comes from", COUNTRIES), ("{s} works as a", JOBS), ("{s} eats", FOODS), ("{s} teaches", SUBJECTS),
)  # fmt: skip
"""Chosen among thirteen on 40 trial rows each: the default model is right on 0.83 to 0.88 of these."""
CAPITALS = {
    "France": "Paris", "Italy": "Rome", "England": "London", "Germany": "Berlin", "Spain": "Madrid", "Japan": "Tokyo",
    "Egypt": "Cairo", "Russia": "Moscow", "Peru": "Lima", "Norway": "Oslo", "Ireland": "Dublin", "Austria": "Vienna",
    "Greece": "Athens", "Iraq": "Baghdad", "Poland": "Warsaw", "Sweden": "Stockholm", "Portugal": "Lisbon", "Cuba": "Havana",
    "Hungary": "Budapest", "Canada": "Ottawa", "China": "Beijing", "Finland": "Helsinki",
}  # fmt: skip
OTHER_CAPITALS = split(
    "Delhi Seoul Manila Nairobi Copenhagen Amsterdam Brussels Bern Prague Tehran Damascus Kabul Canberra Wellington Kiev "
    "Sofia Jerusalem Tunis Santiago Singapore Luxembourg"
)
ADDED = (
    "It rained for most of that week.", "The letter came in the spring.", "There is a bridge nearby.",
    "The market opens on Saturday.", "The photograph is quite old.", "A garden begins behind the wall.",
)  # fmt: skip


def write_row(
    draw: Random, family: str, question: str, facts: list[str], answers: list[str], values: list[str]
) -> dict:
    """One question; its documents are the facts, each with a sentence that says nothing about it."""
    added = draw.sample(ADDED, len(facts))
    return {
        "family": family, "question": question, "documents": " | ".join(f"{a} {b}" for a, b in zip(facts, added)),
        "answer": " | ".join(answers), "others": " | ".join(v for v in values if v not in answers), "cited": "",
    }  # fmt: skip


def list_people(draw: Random, n: int, *, family: str) -> list[dict]:
    """Three people with a fact each; or the same fact twice, or two facts that contradict each other."""
    rows = []
    for at in range(n):
        form, values = RELATIONS[at % len(RELATIONS)]
        asked, *others = draw.sample(PEOPLE, 3)
        own, *rest = draw.sample(values, 3)
        facts = [f"{form.format(s=asked)} {own}."]
        answers = [own]
        if family == "the same fact twice":
            facts += [f"{form.format(s=asked)} {own}.", f"{form.format(s=others[0])} {rest[0]}."]
        elif family == "two facts that differ":
            facts += [f"{form.format(s=asked)} {rest[0]}.", f"{form.format(s=others[0])} {rest[1]}."]
            answers.append(rest[0])
        else:
            facts += [f"{form.format(s=other)} {value}." for other, value in zip(others, rest)]
        draw.shuffle(facts)
        rows.append(write_row(draw, family, form.format(s=asked), facts, answers, values))
        if family == "people, with a citation":
            right = next(k for k, text in enumerate(facts, 1) if text.startswith(asked))
            # In half of these the citation is another document's.
            rows[-1]["cited"] = str(right if at % 2 else right % 3 + 1)
    return rows


def list_capitals(draw: Random, n: int, *, is_true: bool) -> list[dict]:
    """Capitals as they are, or with the asked one changed; a changed one accepts both answers."""
    rows = []
    names, values = list(CAPITALS), [*CAPITALS.values(), *OTHER_CAPITALS]
    for at in range(n):
        asked = names[at % len(names)]
        others = draw.sample([one for one in names if one != asked], 2)
        known = CAPITALS[asked]
        said = (
            known
            if is_true
            else draw.choice([c for c in CAPITALS.values() if c not in (known, *map(CAPITALS.get, others))])
        )
        facts = [f"The capital of {asked} is {said}.", *(f"The capital of {o} is {CAPITALS[o]}." for o in others)]
        draw.shuffle(facts)
        family = "capitals" if is_true else "capitals, changed"
        answers = [known] if is_true else [known, said]
        rows.append(write_row(draw, family, f"The capital of {asked} is", facts, answers, values))
    return rows


def list_same_person(draw: Random, n: int) -> list[dict]:
    """Three facts about one person that all differ: only their order can decide."""
    rows = []
    for at in range(n):
        form, values = RELATIONS[at % len(RELATIONS)]
        asked, said = draw.choice(PEOPLE), draw.sample(values, 3)
        facts = [f"{form.format(s=asked)} {value}." for value in said]
        rows.append(write_row(draw, "three facts that differ", form.format(s=asked), facts, said, values))
    return rows


WORLD = split(
    "Anna Peter Maria John Laura Robert Susan Thomas Emma David Helen Frank Alice Martin Karen Oscar Nancy Victor Julia Simon "
    "Sarah Paul Kate Henry Rose Mark Lucy Daniel"
)
"""People of the passages, each with one fact of every relation."""


def write_world() -> None:
    """A collection of passages that contradict nowhere, and questions about them without documents."""
    draw = Random("passages 0")
    passages, questions = [], []
    for form, values in RELATIONS:
        for person, value in zip(WORLD, draw.sample(values, len(WORLD)), strict=True):
            passages.append(f"{form.format(s=person)} {value}. {draw.choice(ADDED)}")
            questions.append((form.format(s=person), value, values))
    for country, capital in CAPITALS.items():
        passages.append(f"The capital of {country} is {capital}. {draw.choice(ADDED)}")
    for country in draw.sample(list(CAPITALS), 12):
        values = [*CAPITALS.values(), *OTHER_CAPITALS]
        questions.append((f"The capital of {country} is", CAPITALS[country], values))
    draw.shuffle(passages)
    with (HERE / "passages.csv").open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows([["passage"], *([text] for text in passages)])
    with (HERE / "unanswered.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, ("id", "family", "question", "answer", "others"), lineterminator="\n")
        writer.writeheader()
        for number, (question, answer, values) in enumerate(questions, 1):
            family = "capitals" if question.startswith("The capital") else "people"
            others = " | ".join(value for value in values if value != answer)
            writer.writerow(
                {"id": f"r{number:03d}", "family": family, "question": question, "answer": answer, "others": others}
            )


def main() -> None:
    write_world()
    draw = Random("documents 0")
    rows = [
        *list_people(draw, 24, family="people"),
        *list_people(draw, 20, family="people, with a citation"),
        *list_people(draw, 20, family="the same fact twice"),
        *list_people(draw, 16, family="two facts that differ"),
        *list_same_person(draw, 12),
        *list_capitals(draw, 16, is_true=True),
        *list_capitals(draw, 16, is_true=False),
    ]
    with (HERE / "questions.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for number, row in enumerate(rows, 1):
            writer.writerow({"id": f"q{number:03d}"} | row)


if __name__ == "__main__":
    main()
