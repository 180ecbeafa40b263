"""Classes of units: what all units of one kind do together over a prompt set, beside what scores say of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from audit_core.explanations.method import Array, Scores, Task
from audit_core.explanations.units import Unit


class UnitClass(StrEnum):
    """Class of a unit by its place and its text: the first of these that fits."""

    FIRST = "first unit"
    LAST = "last unit"
    NUMBER = "with a digit"
    SIGN = "punctuation"
    REPEATED = "repeated"
    """The same text is earlier in the prompt."""
    CAPITALISED = "capitalised"
    OTHER = "other"


def classify_units(units: Sequence[Unit]) -> tuple[UnitClass, ...]:
    """Class of every unit of one prompt.

    Example:
        >>> texts = ("When", " Mary", " and", " John", ",", " Mary", " to")
        >>> [each.value for each in classify_units([Unit(text, (at,)) for at, text in enumerate(texts)])]
        ['first unit', 'capitalised', 'other', 'capitalised', 'punctuation', 'repeated', 'last unit']
    """
    texts = [unit.text.strip() for unit in units]
    return tuple(_classify(at, texts) for at in range(len(texts)))


def _classify(at: int, texts: Sequence[str]) -> UnitClass:
    text = texts[at]
    rules = (
        (UnitClass.FIRST, at == 0),
        (UnitClass.LAST, at == len(texts) - 1),
        (UnitClass.NUMBER, any(sign.isdigit() for sign in text)),
        (UnitClass.SIGN, not any(sign.isalnum() for sign in text)),
        (UnitClass.REPEATED, text in texts[:at]),
        (UnitClass.CAPITALISED, text[:1].isupper()),
    )
    return next((kind for kind, fits in rules if fits), UnitClass.OTHER)


def measure_classes(task: Task) -> dict[UnitClass, Array]:
    """Loss of the metric when all units of a class are replaced together; shape (prompt,), NaN where a prompt has none.

    Raises:
        NotMeasured: the model produced NaN.
    """
    members = [_list_members(units) for units in task.units]
    kept = [
        np.array([np.ones(len(units), bool), *(~inside for inside in own.values())])
        for units, own in zip(task.units, members, strict=True)
    ]
    values = task.measure(kept)
    return {
        kind: np.array([
            float(row[0] - row[1 + list(own).index(kind)]) if kind in own else np.nan
            for row, own in zip(values, members, strict=True)
        ])
        for kind in UnitClass
        if any(kind in own for own in members)
    }  # fmt: skip


def share_scores(task: Task, scores: Scores) -> dict[UnitClass, Array]:
    """Σ of a class's scores over Σ of all absolute scores of the prompt, −1 to 1; shape (prompt,), NaN where it has none.

    A share, because scores of different prompts have different sizes.
    """
    found = {kind: np.full(len(task.units), np.nan) for kind in UnitClass}
    for at, (units, values) in enumerate(zip(task.units, scores.values, strict=True)):
        if values is None or not np.abs(values).sum():
            continue
        for kind, inside in _list_members(units).items():
            found[kind][at] = values[inside].sum() / np.abs(values).sum()
    return {kind: shares for kind, shares in found.items() if np.isfinite(shares).any()}


def _list_members(units: Sequence[Unit]) -> Mapping[UnitClass, NDArray[np.bool_]]:
    """Which units belong to each class that the prompt has; shape (unit,) each."""
    own = classify_units(units)
    return {kind: np.array([each is kind for each in own]) for kind in UnitClass if kind in own}
