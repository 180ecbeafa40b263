"""Concepts on the page Vision: what TCAV says at the left, what the direction does at the right."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from audit_core import make_table
from audit_core.tables import estimate_cells
from audit_core.vision import ConceptRow, VisionResult
from ui.parts import figures
from ui.parts.header import plain
from ui.parts.workbench import Table, pane_header, split_panes

_ESTIMATE = ("value", "low", "high", "n")


def show_concepts(result: VisionResult, place: str = "") -> None:
    """Show every concept at every layer."""
    if not result.concepts:
        st.markdown(
            "Concepts were not tried: the result is of an earlier version, or a class has fewer than 40 images."
        )
        return
    st.markdown(
        "A concept is the region of one class, written into images of the other. The same pixels at the opposite place are a "
        "comparison. TCAV asks in which direction gradients point, and not how much an answer changes."
    )
    show_concept_rows(result.concepts, result.smallest, "fraction of the logit difference", "images", place)


def show_concept_rows(rows: Sequence[ConceptRow], smallest: float, unit: str, counted: str, place: str = "") -> None:
    """Show both findings of every concept at every layer.

    Args:
        counted: what the rows are, such as images.
    """
    names, counted = [f"{row.concept}, layer {row.layer}" for row in rows], plain(counted)
    left, right = split_panes(f"concepts{place}")
    with left:
        pane_header(
            "What TCAV says", "estimated",
            f"Each circle is the share of held-out {counted} whose gradient goes with the concept, over 30 random sets. Squares "
            "are directions between random sets.",
            table=Table(lambda: _table_said(rows), "TCAV", f"concepts-said{place}"),
        )  # fmt: skip
        figures.show(
            figures.interval_rows(
                names,
                [
                    ("concept", "circle", [row.score for row in rows]),
                    ("random sets", "square", [row.random_score for row in rows]),
                ],
                unit=f"TCAV, share of {counted}", lines=((0.5, "0.5"),), is_effect=False,
            ),
            f"figure-tcav{place}",
            "TCAV of each concept at each layer beside random sets, with intervals. The table has the numbers.",
        )  # fmt: skip
    with right:
        pane_header(
            "What the direction does", "causal",
            f"Each point is the change of the answer when the direction is added to {counted} without the concept, or taken from "
            f"{counted} with it.",
            table=Table(lambda: _table_done(rows), "Effects of directions", f"concepts-done{place}"),
        )  # fmt: skip
        figures.show(
            figures.interval_rows(
                names,
                [
                    ("added", "circle", [row.brought for row in rows]),
                    ("taken away", "square", [row.taken for row in rows]),
                ],
                unit=unit, lines=((0.0, "0"), (smallest, "smallest")), is_effect=True,
            ),
            f"figure-directions{place}",
            "Effect of adding and of taking away each direction, with intervals. The table has the numbers.",
        )  # fmt: skip
    for name, row in zip(names, rows, strict=True):
        st.markdown(f"- **{plain(name)}**: TCAV: *{plain(row.says)}*. The direction: *{plain(row.does)}*.")


def _table_said(concepts: Sequence[ConceptRow]) -> Any:
    names = (
        "concept", "layer", *(f"TCAV {part}" for part in _ESTIMATE), *(f"random {part}" for part in _ESTIMATE),
        "p, Holm", "finding", *(f"classified right {part}" for part in _ESTIMATE),
    )  # fmt: skip
    rows = [
        (
            row.concept, row.layer, *estimate_cells(row.score)[:4], *estimate_cells(row.random_score)[:4], row.p, row.says,
            *estimate_cells(row.accuracy)[:4],
        )
        for row in concepts
    ]  # fmt: skip
    return make_table(names, rows)


def _table_done(concepts: Sequence[ConceptRow]) -> Any:
    names = (
        "concept", "layer", *(f"added {part}" for part in _ESTIMATE), *(f"taken {part}" for part in _ESTIMATE),
        "p, random directions", "finding",
    )  # fmt: skip
    rows = [
        (row.concept, row.layer, *estimate_cells(row.brought)[:4], *estimate_cells(row.taken)[:4], row.p_null, row.does)
        for row in concepts
    ]
    return make_table(names, rows)
