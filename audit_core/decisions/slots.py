"""Slots of a decision: their levels, which of them may change and in which direction, and which are protected."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from audit_core.errors import Refused

Row = tuple[int, ...]
"""One applicant: the index of each slot's level."""
MAX_SLOTS, MAX_LEVELS, MAX_CELLS, MAX_TEXT, MAX_PHRASE = 10, 8, 3_000, 60, 120
TOO_GENERAL = ("internal standard", "internal polic", "qualifying score", "credit scoring system", "minimum score")
"""Words that name no factor: insufficient as a reason (12 CFR 1002.9(b)(2))."""
_PHRASE = re.compile(r",\s*reason:")


class Change(StrEnum):
    """How a person could change the value of a slot."""

    NONE = "stays"
    RISE = "may rise"
    FALL = "may fall"
    ANY = "may change"


@dataclass(frozen=True)
class Slot:
    """One fact about an applicant."""

    name: str
    levels: tuple[str, ...]
    is_ordered: bool
    change: Change = Change.NONE
    is_protected: bool = False
    phrase: str = ""
    """How the owner's statement of reasons words this slot; empty for its name."""

    def allows(self, before: int, after: int) -> bool:
        """Whether a person could move from one level to another; staying is always allowed."""
        return (
            before == after
            or {
                Change.NONE: False,
                Change.RISE: after > before,
                Change.FALL: after < before,
                Change.ANY: True,
            }[self.change]
        )

    def distance(self, before: int, after: int) -> float:
        """Steps between two levels as a share of the scale; 1 between different levels without an order."""
        return abs(after - before) / (len(self.levels) - 1) if self.is_ordered else float(before != after)

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name, "levels": list(self.levels), "is_ordered": self.is_ordered, "change": self.change.value,
            "is_protected": self.is_protected, **({"phrase": self.phrase} if self.phrase else {}),
        }  # fmt: skip


def parse_slots(text: str) -> tuple[Slot, ...]:
    """Slots from lines such as `income = low < middle < high, may rise` or `gender = man | woman, protected`.

    Lines end at a line break or a semicolon. `<` orders the levels; `|` does not. A line may end in the words of a statement of
    reasons, as in `income = low < middle < high, may rise, reason: income insufficient for the amount requested`.

    Raises:
        Refused: a line that does not parse, or more than is bounded.
    """
    lines = [line.strip() for line in text[:20_000].replace(";", "\n").split("\n") if line.strip()]
    if not 2 <= len(lines) <= MAX_SLOTS:
        raise Refused(
            f"{len(lines)} slots.", wanted=f"2 to {MAX_SLOTS} lines, a slot each.", remedy="change the slots."
        )
    slots = tuple(_parse_slot(line) for line in lines)
    names = [slot.name for slot in slots]
    if len(set(names)) < len(names):
        raise Refused("Two slots with one name.", wanted="different names.", remedy="rename one slot.")
    cells = 1
    for slot in slots:
        cells *= len(slot.levels)
    if cells > MAX_CELLS:
        raise Refused(
            f"{cells:,} combinations of levels.", wanted=f"at most {MAX_CELLS:,}: every one is run.",
            remedy="join levels, or leave out a slot.",
        )  # fmt: skip
    return slots


def _parse_slot(line: str) -> Slot:
    line, *said = _PHRASE.split(line, maxsplit=1)
    name, equals, rest = line.partition("=")
    levels_text, *marks = (part.strip() for part in rest.split(","))
    is_ordered = "<" in levels_text
    levels = tuple(level.strip() for level in levels_text.split("<" if is_ordered else "|"))
    known = {change.value: change for change in Change}
    unknown = [mark for mark in marks if mark not in known and mark != "protected"]
    changes = [known[mark] for mark in marks if mark in known]
    is_bad = (
        not equals or not name.strip() or not 2 <= len(levels) <= MAX_LEVELS or len(set(levels)) < len(levels)
        or not all(levels) or unknown or len(changes) > 1 or max(map(len, (name, *levels))) > MAX_TEXT
        or any(sign in text for sign in "{}" for text in (name, *levels))
    )  # fmt: skip
    change = changes[0] if changes else Change.NONE
    if is_bad or (change in (Change.RISE, Change.FALL) and not is_ordered):
        raise Refused(
            f"Slot {line[:80]!a}.",
            wanted=f"`name = level < level, may rise`: 2 to {MAX_LEVELS} different levels of at most {MAX_TEXT} characters, "
            "`<` where they may rise or fall, `|` otherwise; then may rise, may fall, may change or protected.",
            remedy="change this line.",
        )
    phrase = said[0].strip() if said else ""
    if said:
        _check_phrase(phrase, is_protected="protected" in marks)
    return Slot(name.strip(), levels, is_ordered, change, "protected" in marks, phrase)


def _check_phrase(phrase: str, *, is_protected: bool) -> None:
    """Refuse words that no statement of reasons may use, a long or empty phrase, and one for a slot that is never a reason.

    Source: 12 CFR 1002.9(b)(2): internal standards or policies, or a missed score, are insufficient reasons.
    """
    too_general = next((words for words in TOO_GENERAL if words in phrase.lower()), "")
    if is_protected or too_general or not 3 <= len(phrase) <= MAX_PHRASE or any(sign in phrase for sign in "{}"):
        raise Refused(
            f"The reason {phrase[:80]!a}{' of a protected slot' if is_protected else ''}.",
            wanted=f"a specific phrase of 3 to {MAX_PHRASE} characters for a slot that is not protected, without: "
            f"{', '.join(TOO_GENERAL)}.",
            remedy="name the factor itself.",
        )
