"""A converter of units: a fixed table of whole factors."""

from __future__ import annotations

from collections.abc import Mapping

from audit_core.errors import Refused
from audit_core.tools.calculator import LARGEST

FACTORS: Mapping[tuple[str, str], int] = {
    ("metres", "centimetres"): 100, ("metres", "millimetres"): 1000, ("kilometres", "metres"): 1000,
    ("feet", "inches"): 12, ("yards", "feet"): 3, ("hours", "minutes"): 60, ("minutes", "seconds"): 60,
    ("days", "hours"): 24, ("weeks", "days"): 7, ("kilograms", "grams"): 1000, ("pounds", "ounces"): 16,
    ("gallons", "pints"): 8,
}  # fmt: skip
"""(From, to) → factor."""


def convert(amount: int, source: str, target: str) -> int:
    """An amount in another unit.

    Raises:
        Refused: the pair of units is not in the table, or the result is too large.

    Example:
        >>> convert(3, "feet", "inches")
        36
    """
    factor = FACTORS.get((source, target))
    if factor is None:
        raise Refused(
            f"{source[:20]!r} in {target[:20]!r}.", wanted=", ".join(f"{a} in {b}" for a, b in FACTORS) + ".",
            remedy="name one of these pairs.",
        )  # fmt: skip
    if not 0 <= amount <= LARGEST // factor:
        raise Refused(
            f"{amount:.3g} {source}.", wanted=f"0 to {LARGEST // factor:,}.", remedy="choose a smaller amount."
        )
    return amount * factor
