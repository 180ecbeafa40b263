"""The attention map, the causal effect map and their scatter plot: same heads, separate colours and separate numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st

from audit_core import Component, Estimate, format_estimate, make_table
from audit_core.audits import AttentionResult, SweepResult, find_attention_line, find_effect_line
from audit_core.stats import rank_agreement
from audit_core.tables import estimate_cells
from ui.parts import figures
from ui.parts.grid import head_axes, layer_grid, place_cells
from ui.parts.header import figure_header, plain, table_with_csv
from ui.parts.map_cells import DELTA, SIGNS, colour_effects, colour_masses
from ui.parts.workbench import Table, pane_header

HOW_TO_PICK = "Click a cell, or press Enter on it, to add the head to the circuit or remove it. Double click, or Shift and Enter, for this head alone."


@dataclass(frozen=True)
class Picking:
    """What both maps mark, and what picking a cell does."""

    focus: Component
    inside: Sequence[str]
    """Names of the components in the circuit."""
    toggle: Callable[[str], None]
    only: Callable[[str], None]
    is_recorded: bool = False
    """Whether the numbers are recorded, and so bear that badge too."""

    def badge(self, kind: str) -> str:
        return f"{kind} recorded" if self.is_recorded else kind


def show_attention(result: AttentionResult, source: str, picking: Picking) -> None:
    """The plausibility pane: attention mass of each head."""
    axes = head_axes(result.n_layers, result.n_heads)

    def build() -> Any:
        rows = [
            (name, e.value, e.low, e.high, e.n, e.unit, spread)
            for name, e, spread in zip(axes.names, result.mass, result.entropy, strict=True)
            if e is not None
        ]
        return make_table(("head", "attention mass", "low", "high", "n", "unit", "normalised entropy (0 on one token, 1 uniform)"), rows)  # fmt: skip

    pane_header(
        "Where it looks", picking.badge("observational"),
        f"Each cell is a head: columns are layers, rows are heads. The digit is the share of its attention from the answer position to {source}, "
        "in tenths, rounded. A head can attend to a token and have no effect. " + HOW_TO_PICK,
        table=Table(build, "Attention", "attention"),
    )  # fmt: skip
    layer_grid(
        colour_masses(result.mass), axes, label="Attention mass by layer and head", chosen=str(picking.focus), inside=picking.inside,
        key="grid-looks", on_pick=picking.toggle, on_only=picking.only,
    )  # fmt: skip


def show_effect(result: SweepResult, n_layers: int, n_heads: int, picking: Picking) -> None:
    """The faithfulness pane: causal effect of each head."""

    def build() -> Any:
        columns = ("head", "effect", "low", "high", "n", "unit", "fraction of the clean–corrupted gap", "low ", "high ")
        rows = [(c.component, *estimate_cells(c.estimate), *estimate_cells(c.fraction)[:3]) for c in result.cells]
        return make_table(columns, rows)

    reading = (
        f"Each head is ablated alone ({result.replacement}, {result.direction}). Every cell was measured by intervening. {SIGNS} "
        + HOW_TO_PICK
    )
    if result.no_fraction:
        reading += f" No fraction of the gap is shown: {plain(result.no_fraction)}"
    pane_header("What it does", picking.badge("causal"), reading, table=Table(build, "Causal effect", "effect"))
    axes = head_axes(n_layers, n_heads)
    values = [cell.estimate.value for cell in result.cells]
    texts = [f"effect {format_estimate(cell.estimate)}" for cell in result.cells]
    placed = place_cells(values, texts, [cell.component for cell in result.cells], axes)
    layer_grid(
        colour_effects(*placed, result.unit), axes, label="Causal effect by layer and head", chosen=str(picking.focus),
        inside=picking.inside, key="grid-does", on_pick=picking.toggle, on_only=picking.only,
    )  # fmt: skip


def list_masses(attention: AttentionResult) -> dict[str, Estimate]:
    """Attention mass by head name, for every head of the model."""
    names = head_axes(attention.n_layers, attention.n_heads).names
    return {name: mass for name, mass in zip(names, attention.mass, strict=True) if mass is not None}


def show_scatter(
    attention: AttentionResult,
    effects: SweepResult,
    inside: Sequence[str],
    head: Component,
    clusters: tuple[str, ...],
    pick: Callable[[str], None],
) -> None:
    """Scatter plot of attention mass against causal effect."""
    figure_header(
        "Attention vs. effect", "observational causal",
        "further right is more attention to the token, and further from zero is a larger effect on the answer. "
        "If attention showed what matters, the marks would lie along a diagonal. "
        "Dashed lines: 95th percentile of attention, and a tenth of the gap.",
    )  # fmt: skip
    masses = list_masses(attention)
    points = [
        figures.Point(
            c.component,
            masses[c.component].value,
            masses[c.component].low,
            masses[c.component].high,
            c.estimate.value,
            c.estimate.low,
            c.estimate.high,
            c.component in (*inside, str(head)),
        )
        for c in effects.cells
    ]
    line = find_effect_line(effects, DELTA)
    figure = figures.scatter_axes(
        points, unit=effects.unit, mass_line=find_attention_line(attention), support_line=line or 0.0
    )

    def picked() -> None:
        found = st.session_state.scatter.selection.points
        if found and found[0].get("customdata"):
            name = found[0]["customdata"]
            pick(name if isinstance(name, str) else name[0])

    figures.show(
        figure, key="scatter", on_select=picked, selection_mode="points", 
        alt="Scatter of attention mass against causal effect, one mark per head. The two tables above have the numbers.",
    )  # fmt: skip
    columns = ("head", "attention mass", "effect", "unit of effect", "n")
    table_with_csv(
        lambda: make_table(columns, [(p.name, p.mass, p.support, effects.unit, effects.n) for p in points]),
        "Attention vs. effect",
        "scatter",
    )
    rho = rank_agreement(
        np.array([row for row in attention.per_prompt if row]), np.array(effects.per_prompt), clusters, seed=0
    )
    st.markdown(
        f"Rank agreement between attention mass and size of effect over {len(points)} heads: **{format_estimate(rho)}**. "
        "0 means that attention carries no information about which heads matter."
    )
