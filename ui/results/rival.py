"""A circuit beside alternative circuits."""

from __future__ import annotations

import streamlit as st

from audit_core import make_table
from audit_core.audits import RivalResult
from audit_core.tables import estimate_cells
from ui.parts.header import controls_line, figure_header, plain, table_with_csv
from ui.parts.measurements import show_forest


def show(found: RivalResult, place: str = "") -> None:
    """Show the circuit beside alternative circuits."""
    st.markdown(f"**{plain(found.sentence)}**")
    st.markdown(f"Search: {plain(found.how)}.")
    figure_header(
        "Kept alone by the circuit and its alternatives", "causal",
        "a set between the dashed lines keeps about the effect of the whole model.",
    )  # fmt: skip
    names = [
        "this circuit",
        *(f"alternative {at}, overlap {r.jaccard:.2f}" for at, r in enumerate(found.rivals, start=1)),
    ]
    circuits = (found.circuit, *found.rivals)
    show_forest(
        list(zip(names, (r.sufficiency for r in circuits), strict=True)), "Alternative circuits", f"rivals{place}",
        lines=((0.8, "0.8"), (1.2, "1.2")),
    )  # fmt: skip
    rows = [
        (name, ", ".join(r.components), r.jaccard, *estimate_cells(r.sufficiency.estimate)[:3], *estimate_cells(r.necessity.estimate)[:3])
        for name, r in zip(names, circuits, strict=True)
    ]  # fmt: skip
    columns = ("set", "components", "Jaccard index", "kept alone", "low", "high", "lost without", "low ", "high ")
    table_with_csv(lambda: make_table(columns, rows), "Alternative circuits in full", f"rivals-full{place}")
    controls_line(found.controls)
