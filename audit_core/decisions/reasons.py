"""Principal reasons of a denial, measured by changing the input, in the form of a statement of reasons."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Read = Callable[[NDArray[Any]], NDArray[np.float64]]
"""Preference for yes of rows; shape (row, slot) → (row,)."""
MOST_REASONS = 4
"""More than four reasons are not likely to be helpful (Regulation B, official interpretation of 1002.9(b)(2), paragraph 1)."""
ESTABLISHED = 0.95
"""Share of reference applicants with which all reasons together must turn the decision (design: 4.5)."""
_LEAST_NEAR = 10


@dataclass(frozen=True)
class Reason:
    """One slot as a reason of a denial."""

    slot: int
    effect: float
    """Mean change of the preference for yes when this slot alone takes the values of applicants with a narrow yes."""


@dataclass(frozen=True)
class Reasons:
    """Principal reasons of one denial, and whether they hold together."""

    found: tuple[Reason, ...]
    flips_together: float
    """Share of applicants with a narrow yes whose values in all these slots turn the decision into yes."""
    protected: tuple[Reason, ...]
    """Protected slots that would be among them: a matter for a person, never a reason."""

    @property
    def is_established(self) -> bool:
        return bool(self.found) and not self.protected and self.flips_together >= ESTABLISHED


def pick_narrow(rows: NDArray[Any], values: NDArray[np.float64]) -> NDArray[Any]:
    """Applicants with a narrow yes: the quarter of those with a yes that is nearest to the boundary, at least ten."""
    accepted, order = rows[values > 0], np.argsort(values[values > 0], kind="stable")
    return accepted[order[: max(_LEAST_NEAR, len(accepted) // 4)]]


def find_reasons(
    read: Read, row: Sequence[float], narrow: NDArray[Any], is_protected: Sequence[bool], *, least: float
) -> Reasons:
    """Slots whose values lower the preference most against applicants with a narrow yes, at most four.

    Args:
        narrow: applicants with a narrow yes; shape (row, slot).
        least: smallest effect that counts, in the unit of `read`.

    Source: form of 12 CFR 1002.9(b)(2) and its official interpretation, paragraph 5; measured by intervention, not by score.
    """
    if not len(narrow):
        return Reasons((), 0.0, ())
    before = float(read(np.array([row]))[0])
    measured = [
        Reason(slot, float(read(_take_from(narrow, row, (slot,))).mean()) - before) for slot in range(len(row))
    ]  # fmt: skip
    measured = sorted((one for one in measured if one.effect > least), key=lambda one: (-one.effect, one.slot))
    principal = measured[:MOST_REASONS]
    found = tuple(one for one in principal if not is_protected[one.slot])
    together = read(_take_from(narrow, row, tuple(one.slot for one in found))) > 0
    return Reasons(found, float(together.mean()), tuple(one for one in principal if is_protected[one.slot]))


def _take_from(narrow: NDArray[Any], row: Sequence[float], slots: tuple[int, ...]) -> NDArray[Any]:
    """The applicant, with the values of each of these others in some slots."""
    changed = np.tile(np.array(row), (len(narrow), 1))
    changed[:, list(slots)] = narrow[:, list(slots)]
    return changed


def word_reason(name: str, value: str, phrase: str = "") -> str:
    """A specific reason in the form of a statement of reasons: the factor, and its value in this application.

    Args:
        phrase: the owner's words for the factor; the factor and its value then follow them, since they are what was measured.

    Example:
        >>> word_reason("income", "low")
        'Income: low'
        >>> word_reason("income", "low", "income insufficient for the amount requested")
        'Income insufficient for the amount requested (income: low)'
    """
    said = phrase or name
    return f"{said[:1].upper()}{said[1:]} ({name}: {value})" if phrase else f"{said[:1].upper()}{said[1:]}: {value}"


def describe_reasons(names: Sequence[str], reasons: Reasons) -> str:
    """Whether the reasons hold, in a sentence."""
    if reasons.protected:
        listed = " and ".join(names[one.slot] for one in reasons.protected)
        return f"Not established: the protected attribute {listed} is among the principal factors. A person must look at this."
    if not reasons.found:
        return "Not established: no slot alone raises the preference."
    share = f"{100 * reasons.flips_together:.0f} %"
    if not reasons.is_established:
        return f"Not established: together they turn the decision with {share} of applicants with a narrow yes."
    return f"Established by running: together they turn the decision with {share} of applicants with a narrow yes."
