"""Cells of the attention map and of the effect map; both are readable without colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from audit_core import Estimate, format_estimate
from ui.parts import figures
from ui.parts.grid import NO_HEADS, Cells

DELTA = 0.10
"""Smallest effect of interest drawn on the map, fraction of the clean – corrupted gap (methods 1.3)."""
STRONG = 0.5


def colour_masses(masses: Sequence[Estimate | None]) -> Cells:
    """Cells of the attention map: a digit for the tenths, a dot in a layer without heads."""
    values = np.array([0.0 if estimate is None else estimate.value for estimate in masses])
    colours = figures.colour_attention(values)
    texts = [NO_HEADS if e is None else f"attention mass {format_estimate(e)}" for e in masses]
    marks = ["·" if e is None else f"{int(min(v, 0.999) * 10)}" if v >= 0.1 else "" for e, v in zip(masses, values)]
    ramp = figures.colour_attention(np.linspace(0, 1, 9))
    return Cells(colours, figures.ink_for(colours), marks, texts, ramp, "0", "1 share of attention")


def _sign(value: float, limit: float) -> str:
    if abs(value) < 0.1 * limit:
        return ""
    return ("+" if value > 0 else "−") * (2 if abs(value) >= STRONG * limit else 1)


def colour_effects(values: Sequence[float | None], texts: Sequence[str], unit: str, before: str = "") -> Cells:
    """Cells of the effect map, symmetric around zero; a cell without a value has a dot.

    Args:
        before: prefix of each sign, to distinguish an estimate from a measurement without colour.
    """
    known = np.array([0.0 if value is None else value for value in values])
    limit = float(np.abs(known).max()) or 1.0
    colours = figures.colour_effect(known, limit)
    signs = ["·" if value is None else _sign(value, limit) for value in values]
    marks = [before + sign if sign else "" for sign in signs]
    ramp = figures.colour_effect(np.linspace(-limit, limit, 9), limit)
    return Cells(colours, figures.ink_for(colours), marks, texts, ramp, f"−{limit:.2f}", f"+{limit:.2f} {unit}")
