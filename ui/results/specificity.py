"""What other tasks and unrelated text lose without a circuit."""

from __future__ import annotations

import streamlit as st

from audit_core import format_estimate
from audit_core.audits import SpecificityResult
from ui.parts.header import controls_line, figure_header, plain
from ui.parts.measurements import show_forest, show_measurements


def show(found: SpecificityResult, place: str = "") -> None:
    """Show losses on other tasks and on unrelated text."""
    for task in found.tasks:
        st.markdown(f"- {plain(task.task)}: **{plain(task.finding)}**")
    for name, why in found.untested.items():
        st.markdown(f"- {plain(name)}: not measured: {plain(why)}")
    figure_header(
        "What tasks lose without the circuit", "causal",
        "each as a fraction of its own gap. The first is the circuit's own task.",
    )  # fmt: skip
    rows = [("its own task", found.own), *((task.task, task.lost) for task in found.tasks)]
    show_forest(rows, "Tasks", f"tasks{place}", lines=((0.1, "0.1"),))
    differences = [(f"own − {task.task}", task.difference) for task in found.tasks]
    differences += [(f"{task.task} − own, its circuit", task.counterpart) for task in found.tasks if task.counterpart]
    show_measurements(differences, "Differences between tasks", f"differences{place}")
    if found.divergence is None:
        st.markdown(f"Unrelated text: not measured: {plain(found.text_not_measured)}")
    else:
        drawn = found.random_divergences
        st.markdown(
            f"Unrelated text: without the circuit the next token changes by **{plain(format_estimate(found.divergence.estimate))}**. "
            f"{found.random_as_large} of {len(drawn)} random sets of the same shape change it as much."
        )
    controls_line(found.controls)
