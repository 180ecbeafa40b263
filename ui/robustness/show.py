"""One claim under every perturbation and on other models: intervals in one figure, verdicts beside them."""

from __future__ import annotations

from typing import Any

import streamlit as st

from audit_core import format_estimate, make_table
from audit_core.audits import RobustnessResult, RobustnessRow
from audit_core.tables import estimate_cells
from ui.parts import figures
from ui.parts.header import controls_line, plain
from ui.parts.workbench import Table, pane_header, show_sentence

SHAPES = {"supported": "diamond", "negligible": "circle", "reversed": "triangle-left", "inconclusive": "x"}
"""Verdict → shape of its mark."""
_UNIT = "fraction of the clean–empty gap"
_NUMBERS = ("low", "high", "n")


def show_answer(found: RobustnessResult, kinds: str = "causal") -> None:
    """Show how many perturbations leave the verdict as it is."""
    show_sentence(found.finding, kinds, found.rows[0].n)


def show_effects(found: RobustnessResult, place: str = "") -> None:
    """Show the effect under every perturbation, with the verdict as the shape of its mark."""
    measured = [row for row in found.rows if row.effect is not None]
    pane_header(
        "Effect under each perturbation", "causal",
        f"Each mark is the effect of {plain(' '.join(found.judged))} with its 95 % interval, its shape the verdict. "
        "Dashed lines: the smallest effect of interest.",
        table=Table(lambda: tabulate(found), "Effect under each perturbation", f"robustness{place}"),
    )  # fmt: skip
    series = [
        (state, shape, [row.effect if row.state == state else None for row in measured])
        for state, shape in SHAPES.items()
        if any(row.state == state for row in measured)
    ]
    lines = [(found.delta, "δ")] + ([(-found.delta, "−δ")] if found.role == "necessary" else [])
    figures.show(
        figures.interval_rows(
            [row.label for row in measured], series, unit=_UNIT, lines=lines, is_effect=True, is_overlaid=True
        ),
        key=f"figure-robustness{place}",
        alt="One interval for each perturbation; the shape of its mark is the verdict. The table has the numbers.",
    )
    st.markdown("Every verdict has a level of its own: they are not corrected for the number of perturbations.")


def show_differences(found: RobustnessResult, place: str = "") -> None:
    """Show how far each effect lies from the effect as written, on the same prompts."""
    compared = [row for row in found.rows if row.difference is not None]
    pane_header(
        "Difference from the effect as written", "causal",
        "Each mark is the effect under a perturbation minus the effect as written, on the same prompts.",
        table=Table(lambda: tabulate(found), "Difference from the effect as written", f"difference{place}"),
    )  # fmt: skip
    figures.show(
        figures.interval_rows(
            [row.label for row in compared], [("difference", "square", [row.difference for row in compared])],
            unit=_UNIT, lines=[(0.0, "no difference")], is_effect=True,
        ),
        key=f"figure-difference{place}",
        alt="One interval for each perturbation on the same prompts. The table has the numbers.",
    )  # fmt: skip


def show_changes(found: RobustnessResult) -> None:
    """Show what each perturbation changes, an example, and its verdict in a sentence."""
    for row in found.rows:
        st.markdown(
            f"**{plain(row.label)}**" + (f" ({plain(row.group)})" if row.group else "") + f": {plain(row.change)}"
        )
        if row.not_measured:
            st.markdown(f"- Not measured: {plain(row.not_measured)}")
            continue
        st.markdown(f"- First prompt: *{plain(row.example)}*")
        st.markdown(f"- {plain(row.sentence)}")
        if row.in_range is not None:
            st.markdown(f"- With later neurons kept in their usual range: {plain(format_estimate(row.in_range))}.")
        else:
            why = row.no_range or "this result is older than that check."
            st.markdown(f"- In the usual range of later neurons: not measured; {plain(why)}")
    controls_line(found.controls)


def tabulate(found: RobustnessResult) -> Any:
    """Every row as a table."""
    names = (
        "perturbation", "varies", "verdict", "reason", "compared", "effect", *_NUMBERS, "templates",
        "smallest ablation", "difference", "difference low", "difference high", "prompts done right", "not measured",
        "in range", "in range low", "in range high", "in range not measured", "weights",
    )  # fmt: skip
    return make_table(names, [_list_cells(row) for row in found.rows])


def _list_cells(row: RobustnessRow) -> tuple[Any, ...]:
    shown = (row.effect, row.smallest, row.difference, row.in_range)
    effect, smallest, difference, in_range = (estimate_cells(one)[:4] for one in shown)
    return (
        row.label, row.group, row.state, row.reason or "", row.reading, *effect, row.n_templates, smallest[0],
        *difference[:3], row.accuracy, row.not_measured, *in_range[:3], row.no_range, row.weights_sha256[:12],
    )  # fmt: skip
