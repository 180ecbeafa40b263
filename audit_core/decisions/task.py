"""A decision task: rows of a CSV file, a template that turns a row into a prompt, and the two answers."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from audit_core.decisions.slots import Row, Slot, parse_slots
from audit_core.errors import Refused

MAX_BYTES, MAX_ROWS, MAX_TEMPLATE = 1_000_000, 400, 2_000
_MIN_ROWS = 40


@dataclass(frozen=True)
class DecisionTask:
    """Applicants, and how a model is asked to decide about each."""

    name: str
    template: str
    yes: str
    no: str
    slots: tuple[Slot, ...]
    rows: tuple[Row, ...]
    outcomes: tuple[bool, ...]
    """What is known to be right, per row: whether the answer is yes; empty where the file has no such column."""
    n_in_file: int
    sha256: str
    """Digest of the file's bytes."""

    def fill(self, row: Row) -> str:
        """The prompt about one applicant."""
        text = self.template
        for slot, level in zip(self.slots, row, strict=True):
            text = text.replace("{" + slot.name + "}", slot.levels[level])
        return text

    def index(self, name: str) -> int:
        return [slot.name for slot in self.slots].index(name)

    @property
    def protected(self) -> tuple[int, ...]:
        return tuple(at for at, slot in enumerate(self.slots) if slot.is_protected)

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name, "template": self.template, "yes": self.yes, "no": self.no, "sha256": self.sha256,
            "slots": [slot.to_json() for slot in self.slots], "n_rows": len(self.rows), "outcomes": bool(self.outcomes),
        }  # fmt: skip


def read_task(
    raw: bytes, *, name: str, template: str, slots: str, yes: str = "Yes", no: str = "No", outcome: str = ""
) -> DecisionTask:
    """A task from the bytes of a CSV file, whose columns have the names of the slots.

    Args:
        slots: see `parse_slots`.
        outcome: column with the right answer, `yes` or `no` as these answers are written; empty for none.

    Raises:
        Refused: the file, the template or a slot cannot be used.
    """
    found = parse_slots(slots)
    _check_template(template, found, yes, no)
    table = _read_rows(raw)
    wanted = [slot.name for slot in found] + ([outcome] if outcome else [])
    if missing := [column for column in wanted if column not in table[0]]:
        raise Refused(
            f"No column {missing[0]!a}.", wanted=f"columns {', '.join(wanted)!a}.", remedy="rename the columns."
        )  # fmt: skip
    few = table if len(table) <= MAX_ROWS else [table[at] for at in _spread(len(table), MAX_ROWS)]
    rows = tuple(tuple(_find_level(slot, line, at) for slot in found) for at, line in enumerate(few, start=2))
    outcomes = tuple(_read_outcome(line[outcome], yes, no) for line in few) if outcome else ()
    return DecisionTask(
        name[:80], template, yes, no, found, rows, outcomes, len(table), hashlib.sha256(raw).hexdigest()
    )  # fmt: skip


def _check_template(template: str, slots: Sequence[Slot], yes: str, no: str) -> None:
    missing = [slot.name for slot in slots if template.count("{" + slot.name + "}") != 1]
    if missing or len(template) > MAX_TEMPLATE:
        raise Refused(
            f"A template of {len(template)} characters, without one {ascii(missing[0]) if missing else 'bound'}.",
            wanted=f"each slot once in braces, in at most {MAX_TEMPLATE:,} characters.", remedy="change the template.",
        )  # fmt: skip
    if not yes.strip() or not no.strip() or yes.strip() == no.strip():
        raise Refused("Two answers that are empty or equal.", wanted="such as Yes and No.", remedy="change them.")


def _read_rows(raw: bytes) -> list[dict[str, str]]:
    if len(raw) > MAX_BYTES:
        raise Refused(
            f"A file of {len(raw):,} bytes.", wanted=f"at most {MAX_BYTES:,} bytes.", remedy="bring fewer rows."
        )
    try:
        lines = list(csv.DictReader(io.StringIO(raw.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused(
            "A file that does not parse.", wanted="CSV in UTF-8.", remedy="save it as CSV in UTF-8."
        ) from error
    if len(lines) < _MIN_ROWS:
        raise Refused(f"{len(lines)} rows.", wanted=f"at least {_MIN_ROWS} rows.", remedy="bring more rows.")
    return lines


def _find_level(slot: Slot, line: dict[str, str], at: int) -> int:
    text = (line.get(slot.name) or "").strip()
    if text not in slot.levels:
        raise Refused(
            f"{text[:60]!a} in column {slot.name!a}, line {at}.", wanted=f"{', '.join(slot.levels)!a}.",
            remedy="change the value, or add it to the levels of the slot.",
        )  # fmt: skip
    return slot.levels.index(text)


def _read_outcome(text: str | None, yes: str, no: str) -> bool:
    found = (text or "").strip()
    if found not in (yes.strip(), no.strip()):
        raise Refused(
            f"Outcome {found[:60]!a}.", wanted=f"{yes.strip()!a} or {no.strip()!a}.",
            remedy="change the value, or name no outcome column.",
        )  # fmt: skip
    return found == yes.strip()


def _spread(n: int, most: int) -> list[int]:
    return [int(at) for at in np.linspace(0, n - 1, most).round()]
