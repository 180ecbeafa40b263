"""What each question about a circuit found, with its conditions, its figure and its table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from audit_core import Component, Estimate, format_estimate, make_table
from audit_core.audits import (
    CircuitResult,
    CurveResult,
    RecompositionResult,
    RivalResult,
    SpecificityResult,
    StabilityResult,
    TransferResult,
)
from audit_core.stats import GroupEstimates, Measurement
from audit_core.tables import estimate_cells
from ui.circuit import figures
from ui.parts.header import conditions_line, controls_line, figure_header, plain, table_with_csv

SHOWN = 12
COLUMNS = ("value", "low", "high", "n", "unit")


def show_recomposition(found: RecompositionResult, place: str = "") -> None:
    """The walk: parts, where the effect sits, parts put back, what is left over."""
    st.markdown(
        f"**1. What parts there are.** {found.n_universe} components; this circuit names {len(found.parts)} of them."
    )
    figure_header(
        "2. Where the effect sits", "causal",
        "each part taken away from the whole model alone; below them all together, and the sum of the single ones. The two "
        "differ where parts pass something on to one another, or stand in for one another.",
    )  # fmt: skip
    singles = [(part.component, part.lost) for part in found.parts]
    rows = [
        *singles,
        ("all together", found.lost_together),
        ("added up", found.lost_added_up),
        ("difference", found.interaction),
    ]
    _show_forest(rows, "Lost without", f"lost{place}")
    figure_header(
        "3. Put back together", "causal",
        "everything else is taken away; then the parts come back one after another, from the first layer to the last.",
    )  # fmt: skip
    names = [part.component for part in found.parts]
    kept = [part.put_back.estimate for part in found.parts]
    st.plotly_chart(
        figures.staircase(names, kept, unit=kept[0].unit), key=f"stairs{place}", config={"displayModeBar": False},
        alt="Staircase of what is kept after each part is put back; the table below has the numbers.",
    )  # fmt: skip
    _show_table([(part.component, part.put_back) for part in found.parts], "Put back", f"back{place}")
    _show_conditions(found.parts[0].put_back)
    st.markdown(
        f"**4. What is left over.** The circuit alone keeps **{plain(format_estimate(found.kept.estimate))}**; what it leaves over "
        f"is **{plain(format_estimate(found.left_over.estimate))}**: done by components that it does not name, or, below zero, "
        "undone by them."
    )
    _show_conditions(found.kept)
    controls_line(found.controls)


def show_completeness(found: CircuitResult, place: str = "") -> None:
    """Gaps, worths and templates."""
    st.markdown(f"**{plain(found.completeness)}**")
    figure_header(
        "Gaps", "causal",
        "a subset is taken out of the circuit alone, and out of the whole model: a complete circuit loses as much as the model "
        "does, and the gap is zero. Below zero the model has something to fall back on that the circuit lacks.",
    )  # fmt: skip
    named = [(f"{', '.join(gap.subset)} ({gap.how})", gap.found) for gap in found.gaps]
    _show_forest(named, "Gaps", f"gaps{place}", lines=((-0.1, "−0.1"), (0.1, "0.1")))
    figure_header(
        "What each is worth to the circuit", "causal",
        "what the circuit alone loses without it, beside whichever subset makes that largest: it looks for the best of each.",
    )  # fmt: skip
    beside = [
        (f"{worth.component}{' beside ' + ', '.join(worth.beside) if worth.beside else ''}", worth.found)
        for worth in found.worths
    ]
    _show_forest(beside, "Worth", f"worth{place}")
    st.markdown(f"Idle beside every subset tried: **{', '.join(found.idle) or 'none'}**.")
    _show_groups(found.by_template, "Kept alone, template by template", f"templates{place}")
    conditions_line(found.by_template_conditions.as_pairs(), found.sufficiency.estimate.n)
    controls_line(found.controls)


def show_curve(found: CurveResult, place: str = "") -> None:
    """The order's curve beside chance."""
    figure_header(
        "How much the first few keep", "causal",
        "diamonds: the first components of the order that the search found; grey lines: random orders; square: this circuit. "
        "Sizes are not evenly spaced.",
    )  # fmt: skip
    st.plotly_chart(
        figures.curve(found), key=f"curve{place}", config={"displayModeBar": False},
        alt="What circuits of growing size keep, beside random orders; the table below has the numbers.",
    )  # fmt: skip
    rows = [(p.size, *estimate_cells(p.kept.estimate), min(p.random), max(p.random)) for p in found.points]
    columns = ("components kept", *COLUMNS, "lowest random order", "highest random order")
    table_with_csv(lambda: make_table(columns, rows), "Curve", f"curve-table{place}")
    st.markdown(
        f"Distance from the whole model (CMD, area between curve and 1): **{found.areas.cmd:.3f}**, "
        f"{found.random_as_near} of {len(found.random_areas)} random orders come as near. CPR (area under the curve): "
        f"{found.areas.cpr:.3f}; above 1 is no better understanding. n = {found.n}; areas have no interval."
    )
    _show_conditions(found.named)
    controls_line(found.controls)


def show_transfer(found: TransferResult, place: str = "") -> None:
    """Held-out templates."""
    st.markdown(f"**{plain(found.sentence)}**")
    rows = [("kept alone", found.sufficiency), ("lost without", found.necessity)]
    figure_header(
        "On templates that the search did not see", "causal",
        "for each template a circuit of the same size is found without it, and measured on it.",
    )  # fmt: skip
    _show_forest(rows, "Held-out templates", f"transfer{place}")
    _show_groups(found.found_elsewhere, "Circuits found without the template", f"elsewhere{place}")
    _show_groups(found.named, "This circuit, template by template", f"named{place}")
    table_with_csv(
        lambda: make_table(("template", "circuit found without it"), [(f.template, ", ".join(f.components)) for f in found.folds]),
        "Circuits found", f"folds{place}",
    )  # fmt: skip
    controls_line(found.controls)


def show_rival(found: RivalResult, place: str = "") -> None:
    """The circuit among its rivals."""
    st.markdown(f"**{plain(found.sentence)}**")
    st.markdown(f"Looked for by {plain(found.how)}.")
    figure_header(
        "Kept alone by the circuit and its rivals", "causal",
        "between the dashed lines a set keeps about what the whole model does.",
    )  # fmt: skip
    names = ["this circuit", *(f"rival {at}, overlap {r.jaccard:.2f}" for at, r in enumerate(found.rivals, start=1))]
    everyone = (found.circuit, *found.rivals)
    _show_forest(
        list(zip(names, (r.sufficiency for r in everyone), strict=True)), "Rivals", f"rivals{place}",
        lines=((0.8, "0.8"), (1.2, "1.2")),
    )  # fmt: skip
    rows = [
        (name, ", ".join(r.components), r.jaccard, *estimate_cells(r.sufficiency.estimate)[:3], *estimate_cells(r.necessity.estimate)[:3])
        for name, r in zip(names, everyone, strict=True)
    ]  # fmt: skip
    columns = ("set", "components", "Jaccard index", "kept alone", "low", "high", "lost without", "low ", "high ")
    table_with_csv(lambda: make_table(columns, rows), "Rivals in full", f"rivals-full{place}")
    controls_line(found.controls)


def show_stability(found: StabilityResult, place: str = "") -> None:
    """How often each component is found again."""
    st.markdown(f"**{plain(found.sentence)}**")
    st.markdown(
        f"Mean Jaccard index **{found.jaccard:.2f}** over pairs of {found.draws} bootstrap samples of {found.n} exploratory prompts in "
        f"{found.n_templates} templates; nine pairs in ten lie between {found.jaccard_low:.2f} and {found.jaccard_high:.2f} (a spread, "
        f"no interval). In nearly every sample: {', '.join(found.core) or 'none'}."
    )
    rows = [(kept.component, kept.share, kept.component in found.found) for kept in found.shares]
    table_with_csv(
        lambda: make_table(("component", "share of samples", "found on all prompts"), rows),
        "Found again",
        f"again{place}",
    )
    conditions_line(found.conditions.as_pairs(), found.n)
    if found.controls is not None:
        controls_line(found.controls)


def note_different_circuit(found: Any, components: Sequence[Component]) -> None:
    """Said where the search finds what nobody named: how steady that is says nothing of what was named."""
    if isinstance(found, StabilityResult) and set(found.found) != set(map(str, components)):
        st.warning(
            f"The search finds {plain(', '.join(found.found))}, which is another set than the one named here. However often it "
            "is found again, that says nothing of the one named here.",
            icon=":material/compare:",
        )


def show_specificity(found: SpecificityResult, place: str = "") -> None:
    """Other tasks, and unrelated text."""
    for task in found.tasks:
        st.markdown(f"- {plain(task.task)}: **{plain(task.finding)}**")
    for name, why in found.untested.items():
        st.markdown(f"- {plain(name)}: not measured: {plain(why)}")
    figure_header(
        "What tasks lose without the circuit", "causal",
        "each as a fraction of its own gap; the first is the circuit's own task.",
    )  # fmt: skip
    rows = [("its own task", found.own), *((task.task, task.lost) for task in found.tasks)]
    _show_forest(rows, "Tasks", f"tasks{place}", lines=((0.1, "0.1"),))
    differences = [(f"own − {task.task}", task.difference) for task in found.tasks]
    differences += [(f"{task.task} − own, its circuit", task.counterpart) for task in found.tasks if task.counterpart]
    _show_table(differences, "Differences between tasks", f"differences{place}")
    if found.divergence is None:
        st.markdown(f"Unrelated text: not measured: {plain(found.text_not_measured)}")
    else:
        drawn = found.random_divergences
        st.markdown(
            f"Unrelated text: without the circuit the next token changes by **{plain(format_estimate(found.divergence.estimate))}**; "
            f"{found.random_as_large} of {len(drawn)} random sets of its shape change it as much."
        )
    controls_line(found.controls)


SHOW: dict[str, Callable[..., None]] = {
    "recomposition": show_recomposition, "circuit": show_completeness, "curve": show_curve, "transfer": show_transfer,
    "rival": show_rival, "stability": show_stability, "specificity": show_specificity,
}  # fmt: skip


def _show_forest(
    rows: Sequence[tuple[str, Measurement]], name: str, key: str, *, lines: Sequence[tuple[float, str]] = ()
) -> None:
    shown = rows[:SHOWN]
    estimates: list[Estimate] = [found.estimate for _, found in shown]
    st.plotly_chart(
        figures.forest([text for text, _ in shown], estimates, unit=estimates[0].unit, lines=lines), key=key,
        config={"displayModeBar": False}, alt=f"{name}: one interval a row; the table below has the numbers.",
    )  # fmt: skip
    if len(rows) > SHOWN:
        st.markdown(f"The first {SHOWN} of {len(rows)}; the table has all.")
    _show_table(rows, name, f"{key}-table")
    _show_conditions(rows[0][1])


def _show_table(rows: Sequence[tuple[str, Measurement]], name: str, key: str) -> None:
    cells: list[tuple[Any, ...]] = [(text, *estimate_cells(m.estimate), m.conditions.set) for text, m in rows]
    table_with_csv(lambda: make_table(("what", *COLUMNS, "set"), cells), name, key)


def _show_groups(groups: GroupEstimates, name: str, key: str) -> None:
    rows = [(group, *estimate_cells(e), e.level) for group, e in zip(groups.names, groups.estimates, strict=True)]
    rows.sort(key=lambda row: row[1])
    columns = ("template, the worst first", *COLUMNS, "level; all intervals hold at once")
    table_with_csv(lambda: make_table(columns, rows), name, key)
    if groups.untested:
        st.markdown(f"Without a gap of their own, not tested: {plain(', '.join(groups.untested))}.")


def _show_conditions(found: Measurement) -> None:
    conditions_line(found.conditions.as_pairs(), found.estimate.n)
