"""MATH: competition problems with a worked solution whose answer is in a box."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.benchmarks.cells import have_fields, read_text
from audit_core.benchmarks.exact_match import find_boxed
from audit_core.benchmarks.item import BadRow, Cells, Item, MatchRule, RawFile


@dataclass(frozen=True)
class CompetitionMath:
    """JSON Lines with `problem`, `solution` and perhaps `answer`, `type` or `subject`; Hendrycks et al. 2021, arXiv:2103.03874."""

    name: str = "competition_math"
    title: str = "MATH"
    question: str = "Does the model write the right formula?"
    match: MatchRule = MatchRule.FORMULA

    def fits(self, file: RawFile) -> bool:
        return have_fields(file, "problem") and (have_fields(file, "solution") or have_fields(file, "answer"))

    def read(self, row: Cells, place: str, file: RawFile) -> Item:
        assert isinstance(row, dict)
        answer = read_text(row, "answer") if "answer" in row else find_boxed(read_text(row, "solution"))
        if not answer:
            raise BadRow("no `answer`, and no `\\boxed{}` in the solution", "give the answer")
        category = next((str(row[name]) for name in ("type", "subject") if isinstance(row.get(name), str)), "")
        return Item(place, read_text(row, "problem"), category, references=(answer,))

    def finish(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        return items


PLUGIN = CompetitionMath()
