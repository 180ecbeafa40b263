"""A table of numbers: rows of a CSV file, which features may change, and what is known to be right."""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from audit_core.decisions.slots import Change
from audit_core.errors import Refused

Floats = NDArray[np.float64]
MAX_BYTES, MAX_ROWS, MAX_FIT, MAX_FEATURES, MAX_NAME = 4_000_000, 300, 2_000, 60, 60
MIN_ROWS = 40
FIT, TEST = "fit", "test"
"""Values of the column that divides a file: rows that readable models are fitted on, and rows that are measured."""


class Reading(StrEnum):
    """What the outputs of a model are."""

    PROBABILITY = "probability"
    """Of yes, or of no and yes: read as log odds."""
    SCORE = "score"
    """Any number: above 0 the decision is yes."""


@dataclass(frozen=True)
class Feature:
    """One column that the model reads."""

    name: str
    change: Change = Change.ANY
    is_protected: bool = False

    def allows(self, before: Floats, after: Floats) -> NDArray[np.bool_]:
        """Whether values could move so, elementwise; staying is always allowed, and a protected feature stays."""
        change = Change.NONE if self.is_protected else self.change
        same: NDArray[np.bool_] = after == before
        return (
            same
            | {
                Change.NONE: np.zeros_like(same),
                Change.RISE: after > before,
                Change.FALL: after < before,
                Change.ANY: np.ones_like(same),
            }[change]
        )

    def to_json(self) -> dict[str, object]:
        return {"name": self.name, "change": self.change.value, "is_protected": self.is_protected}


@dataclass(frozen=True, eq=False)
class TableTask:
    """Rows that a model decides about, and how its outputs are read."""

    name: str
    features: tuple[Feature, ...]
    rows: Floats
    """Measured rows; shape (row, feature)."""
    outcomes: NDArray[np.bool_] | None
    """What is right of each measured row; None where the file has no such column."""
    fit_rows: Floats
    """Rows for models that are fitted here to compare; shape (row, feature). Empty without outcomes."""
    fit_outcomes: NDArray[np.bool_]
    is_divided: bool
    """Whether the file says which rows may be fitted on; else every other row is, and the others compare."""
    reading: Reading
    n_in_file: int
    sha256: str
    """Digest of the file's bytes, or of the arrays."""
    notices: tuple[str, ...] = ()

    @property
    def is_held_out(self) -> NDArray[np.bool_]:
        """Measured rows that no model here is fitted on; shape (row,)."""
        return np.ones(len(self.rows), bool) if self.is_divided else np.arange(len(self.rows)) % 2 == 1

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name, "sha256": self.sha256, "features": [one.to_json() for one in self.features],
            "n_rows": len(self.rows), "n_fit": len(self.fit_rows), "outcomes": self.outcomes is not None,
            "is_divided": self.is_divided, "reading": self.reading.value,
        }  # fmt: skip


def make_task(
    rows: Floats,
    names: tuple[str, ...],
    *,
    outcomes: NDArray[np.bool_] | None = None,
    fit: tuple[Floats, NDArray[np.bool_]] | None = None,
    marks: str = "",
    reading: Reading = Reading.PROBABILITY,
    name: str = "rows",
    sha256: str = "",
    n_in_file: int = 0,
) -> TableTask:
    """A task from arrays; at most 300 rows are measured and 2,000 fitted on, spread over the given ones.

    Args:
        rows: shape (row, feature); none of them should have been used to train the model.
        fit: rows and outcomes for readable models beside it; by default every other row of `rows`.
        marks: see `parse_marks`.

    Raises:
        Refused: too few rows, too many features, a number that is not finite, or a mark that does not parse.
    """
    rows = np.asarray(rows, float)
    if rows.ndim != 2 or rows.shape[1] != len(names) or not 2 <= len(names) <= MAX_FEATURES:
        raise Refused(
            f"A table of shape {rows.shape} with {len(names)} names.",
            wanted=f"rows of 2 to {MAX_FEATURES} features, each with a name.", remedy="leave columns out.",
        )  # fmt: skip
    if len(rows) < MIN_ROWS:
        raise Refused(f"{len(rows)} rows to measure.", wanted=f"at least {MIN_ROWS}.", remedy="bring more rows.")
    if not np.isfinite(rows).all() or (fit is not None and not np.isfinite(fit[0]).all()):
        raise Refused("A value that is not a finite number.", wanted="finite numbers.", remedy="fill or drop the row.")
    picks = np.linspace(0, len(rows) - 1, min(MAX_ROWS, len(rows))).round().astype(int)
    left = len(rows) - len(picks)
    notices = (f"{left} of {len(rows)} rows are left out: at most {MAX_ROWS} are measured.",) if left else ()
    digest = sha256 or hashlib.sha256(rows.tobytes() + repr(names).encode()).hexdigest()
    n_in_file = n_in_file or len(rows)
    rows, right = rows[picks], None if outcomes is None else np.asarray(outcomes, bool)[picks]
    is_divided = fit is not None
    if fit is None:
        fit = (rows[::2], right[::2]) if right is not None else (rows[:0], np.zeros(0, bool))
    fit_picks = np.linspace(0, len(fit[0]) - 1, min(MAX_FIT, len(fit[0]))).round().astype(int)
    return TableTask(
        name[:80], parse_marks(marks, names), rows, right, np.asarray(fit[0], float)[fit_picks],
        np.asarray(fit[1], bool)[fit_picks], is_divided, reading, n_in_file, digest, notices,
    )  # fmt: skip


def read_table(
    raw: bytes,
    *,
    name: str,
    outcome: str = "",
    yes: str = "1",
    split: str = "",
    marks: str = "",
    reading: Reading = Reading.PROBABILITY,
) -> TableTask:
    """A task from the bytes of a CSV file whose columns are the model's features, in its order.

    Args:
        outcome: column with the right answers; empty for none.
        yes: value of that column that means yes.
        split: column with `fit` or `test` in each row; empty for none.
        marks: see `parse_marks`.

    Raises:
        Refused: the file, a column or a value cannot be used.
    """
    header, lines = _read_lines(raw)
    apart = [column for column in (outcome, split) if column]
    if missing := [column for column in apart if column not in header]:
        raise Refused(
            f"No column {missing[0][:60]!a}.", wanted=f"one of {', '.join(header)[:200]!a}.",
            remedy="name another column, or none.",
        )  # fmt: skip
    names = tuple(column for column in header if column not in apart)
    values = _read_numbers(lines, header, names)
    right = None if not outcome else _read_words(lines, header.index(outcome), yes, outcome)
    where = None if not split else _read_split(lines, header.index(split), split)
    measured = np.ones(len(lines), bool) if where is None else where == TEST
    fit = None if where is None or right is None else (values[~measured], right[~measured])
    return make_task(
        values[measured], names, outcomes=None if right is None else right[measured], fit=fit, marks=marks,
        reading=reading, name=name, sha256=hashlib.sha256(raw).hexdigest(), n_in_file=len(lines),
    )  # fmt: skip


def parse_marks(text: str, names: tuple[str, ...]) -> tuple[Feature, ...]:
    """Features with marks from lines such as `income, may rise` or `age, protected`; all others may change.

    Lines end at a line break or a semicolon.

    Raises:
        Refused: a line that names no feature, or an unknown mark.
    """
    known = {change.value: change for change in Change}
    found = {name: Feature(name) for name in names}
    for line in (one.strip() for one in text[:20_000].replace(";", "\n").split("\n")):
        name, _, rest = line.partition(",")
        marks = [mark.strip() for mark in rest.split(",")] if rest else []
        if line and (name.strip() not in found or not marks or [m for m in marks if m not in {*known, "protected"}]):
            raise Refused(
                f"Line {line[:80]!a}.", wanted=f"a feature, then {', '.join(known)} or protected.",
                remedy="change this line.",
            )  # fmt: skip
        if line:
            changes = [known[mark] for mark in marks if mark in known]
            found[name.strip()] = Feature(name.strip(), (changes or [Change.ANY])[0], "protected" in marks)
    return tuple(found.values())


def _read_lines(raw: bytes) -> tuple[list[str], list[list[str]]]:
    if len(raw) > MAX_BYTES:
        raise Refused(f"A file of {len(raw):,} bytes.", wanted=f"at most {MAX_BYTES:,} bytes.", remedy="bring fewer.")
    try:
        lines = list(csv.reader(io.StringIO(raw.decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise Refused("A file that does not parse.", wanted="CSV in UTF-8.", remedy="save it as CSV.") from error
    lines = [line for line in lines if line]
    header = [column.strip() for column in lines[0]] if lines else []
    bad = not header or len(set(header)) < len(header) or not all(header) or max(map(len, header)) > MAX_NAME
    if bad:
        raise Refused(
            f"A header with {len(header)} columns.", wanted=f"different names of at most {MAX_NAME} characters.",
            remedy="name the columns in the first line.",
        )  # fmt: skip
    for at, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise Refused(f"{len(line)} values in line {at}.", wanted=f"{len(header)}.", remedy="fix this line.")
    return header, lines[1:]


def _read_numbers(lines: list[list[str]], header: list[str], names: tuple[str, ...]) -> Floats:
    columns = [header.index(name) for name in names]
    found = np.zeros((len(lines), len(columns)))
    for at, line in enumerate(lines):
        for place, column in enumerate(columns):
            try:
                found[at, place] = float(line[column])
            except ValueError:
                raise Refused(
                    f"{line[column][:40]!a} in column {header[column]!a}, line {at + 2}.", wanted="a number.",
                    remedy="encode words as numbers the way the model was trained, or name the column as outcome.",
                ) from None  # fmt: skip
    return found


def _read_words(lines: list[list[str]], column: int, yes: str, name: str) -> NDArray[np.bool_]:
    words = [line[column].strip() for line in lines]
    if not 2 <= len(set(words)) <= 2 or yes.strip() not in words:
        raise Refused(
            f"Column {name[:60]!a} has {len(set(words))} values, {yes[:40]!a} "
            f"{'among' if yes.strip() in words else 'not among'} them.",
            wanted="two values, one of which means yes.", remedy="name another column, or the value that means yes.",
        )  # fmt: skip
    return np.array([word == yes.strip() for word in words])


def _read_split(lines: list[list[str]], column: int, name: str) -> NDArray[np.str_]:
    words = np.array([line[column].strip() for line in lines])
    if set(words.tolist()) != {FIT, TEST}:
        raise Refused(
            f"Column {name[:60]!a} has {', '.join(sorted(set(words.tolist())))[:80]!a}.", wanted=f"{FIT} and {TEST}.",
            remedy="write these words, or name no such column.",
        )  # fmt: skip
    return words
