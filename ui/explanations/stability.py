"""Explanations on the page: how far scores move beside a prompt, and the numbers that a policy can ask for."""

from __future__ import annotations

from typing import Any

import streamlit as st

from audit_core import format_estimate, make_table
from audit_core.audits import ExplanationsResult
from audit_core.tables import estimate_cells
from ui.parts import figures
from ui.parts.header import figure_header, plain, table_with_csv

_ESTIMATE = ("value", "low", "high", "n", "unit")
_EARLIER = "This result was measured by an earlier version. Measure it again."


def show_nearby(found: ExplanationsResult, place: str = "") -> None:
    """Show the shift of every method's scores on prompts that differ in one unit and keep their answer."""
    if all(row.local is None for row in found.methods):
        st.markdown(_EARLIER if not _is_new(found) else "No prompt has a neighbour that keeps its answer.")
        return
    figure_header(
        "Prompts that differ in one unit", "estimated",
        "the circle is the largest shift of a method's scores where the answer stays. The diamond is that minus the shift of the "
        "measured effects. A method is unstable with the circle right of 1 and the diamond right of 0, by whole intervals.",
    )  # fmt: skip
    figures.show(
        figures.interval_rows(
            [row.title for row in found.methods],
            [
                ("largest shift", "circle", [row.local for row in found.methods]),
                ("minus measured effects", "diamond-open", [row.local_excess for row in found.methods]),
            ],
            unit="Shift, in lengths of the scores", lines=((0.0, "0"), (1.0, "1")), is_effect=False,
        ),
        key=f"figure-nearby{place}",
        alt="Two intervals for each method: the largest shift of its scores, and the same minus that of the measured effects.",
    )  # fmt: skip
    table_with_csv(lambda: _table_nearby(found), "Stability beside the prompt", f"nearby{place}")


def show_policy_numbers(found: ExplanationsResult, place: str = "") -> None:
    """Show what a policy can ask of a method: what its first units cost, and how nearly its scores add up."""
    if not _is_new(found):
        st.markdown(_EARLIER)
        return
    figure_header(
        "Faithfulness", "causal",
        "what a method's first units cost beyond random ones, in fractions of the gap between the prompt and the prompt with "
        f"every unit replaced. Intervals hold for all methods together ({100 * found.level:.1f} % each). One prompt has no interval.",
    )  # fmt: skip
    figures.show(
        figures.interval_rows(
            [row.title for row in found.methods],
            [("gain over random orders", "diamond", [row.faithfulness for row in found.methods])],
            unit="Fraction of the gap", lines=((0.0, "0"),), is_effect=True,
        ),
        key=f"figure-faithfulness{place}",
        alt="One interval for each method: its gain over random orders as a fraction of the gap. The table has the numbers.",
    )  # fmt: skip
    table_with_csv(lambda: _table(found, "faithfulness"), "Faithfulness", f"faithfulness{place}")
    figure_header(
        "Completeness", "estimated",
        "the share of the change that a method's scores fail to add up to, over the prompts that it gave scores for. Methods whose "
        "scores divide no change are not listed.",
    )  # fmt: skip
    for row in found.methods:
        if row.completeness is not None:
            st.markdown(f"- {plain(row.title)}: {plain(format_estimate(row.completeness))}")
    table_with_csv(lambda: _table(found, "completeness"), "Completeness", f"completeness{place}")
    for row in found.methods:
        if row.completeness is not None and row.refused:
            st.markdown(f"- {plain(row.title)} refused {plain(row.refused)}")
    st.markdown(
        "A policy names them by path, such as `methods[method=integrated_gradients].faithfulness`. Freeze the question under it "
        "before the run."
    )


def _is_new(found: ExplanationsResult) -> bool:
    return any(row.faithfulness is not None for row in found.methods)


def _table_nearby(found: ExplanationsResult) -> Any:
    rows = [
        (row.title, what, *estimate_cells(value))
        for row in found.methods
        for what, value in (("largest shift", row.local), ("minus measured effects", row.local_excess))
        if value is not None
    ]
    return make_table(("method", "what", *_ESTIMATE), rows)


def _table(found: ExplanationsResult, field: str) -> Any:
    """One estimate of every method that has it."""
    rows = [(row.title, *estimate_cells(getattr(row, field))) for row in found.methods]
    return make_table(("method", *_ESTIMATE), [row for row in rows if row[1] is not None])
