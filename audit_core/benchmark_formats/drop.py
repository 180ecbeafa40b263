"""DROP: questions about a passage, answered by a span or a number."""

from __future__ import annotations

import re
from dataclasses import dataclass

from audit_core.benchmarks.cells import have_fields, read_text
from audit_core.benchmarks.item import BadRow, Cells, Item, MatchRule, RawFile

_PARTS = re.compile(r"^Passage:\s*(.*?)\nQuestion:\s*(.*?)\nAnswer:\s*$", flags=re.DOTALL)


@dataclass(frozen=True)
class Drop:
    """JSON Lines with `context` (passage and question), `completion` and `ref_text` (references joined by `|`).

    Source: Dua et al. 2019, arXiv:1903.00161, in the form of github.com/ShengranHu/ADAS.
    """

    name: str = "drop"
    title: str = "DROP"
    question: str = "Does the model write the right span or number of a passage?"
    match: MatchRule = MatchRule.TEXT

    def fits(self, file: RawFile) -> bool:
        return have_fields(file, "context") and (have_fields(file, "ref_text") or have_fields(file, "completion"))

    def read(self, row: Cells, place: str, file: RawFile) -> Item:
        parts = _PARTS.match(read_text(row, "context"))
        if parts is None:
            raise BadRow(
                "`context` is not `Passage: … Question: … Answer:`", "write the three parts on lines of their own"
            )
        answers = tuple(dict.fromkeys(text.strip() for text in read_text(row, "ref_text", "completion").split("|")))
        return Item(place, parts[2], references=answers, passage=parts[1])

    def finish(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        return items


PLUGIN = Drop()
