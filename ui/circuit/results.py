"""Findings of each robustness check, with conditions, figure and table."""

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
from ui.parts.figures import show as show_figure
from ui.parts.header import conditions_line, controls_line, figure_header, plain, table_with_csv

SHOWN = 12
COLUMNS = ("value", "low", "high", "n", "unit")


def show_recomposition(found: RecompositionResult, place: str = "") -> None:
    """Show components, their effects, the recomposition, and the unexplained rest."""
    st.markdown(f"**1. Components.** This circuit names {len(found.parts)} of {found.n_universe} components.")
    figure_header(
        "2. Effects of single components", "causal",
        "each component ablated alone in the whole model, then all together, and the sum of the single effects. "
        "The two differ where components depend on one another or compensate for one another.",
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
        "3. Recomposition", "causal",
        "everything is ablated, then the components are restored one after another, from the first layer to the last.",
    )  # fmt: skip
    names = [part.component for part in found.parts]
    kept = [part.put_back.estimate for part in found.parts]
    show_figure(
        figures.staircase(names, kept, unit=kept[0].unit), key=f"stairs{place}",
        alt="Staircase of the effect kept after restoring each component. The table below has the numbers.",
    )  # fmt: skip
    _show_table([(part.component, part.put_back) for part in found.parts], "Put back", f"back{place}")
    _show_conditions(found.parts[0].put_back)
    st.markdown(
        f"**4. Unexplained.** The circuit alone keeps **{plain(format_estimate(found.kept.estimate))}**. "
        f"Other components explain the remaining **{plain(format_estimate(found.left_over.estimate))}**. "
        "Below zero, they oppose the circuit."
    )
    _show_conditions(found.kept)
    controls_line(found.controls)


def show_completeness(found: CircuitResult, place: str = "") -> None:
    """Show completeness gaps, minimality scores and templates."""
    st.markdown(f"**{plain(found.completeness)}**")
    figure_header(
        "Gaps", "causal",
        "a subset is ablated in the circuit alone and in the whole model. For a complete circuit both lose the same, so the gap is zero. "
        "Below zero, the model has a backup that the circuit lacks.",
    )  # fmt: skip
    named = [(f"{', '.join(gap.subset)} ({gap.how})", gap.found) for gap in found.gaps]
    _show_forest(named, "Gaps", f"gaps{place}", lines=((-0.1, "−0.1"), (0.1, "0.1")))
    figure_header(
        "Minimality", "causal",
        "loss of the circuit without the component, maximised over the subsets tried.",
    )  # fmt: skip
    beside = [
        (f"{worth.component}{' without ' + ', '.join(worth.beside) if worth.beside else ''}", worth.found)
        for worth in found.worths
    ]
    _show_forest(beside, "Minimality", f"worth{place}")
    st.markdown(f"Redundant for every subset tried: **{', '.join(found.idle) or 'none'}**.")
    _show_groups(found.by_template, "Kept alone, template by template", f"templates{place}")
    conditions_line(found.by_template_conditions.as_pairs(), found.sufficiency.estimate.n)
    controls_line(found.controls)


def show_curve(found: CurveResult, place: str = "") -> None:
    """Show the curve of the order beside random orders."""
    figure_header(
        "Effect kept by circuit size", "causal",
        "diamonds are the first components of the order that the search found, and grey lines are random orders. "
        "The square is this circuit. Sizes are not evenly spaced.",
    )  # fmt: skip
    show_figure(
        figures.curve(found), key=f"curve{place}",
        alt="Effect kept by circuits of growing size, beside random orders. The table below has the numbers.",
    )  # fmt: skip
    rows = [(p.size, *estimate_cells(p.kept.estimate), min(p.random), max(p.random)) for p in found.points]
    columns = ("components kept", *COLUMNS, "lowest random order", "highest random order")
    table_with_csv(lambda: make_table(columns, rows), "Curve", f"curve-table{place}")
    st.markdown(
        f"Distance from the whole model (CMD, area between curve and 1): **{found.areas.cmd:.3f}**. "
        f"{found.random_as_near} of {len(found.random_areas)} random orders come as near. CPR (area under the curve): "
        f"{found.areas.cpr:.3f}. A CPR above 1 is not better. n = {found.n}. Areas have no interval."
    )
    _show_conditions(found.named)
    controls_line(found.controls)


def show_transfer(found: TransferResult, place: str = "") -> None:
    """Show transfer to held-out templates."""
    st.markdown(f"**{plain(found.sentence)}**")
    rows = [("kept alone", found.sufficiency), ("lost without", found.necessity)]
    figure_header(
        "Held-out templates", "causal",
        "for each template, a circuit of the same size is found on the others and measured on it.",
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
    _show_forest(
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


def show_stability(found: StabilityResult, place: str = "") -> None:
    """Show how often each component is selected."""
    st.markdown(f"**{plain(found.sentence)}**")
    st.markdown(
        f"Mean Jaccard index **{found.jaccard:.2f}** over pairs of {found.draws} bootstrap samples of {found.n} exploratory prompts in "
        f"{found.n_templates} templates. Nine pairs in ten lie between {found.jaccard_low:.2f} and {found.jaccard_high:.2f}, a spread "
        f"and not an interval. In nearly every sample: {', '.join(found.core) or 'none'}."
    )
    rows = [(kept.component, kept.share, kept.component in found.found) for kept in found.shares]
    table_with_csv(
        lambda: make_table(("component", "share of samples", "found on all prompts"), rows),
        "Selection frequency",
        f"again{place}",
    )
    conditions_line(found.conditions.as_pairs(), found.n)
    if found.controls is not None:
        controls_line(found.controls)


def note_different_circuit(found: Any, components: Sequence[Component]) -> None:
    """Warn that the search finds a different set: its stability is no evidence for the named circuit."""
    if isinstance(found, StabilityResult) and set(found.found) != set(map(str, components)):
        st.warning(
            f"The search finds a different set: {plain(', '.join(found.found))}. "
            "Its selection frequency is no evidence for the circuit named here.",
            icon=":material/compare:",
        )


def show_specificity(found: SpecificityResult, place: str = "") -> None:
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
    _show_forest(rows, "Tasks", f"tasks{place}", lines=((0.1, "0.1"),))
    differences = [(f"own − {task.task}", task.difference) for task in found.tasks]
    differences += [(f"{task.task} − own, its circuit", task.counterpart) for task in found.tasks if task.counterpart]
    _show_table(differences, "Differences between tasks", f"differences{place}")
    if found.divergence is None:
        st.markdown(f"Unrelated text: not measured: {plain(found.text_not_measured)}")
    else:
        drawn = found.random_divergences
        st.markdown(
            f"Unrelated text: without the circuit the next token changes by **{plain(format_estimate(found.divergence.estimate))}**. "
            f"{found.random_as_large} of {len(drawn)} random sets of the same shape change it as much."
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
    show_figure(
        figures.forest([text for text, _ in shown], estimates, unit=estimates[0].unit, lines=lines), key=key,
        alt=f"{name}: one interval per row. The table below has the numbers.",
    )  # fmt: skip
    if len(rows) > SHOWN:
        st.markdown(f"The first {SHOWN} of {len(rows)}. The table has all.")
    _show_table(rows, name, f"{key}-table")
    _show_conditions(rows[0][1])


def _show_table(rows: Sequence[tuple[str, Measurement]], name: str, key: str) -> None:
    cells: list[tuple[Any, ...]] = [(text, *estimate_cells(m.estimate), m.conditions.set) for text, m in rows]
    table_with_csv(lambda: make_table(("what", *COLUMNS, "set"), cells), name, key)


def _show_groups(groups: GroupEstimates, name: str, key: str) -> None:
    rows = [(group, *estimate_cells(e), e.level) for group, e in zip(groups.names, groups.estimates, strict=True)]
    rows.sort(key=lambda row: row[1])
    columns = ("template, worst first", *COLUMNS, "simultaneous level")
    table_with_csv(lambda: make_table(columns, rows), name, key)
    if groups.untested:
        st.markdown(f"Not tested, because there is no clean–corrupted gap: {plain(', '.join(groups.untested))}.")


def _show_conditions(found: Measurement) -> None:
    conditions_line(found.conditions.as_pairs(), found.estimate.n)
