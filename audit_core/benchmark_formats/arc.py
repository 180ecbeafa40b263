"""ARC: science questions with options, as published or reworded as instructions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from audit_core.benchmarks.cells import LETTERS, find_letter, have_fields, name_category, read_text
from audit_core.benchmarks.item import BadRow, Cells, Item, MatchRule, RawFile

_ASKS = re.compile(r"^Please choose the correct answer to the question:\s*", flags=re.IGNORECASE)
_OPTION = re.compile(r"Answer(\d+):")


@dataclass(frozen=True)
class Arc:
    """JSON with `question.stem` and `question.choices`, `choices.text` and `choices.label`, or `instruction` and `answer`.

    Source: Clark et al. 2018, arXiv:1803.05457; the instructions are of github.com/AGI-Edgerunners/LLM-Adapters.
    """

    name: str = "arc"
    title: str = "ARC"
    question: str = "Does the model choose the right option of a science question?"
    match: MatchRule = MatchRule.TEXT

    def fits(self, file: RawFile) -> bool:
        if have_fields(file, "instruction", "answer"):
            first = file.rows[0][1]
            return isinstance(first, dict) and "Answer1:" in str(first["instruction"])
        return have_fields(file, "question", "answerKey")

    def read(self, row: Cells, place: str, file: RawFile) -> Item:
        assert isinstance(row, dict)
        if "instruction" in row:
            return _read_instruction(row, place, name_category(file.name))
        return _read_published(row, place, name_category(file.name))

    def finish(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        return items


def _read_instruction(row: dict[str, object], place: str, category: str) -> Item:
    text = _ASKS.sub("", read_text(row, "instruction"))
    text = text.rsplit("Answer format:", 1)[0]
    question, *parts = _OPTION.split(text)
    options = tuple(part.strip() for part in parts[1::2])
    numbers = [f"answer{number}" for number in parts[0::2]]
    return Item(place, question.strip(), category, options, find_letter(read_text(row, "answer"), numbers))


def _read_published(row: dict[str, object], place: str, category: str) -> Item:
    question = row.get("question")
    if isinstance(question, dict):
        stem, choices = read_text(question, "stem"), question.get("choices")
        found = [(one.get("label"), one.get("text")) for one in choices] if _is_objects(choices) else []  # type: ignore[union-attr]
    else:
        stem, choices = read_text(row, "question"), row.get("choices")
        lists = [choices.get(name) for name in ("label", "text")] if isinstance(choices, dict) else [None]
        found = list(zip(*lists, strict=False)) if all(isinstance(one, list) for one in lists) else []
    if not found or not all(isinstance(label, str) and isinstance(text, str) for label, text in found):
        raise BadRow("no `choices` with labels and texts", "write them as published")
    labels, texts = [str(label) for label, _ in found], tuple(str(text) for _, text in found)
    name = str(row["id"]) if isinstance(row.get("id"), str) else place
    if isinstance(row.get("category"), str):
        category = str(row["category"])
    key = read_text(row, "answerKey")
    if key.strip() not in labels and key.strip() in LETTERS:
        raise BadRow(f"the answer {key[:20]!r} names no option", f"name one of {', '.join(labels)}")
    return Item(name[:80], stem, category, texts, find_letter(key, labels))


def _is_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


PLUGIN = Arc()
