"""Recomposition of a circuit: single effects, the staircase, and the unexplained rest."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from audit_core import Estimate, format_estimate
from audit_core.audits import RecompositionResult
from ui.parts.figures import INK, interval_bars, new_figure, style_figure
from ui.parts.figures import show as show_figure
from ui.parts.header import controls_line, figure_header, plain
from ui.parts.measurements import EFFECT, show_conditions, show_forest, show_measurements


def show(found: RecompositionResult, place: str = "") -> None:
    """Show components, their effects, the recomposition, and the unexplained rest."""
    st.markdown(f"**1. Components.** This circuit names {len(found.parts)} of {found.n_universe} components.")
    figure_header(
        "2. Effects of single components", "causal",
        "each component ablated alone in the whole model, then all together, and the sum of the single effects. "
        "The two differ where components depend on one another or compensate for one another.",
    )  # fmt: skip
    singles = [(part.component, part.lost) for part in found.parts]
    rows = [
        *singles,
        ("all together", found.lost_together),
        ("added up", found.lost_added_up),
        ("difference", found.interaction),
    ]
    show_forest(rows, "Lost without", f"lost{place}")
    figure_header(
        "3. Recomposition", "causal",
        "everything is ablated, then the components are restored one after another, from the first layer to the last.",
    )  # fmt: skip
    names = [part.component for part in found.parts]
    kept = [part.put_back.estimate for part in found.parts]
    show_figure(
        _draw_staircase(names, kept, unit=kept[0].unit), key=f"stairs{place}",
        alt="Staircase of the effect kept after restoring each component. The table below has the numbers.",
    )  # fmt: skip
    show_measurements([(part.component, part.put_back) for part in found.parts], "Put back", f"back{place}")
    show_conditions(found.parts[0].put_back)
    st.markdown(
        f"**4. Unexplained.** The circuit alone keeps **{plain(format_estimate(found.kept.estimate))}**. "
        f"Other components explain the remaining **{plain(format_estimate(found.left_over.estimate))}**. "
        "Below zero, they oppose the circuit."
    )
    show_conditions(found.kept)
    controls_line(found.controls)


def _draw_staircase(names: Sequence[str], kept: Sequence[Estimate], *, unit: str) -> go.Figure:
    """Effect kept after restoring each component, from the first layer to the last."""
    figure = new_figure(
        go.Scatter(
            x=[f"+ {name}" for name in names], y=[e.value for e in kept], mode="lines+markers",
            line={"shape": "hv", "color": EFFECT, "width": 2}, marker={"size": 9, "symbol": "diamond"},
            error_y=interval_bars([(e.value, e.low, e.high) for e in kept], True),
            hovertemplate="%{x}: %{y:.3f} kept<extra></extra>",
        )
    )  # fmt: skip
    for at, text in ((0.0, "empty circuit"), (1.0, "whole model")):
        figure.add_hline(y=at, line={"color": INK, "dash": "dash", "width": 1}, annotation_text=text)
    return style_figure(figure, 320, "Restored, one after another", f"Kept, {unit}")
