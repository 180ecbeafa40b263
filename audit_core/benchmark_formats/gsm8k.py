"""GSM8K: word problems whose answer ends in `#### number`."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.benchmarks.cells import have_fields, read_text
from audit_core.benchmarks.item import BadRow, Cells, Item, MatchRule, RawFile


@dataclass(frozen=True)
class Gsm8k:
    """JSON Lines with `question` and `answer`; source: github.com/openai/grade-school-math."""

    name: str = "gsm8k"
    title: str = "GSM8K"
    question: str = "Does the model write the right number?"
    match: MatchRule = MatchRule.NUMBER

    def fits(self, file: RawFile) -> bool:
        return have_fields(file, "question", "answer") and any(
            isinstance(row, dict) and "####" in str(row.get("answer")) for _, row in file.rows[:3]
        )

    def read(self, row: Cells, place: str, file: RawFile) -> Item:
        answer = read_text(row, "answer")
        if "####" not in answer:
            raise BadRow("the answer has no `####`", "end it in `#### ` and the number")
        return Item(place, read_text(row, "question"), references=(answer.rsplit("####", 1)[1].strip(),))

    def finish(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        return items


PLUGIN = Gsm8k()
