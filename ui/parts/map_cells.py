"""Cells of the attention map and of the effect map; both are readable without colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from audit_core import Estimate, format_estimate
from ui.parts import figures
from ui.parts.grid import NO_HEADS, Cells

DELTA = 0.10
"""Smallest effect of interest drawn on the map, fraction of the clean – corrupted gap (methods 1.3)."""
STRONG = 0.5
SIGNS = "▲ and + support the answer, ▼ and − oppose it. Triangles: at least half of the largest effect. Signs: above a tenth of it."

_HOLLOW = {"▲": "△", "▼": "▽"}


def colour_masses(masses: Sequence[Estimate | None]) -> Cells:
    """Cells of the attention map: a digit for the tenths, rounded; a dot in a layer without heads."""
    values = np.array([0.0 if estimate is None else estimate.value for estimate in masses])
    colours = figures.colour_attention(values)
    texts = [NO_HEADS if e is None else f"attention mass {format_estimate(e)}" for e in masses]
    marks = ["·" if e is None else f"{min(round(v * 10), 9)}" if v >= 0.05 else "" for e, v in zip(masses, values)]
    ramp = figures.colour_attention(np.linspace(0, 1, 9))
    return Cells(colours, figures.ink_for(colours), marks, texts, ramp, "0", "1 share of attention (digits: tenths)")


def _sign(value: float, limit: float) -> str:
    if abs(value) < 0.1 * limit:
        return ""
    weak, strong = ("+", "▲") if value > 0 else ("−", "▼")
    return strong if abs(value) >= STRONG * limit else weak


def colour_effects(
    values: Sequence[float | None], texts: Sequence[str], unit: str, *, is_estimate: bool = False
) -> Cells:
    """Cells of the effect map, symmetric around zero; a cell without a value has a dot.

    Args:
        is_estimate: whether the values are estimated; their triangles are hollow.
    """
    known = np.array([0.0 if value is None else value for value in values])
    limit = float(np.abs(known).max()) or 1.0
    is_dark = st.context.theme.type == "dark"
    colours = figures.colour_effect(known, limit, is_dark=is_dark)
    signs = ["·" if value is None else _sign(value, limit) for value in values]
    marks = [_HOLLOW.get(sign, sign) for sign in signs] if is_estimate else signs
    ramp = figures.colour_effect(np.linspace(-limit, limit, 9), limit, is_dark=is_dark)
    return Cells(colours, figures.ink_for(colours), marks, texts, ramp, f"−{limit:.2f}", f"+{limit:.2f} {unit}")
