"""Transfer of a circuit to held-out templates."""

from __future__ import annotations

import streamlit as st

from audit_core import make_table
from audit_core.audits import TransferResult
from ui.parts.header import controls_line, figure_header, plain, table_with_csv
from ui.parts.measurements import show_forest, show_groups


def show(found: TransferResult, place: str = "") -> None:
    """Show transfer to held-out templates."""
    st.markdown(f"**{plain(found.sentence)}**")
    rows = [("kept alone", found.sufficiency), ("lost without", found.necessity)]
    figure_header(
        "Held-out templates", "causal",
        "for each template, a circuit of the same size is found on the others and measured on it.",
    )  # fmt: skip
    show_forest(rows, "Held-out templates", f"transfer{place}")
    show_groups(found.found_elsewhere, "Circuits found without the template", f"elsewhere{place}")
    show_groups(found.named, "This circuit, template by template", f"named{place}")
    table_with_csv(
        lambda: make_table(("template", "circuit found without it"), [(f.template, ", ".join(f.components)) for f in found.folds]),
        "Circuits found", f"folds{place}",
    )  # fmt: skip
    controls_line(found.controls)
