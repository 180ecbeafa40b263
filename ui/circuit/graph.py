"""The circuit as a graph: layers upwards, tokens across, connections as wide as their direct effect."""

from __future__ import annotations

import streamlit as st

from audit_core import Estimate, format_estimate, make_table, parse_component
from audit_core.audits import PathsResult, PositionsResult
from audit_core.tables import estimate_cells
from ui.circuit import figures
from ui.circuit.figures import Line, Node
from ui.parts.header import conditions_line, controls_line, figure_header, plain, table_with_csv

DRAWN = 0.02
"""Smallest connection that is drawn, as a fraction of the strongest; the table has all."""


def show_graph(paths: PathsResult, places: PositionsResult, pieces: tuple[str, ...], n_layers: int) -> None:
    """Show graph, table and conditions."""
    figure_header(
        "The circuit as a graph", "causal",
        "each component is placed at its layer and at the token with its largest effect on the drawn prompt. "
        "A line is the direct effect of one component through another, with everything else frozen. Its width is the size of the effect. "
        "Solid lines support the answer, dotted lines oppose it, and grey lines have an interval that includes zero. "
        "Do not add lines along a path: each includes all effects of its receiver.",
    )  # fmt: skip
    nodes = place_nodes(paths, places, len(pieces), n_layers)
    index = {node.name: at for at, node in enumerate(nodes)}
    strongest = max((abs(c.estimate.value) for c in paths.connections), default=0.0)
    shown = [c for c in paths.connections if abs(c.estimate.value) > DRAWN * strongest]
    lines = [
        Line(
            index[c.sender],
            index[c.receiver],
            c.estimate.value,
            f"{c.sender} → {c.receiver}: {format_estimate(c.estimate)}",
            _is_sure(c.estimate),
        )
        for c in shown
    ]
    st.plotly_chart(
        figures.graph(nodes, lines, pieces, n_layers=n_layers, unit=paths.unit), key="graph", config={"displayModeBar": False},
        alt="Graph of the circuit, layers upwards and tokens across. The tables below name every component and connection.",
    )  # fmt: skip
    tokens = [
        (p.component, p.position, pieces[p.position], p.effect.estimate.value, p.effect.estimate.unit)
        for p in places.places
    ]
    table_with_csv(
        lambda: make_table(("component", "position", "token", "effect", "unit"), tokens),
        "Effect by token, one prompt",
        "places",
    )


def show_connections(paths: PathsResult) -> None:
    """Show every connection in numbers, including those not drawn."""
    rows = [
        (c.sender, c.receiver, *estimate_cells(c.estimate), *estimate_cells(c.fraction)[:3]) for c in paths.connections
    ]
    columns = ("from", "to", "direct effect", "low", "high", "n", "unit", "fraction of the clean–corrupted gap", "low ", "high ")  # fmt: skip
    table_with_csv(lambda: make_table(columns, rows), f"All {len(rows)} connections", "connections")
    unsure = sum(not _is_sure(c.estimate) for c in paths.connections)
    st.markdown(
        f"{len(rows)} connections were measured, each with its own 95 % interval. The intervals of {unsure} include zero. "
        "The intervals are not corrected for multiple comparisons."
    )
    if paths.no_fraction:
        st.warning(f"No fraction of the gap is shown: {plain(paths.no_fraction)}", icon=":material/warning:")
    conditions_line(paths.conditions, paths.n)
    controls_line(paths.controls)


def _is_sure(estimate: Estimate) -> bool:
    return estimate.low is not None and estimate.high is not None and (estimate.low > 0 or estimate.high < 0)


def place_nodes(paths: PathsResult, places: PositionsResult, n_positions: int, n_layers: int) -> list[Node]:
    """Place the input below, the output above, and each component at its layer and main token; shared places are offset."""
    nodes = [Node("input", (n_positions - 1) / 2, -1.0, 0.0), Node("output", n_positions - 1, float(n_layers), 0.0)]
    taken: dict[tuple[int, int], int] = {}
    for place in sorted(places.main, key=lambda place: place.component):
        layer = parse_component(place.component).layer
        beside = taken.setdefault((layer, place.position), 0)
        taken[layer, place.position] += 1
        nodes.append(Node(place.component, place.position - 0.25 * beside, float(layer), place.effect.estimate.value))
    return nodes
