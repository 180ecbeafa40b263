"""The circuit as a graph: layers upwards, connections as wide as their direct effect."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import streamlit as st

from audit_core import Estimate, format_estimate, make_table, parse_component
from audit_core.audits import PathsResult
from audit_core.exchange import GraphOrigin, export_paths, write_graph
from audit_core.tables import estimate_cells
from ui.circuit import figures
from ui.circuit.figures import Line, Node
from ui.circuit.known import Known
from ui.parts.figures import show as show_figure
from ui.parts.header import conditions_line, controls_line, plain, table_with_csv
from ui.parts.sample_mark import name_file

DRAWN = 0.02
"""Smallest connection that is drawn, as a fraction of the strongest; the table has all."""
_READING = (
    "Layers go upwards. A line is the direct effect of one component through another, with everything else frozen, and "
    "its width is the size. Solid lines support the answer, dotted ones oppose it. Grey lines have an interval that "
    "includes zero. Do not add lines along a path."
)


def show_graph(found: Known, origin: GraphOrigin) -> None:
    """Show graph, table and conditions."""
    paths: PathsResult = found.result
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown("**Direct effects between components**", help=_READING)
        st.badge("causal", icon=":material/science:", color="violet")
        found.add_badges()
    strongest = max((abs(c.estimate.value) for c in paths.connections), default=0.0)
    shown = [c for c in paths.connections if abs(c.estimate.value) > DRAWN * strongest]
    nodes = place_nodes(paths, {end for c in shown for end in (c.sender, c.receiver)})
    index = {node.name: at for at, node in enumerate(nodes)}
    lines = [
        Line(
            index[c.sender], index[c.receiver], c.estimate.value,
            f"{c.sender} → {c.receiver}: {format_estimate(c.estimate)}", _is_sure(c.estimate),
        )
        for c in shown
    ]  # fmt: skip
    show_figure(
        figures.graph(nodes, lines, unit=paths.unit), key="graph",
        alt="Graph of the circuit, layers upwards. The table below names every connection.",
    )  # fmt: skip
    _show_connections(paths, origin)


def _show_connections(paths: PathsResult, origin: GraphOrigin) -> None:
    """Show every connection in numbers, including those not drawn."""
    unsure = sum(not _is_sure(c.estimate) for c in paths.connections)
    st.markdown(
        f"{len(paths.connections)} connections, n = {paths.n}. The 95 % intervals of {unsure} include zero, "
        "not corrected for multiple comparisons."
    )
    rows = [
        (c.sender, c.receiver, *estimate_cells(c.estimate), *estimate_cells(c.fraction)[:3]) for c in paths.connections
    ]
    columns = ("from", "to", "direct effect", "low", "high", "n", "unit", "fraction of the clean–corrupted gap", "low ", "high ")  # fmt: skip
    table_with_csv(lambda: make_table(columns, rows), f"All {len(rows)} connections", "connections")
    st.download_button(
        "Graph for other tools", data=lambda: write_graph(export_paths(paths, replace(origin, n=paths.n))),
        file_name=name_file("graph.json"), mime="application/json", key="download-graph", on_click="ignore", icon=":material/download:",
        help="JSON in Neuronpedia's graph schema, with interval, n and badge beside each weight; without texts of prompts.",
    )  # fmt: skip
    if paths.no_fraction:
        st.warning(f"No fraction of the gap is shown: {plain(paths.no_fraction)}", icon=":material/warning:")
    with st.popover("Conditions", icon=":material/info:"):
        conditions_line(paths.conditions, paths.n)
        controls_line(paths.controls)


def _is_sure(estimate: Estimate) -> bool:
    return estimate.low is not None and estimate.high is not None and (estimate.low > 0 or estimate.high < 0)


def place_nodes(paths: PathsResult, joined: set[str]) -> list[Node]:
    """Place every component on a row of its layer, between input and output if a line ends there; x and y have no unit.

    A row's components are spread over the width. Components that are alone on their row step from side to side.

    Args:
        joined: names at the ends of the drawn lines.
    """
    layers = {name: parse_component(name).layer for name in paths.components}
    rows, sizes, seen = sorted(set(layers.values())), Counter(layers.values()), Counter[int]()
    nodes = [Node("input", 0.5, 0.0, "input")] if "input" in joined else []
    alone = 0
    for name in sorted(layers, key=lambda name: (layers[name], name)):
        layer = layers[name]
        if sizes[layer] == 1:
            x, alone = (0.3, 0.7)[alone % 2], alone + 1
        else:
            x = (seen[layer] + 0.5) / sizes[layer]
            seen[layer] += 1
        nodes.append(Node(name, x, 1.0 + rows.index(layer), f"layer {layer}"))
    if "output" in joined:
        nodes.append(Node("output", 0.5, 1.0 + len(rows), "output"))
    return nodes
