"""MMLU: a CSV of one subject, with the question, its options, and the letter of the right one."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.benchmarks.cells import LETTERS, find_letter, name_category
from audit_core.benchmarks.item import BadRow, Cells, Item, MatchRule, RawFile

_COLUMNS = 6


@dataclass(frozen=True)
class Mmlu:
    """Six cells a line; mirrors add a header and write the answer as 0 to 3. Source: github.com/hendrycks/test."""

    name: str = "mmlu"
    title: str = "MMLU"
    question: str = "Does the model choose the right one of four options?"
    match: MatchRule = MatchRule.TEXT

    def fits(self, file: RawFile) -> bool:
        return file.is_csv and any(len(row) == _COLUMNS for _, row in file.rows[:3])

    def read(self, row: Cells, place: str, file: RawFile) -> Item:
        if not isinstance(row, list) or len(row) != _COLUMNS:
            raise BadRow(f"{len(row)} cells", f"give {_COLUMNS}: question, four options, answer")
        question, *options, answer = row
        is_header = place == file.rows[0][0] and answer.strip().casefold() in ("answer", "target", "label")
        if is_header:
            raise BadRow("the header", "no change is needed")
        letters = "0123" if answer.strip() in "0123" else LETTERS[:4]
        return Item(place, question, name_category(file.name), tuple(options), find_letter(answer, letters))

    def finish(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        return items


PLUGIN = Mmlu()
