"""BIG-Bench Hard: one task a file, with listed options, a few fixed answers, or answers to write."""

from __future__ import annotations

from dataclasses import dataclass, replace

from audit_core.benchmarks.cells import have_fields, list_lettered, name_category, read_text
from audit_core.benchmarks.item import Cells, Item, MatchRule, RawFile

FIXED = 5
"""A task with at most this many different answers is a choice between them."""
_TIMES = 5
"""And at least this many items an answer."""


@dataclass(frozen=True)
class BigBenchHard:
    """JSON with `examples`, each with `input` and `target`; source: github.com/suzgunmirac/BIG-Bench-Hard."""

    name: str = "bbh"
    title: str = "BIG-Bench Hard"
    question: str = "Does the model give the target of the task?"
    match: MatchRule = MatchRule.TEXT

    def fits(self, file: RawFile) -> bool:
        return have_fields(file, "input", "target")

    def read(self, row: Cells, place: str, file: RawFile) -> Item:
        question, target = read_text(row, "input"), read_text(row, "target").strip()
        category = name_category(file.name)
        labels = tuple(f"({letter})" for letter in list_lettered(question))
        if labels:
            right = labels.index(target) if target in labels else -1
            return Item(place, question, category, labels, right, names_options=True)
        return Item(place, question, category, references=(target,))

    def finish(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        written = [item.references[0] for item in items if item.references]
        answers = tuple(sorted(set(written)))
        if not 2 <= len(answers) <= FIXED or len(written) < _TIMES * len(answers):
            return items
        return tuple(
            replace(item, options=answers, right=answers.index(item.references[0]), references=(), names_options=True)
            if item.references
            else item
            for item in items
        )


PLUGIN = BigBenchHard()
