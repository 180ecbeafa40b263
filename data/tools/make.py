"""Writes the shipped requests: 24 for each of the three tools. Run in this folder: `python make.py`."""

import csv
from pathlib import Path
from random import Random

N = 24
UNITS = [
    ("metres", "centimetres"),
    ("kilometres", "metres"),
    ("feet", "inches"),
    ("yards", "feet"),
    ("hours", "minutes"),
    ("minutes", "seconds"),
    ("days", "hours"),
    ("weeks", "days"),
    ("kilograms", "grams"),
    ("pounds", "ounces"),
]
FIELDS = ("capital", "language", "currency")
draw = Random(20261129)
with Path("countries.csv").open(encoding="utf-8") as file:
    COUNTRIES = [row["country"] for row in csv.DictReader(file)]


def ask_calculator(at: int) -> str:
    a, b = draw.randint(11, 60), draw.randint(11, 39)
    small, one = draw.randint(3, 9), draw.randint(11, 30)
    return (f"What is {a} plus {b}?", f"How much is {a + b} minus {b}?", f"How much is {one} times {small}?")[at % 3]


def ask_converter(at: int) -> str:
    (of, to), amount = UNITS[at % len(UNITS)], draw.randint(2, 19)
    return f"How many {to} are {amount} {of}?" if at % 2 else f"Change {amount} {of} into {to}."


def ask_lookup(at: int) -> str:
    field, country = FIELDS[at % 3], draw.choice(COUNTRIES)
    return f"What is the {field} of {country}?" if at % 2 else f"Name the {field} of {country}."


rows: list[tuple[str, str]] = []
seen: set[str] = set()
for name, ask in (("calculator", ask_calculator), ("converter", ask_converter), ("lookup", ask_lookup)):
    while sum(row[0].startswith(name) for row in rows) < N:
        at = sum(row[0].startswith(name) for row in rows)
        text = ask(at)
        if text not in seen:
            seen.add(text)
            rows.append((f"{name}-{at:02d}", text))
with Path("requests.csv").open("w", encoding="utf-8", newline="") as file:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("id", "request"))
    writer.writerows(rows)
