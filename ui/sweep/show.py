"""The sweep on the page: the measured map as it grows, the estimate, the ranking, and the layer profile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import streamlit as st

from audit_core import (
    Auditor,
    Component,
    Direction,
    Kind,
    SweepRequest,
    format_components,
    format_estimate,
    make_table,
    parse_component,
    parse_components,
)
from audit_core.audits import EstimatedEffects, SweepPartial, SweepResult, find_effect_line
from audit_core.component import KINDS
from audit_core.tables import estimate_cells
from ui.parts import figures
from ui.parts.effect_files import offer_effects
from ui.parts.grid import Axes, layer_grid, place_cells
from ui.parts.header import conditions_line, figure_header, plain, show_table, table_with_csv
from ui.parts.map_cells import DELTA, SIGNS, colour_effects
from ui.parts.workbench import format_size, pane_header, show_sentence, split_panes

MARKED = 0.05
"""Adjusted p below which a component is marked."""
SHOWN = 25
MOST_CHOSEN = 40


def make_axes(names: Sequence[str]) -> Axes:
    """Axes with layers as columns and the components of a layer as rows."""
    parts = [parse_component(name) for name in names]
    n_layers = 1 + max(part.layer for part in parts)
    first = [part for part in parts if part.layer == parts[0].layer]
    rows = [_row_name(part) for part in first]
    # Every layer has a column, even if it lacks the component, as in a hybrid model.
    everywhere = [str(replace(part, layer=layer)) for layer in range(n_layers) for part in first]
    return Axes(n_layers, rows, everywhere, KINDS[parts[0].kind].title)


def _row_name(part: Component) -> str:
    if part.kind is Kind.RESID:
        return f"@{part.position}"
    return "MLP" if part.kind is Kind.MLP else str(part).rsplit(".", 1)[1]


def show_partial(partial: SweepPartial) -> None:
    """Show the state of a running sweep: the estimate, and the measured cells."""
    done = sum(value is not None for value in partial.exact)
    left, right = split_panes("growing")
    with left:
        _show_estimate(partial.screened, partial.components, "while")
    with right:
        pane_header(
            "What it does", "causal", "The largest estimates are measured first. A dot is not measured yet. " + SIGNS
        )
        texts = ["not measured yet" if e is None else f"effect {format_estimate(e)}" for e in partial.exact]
        values = [None if e is None else e.value for e in partial.exact]
        _draw(values, texts, partial.components, partial.unit, "Causal effect, growing", "grid-growing")
        st.markdown(
            f"{done} of {len(partial.exact)} measured on {'one prompt' if partial.n == 1 else f'{partial.n} prompts'}."
        )


def show_answer(result: SweepResult, request: SweepRequest) -> None:
    """Show in a sentence which component changes the answer most when it alone is ablated."""
    top = max(result.cells, key=lambda cell: abs(cell.estimate.value))
    verb = "lowers" if top.estimate.value > 0 else "raises"
    what = (
        f"the preference for “{request.prompts.pairs[0].prompt.answer.strip()}”"
        if result.n == 1
        else "the mean preference for the answer"
    )
    done = "Ablating" if request.direction is Direction.NOISING else "Restoring"
    if request.direction is not Direction.NOISING:
        verb = "raises" if top.estimate.value > 0 else "lowers"
    show_sentence(
        f"{done} {top.component} alone {verb} {what} most of all {len(result.cells)} components: by {format_size(top.estimate)}.",
        "causal", result.n,
    )  # fmt: skip


def show_panes(result: SweepResult) -> None:
    """Show the estimate at the left and the measured map at the right."""
    names = [cell.component for cell in result.cells]
    left, right = split_panes()
    with left:
        _show_estimate(result.screened, names, "after")
    reading = (
        f"Each component is ablated alone ({result.replacement}, {result.direction}). {SIGNS} "
        "Pick a cell to add it to the selection or remove it."
    )
    if first := parse_component(names[0]).position:
        reading += f" Positions 0 to {first - 1} are omitted, because both prompts are the same there."
    with right:
        pane_header("What it does", "causal", reading)
        values = [cell.estimate.value for cell in result.cells]
        texts = [f"effect {format_estimate(cell.estimate)}" for cell in result.cells]
        _draw(values, texts, names, result.unit, "Causal effect by layer", "grid-sweep")


def _draw(
    values: Sequence[float | None], texts: Sequence[str], names: Sequence[str], unit: str, label: str, key: str
) -> None:
    axes = make_axes(names)
    layer_grid(
        colour_effects(*place_cells(values, texts, names, axes), unit), axes, label=label, chosen="",
        inside=[str(c) for c in chosen()], key=key, on_pick=toggle,
    )  # fmt: skip


def _show_estimate(screened: EstimatedEffects | None, names: Sequence[str], where: str) -> None:
    if screened is None:
        pane_header("Estimate", "estimated", "A gradient estimate of every component, to compare with the measurement.")
        st.info("No estimator was chosen, or it does not support these components. Choose one under More.")
        return
    sign = "" if screened.is_signed else " Sizes only, because this estimator gives no sign."
    pane_header(
        f"Estimate by {screened.method.replace('_', ' ')}", "estimated",
        f"An estimate from gradients, not a measurement.{sign} {screened.misses} {SIGNS} Triangles of an estimate are hollow.",
    )  # fmt: skip
    texts = [f"estimated {format_estimate(estimate)}" for estimate in screened.support]
    values = [estimate.value for estimate in screened.support]
    axes = make_axes(names)
    placed = place_cells(values, texts, names, axes)
    layer_grid(
        colour_effects(*placed, "logits, estimated", is_estimate=True), axes, label="Estimated effect by layer",
        chosen="", inside=[], key=f"grid-estimate-{where}", on_pick=toggle,
    )  # fmt: skip


def show_comparison(result: SweepResult) -> None:
    """Show where estimate and measurement disagree."""
    screened = result.screened
    if screened is None:
        st.info("No estimator was chosen, or it does not support these components.", icon=":material/info:")
        return
    names = [cell.component for cell in result.cells]
    exact = np.array([cell.estimate.value for cell in result.cells])
    guess = np.array([estimate.value for estimate in screened.support])
    # An estimator without sign averages sizes over prompts, so it is compared with the mean of measured sizes.
    compared = exact if screened.is_signed else np.abs(result.per_prompt).mean(1)
    line = find_effect_line(result, DELTA)
    bar = line if line is not None else 0.1 * float(np.abs(exact).max() or 1.0)
    differs = np.abs(guess - compared) > bar
    missed = differs & (np.sign(compared) * (compared - guess) > 0)
    invented = differs & ~missed
    figure_header(
        "Estimated vs. measured", "estimated causal",
        f"marks on the line are exact estimates. Squares and crosses differ by more than {bar:.2f} {result.unit}. "
        "Squares were estimated too low or with the wrong sign, crosses too high.",
    )  # fmt: skip
    figure = figures.scatter_screen(names, guess, compared, missed, invented, unit=result.unit)
    figures.show(
        figure, key="screen-scatter", 
        alt="Scatter of estimated against measured effect, one mark per component. The table below has the numbers.",
    )  # fmt: skip
    st.markdown(
        f"Of {len(names)} components, **{int(missed.sum())}** were estimated too low or with the wrong sign. "
        f"**{int(invented.sum())}** were estimated too high. Both differ by more than {bar:.2f} {result.unit}."
    )
    rows = [
        (name, *estimate_cells(e), m, *estimate_cells(c.estimate)[1:3], "too low" if a else "too high" if b else "")
        for name, e, m, c, a, b in zip(
            names, screened.support, compared.tolist(), result.cells, missed, invented, strict=True
        )
    ]
    size = "effect" if screened.is_signed else "size of the effect"
    columns = (
        "component", "estimated", "low", "high", "n", "unit", f"measured {size}", "low of the effect", "high of the effect",
        "disagreement",
    )  # fmt: skip
    table_with_csv(lambda: make_table(columns, rows), "Estimated vs. measured", "screen")


def show_ranking(result: SweepResult, auditor: Auditor, request: SweepRequest) -> None:
    """Show components by size of effect, with intervals and multiplicity-corrected marks."""
    order = sorted(result.cells, key=lambda cell: -abs(cell.estimate.value))
    rule = (
        f"not drawn, {result.no_marks}"
        if result.no_marks
        else f"◆ differs from zero by Benjamini–Hochberg over {len(order)} components (false discovery rate 5 %, t over "
        f"{result.n_templates} template means). Different from zero does not mean large, so read the interval."
    )
    figure_header("Ranking", "causal", f"largest effect first. Marks: {rule}")
    columns = (
        "",
        "component",
        "effect",
        "low",
        "high",
        "n",
        "unit",
        "adjusted p",
        "fraction of the gap",
        "low ",
        "high ",
    )
    rows = [
        ("◆" if c.adjusted_p is not None and c.adjusted_p < MARKED else "", c.component, *estimate_cells(c.estimate),
         c.adjusted_p, *estimate_cells(c.fraction)[:3])
        for c in order
    ]  # fmt: skip
    show_table(make_table(columns, rows[:SHOWN]), key="ranking")
    if len(rows) > SHOWN:
        st.markdown(f"The {SHOWN} largest of {len(rows)}. The table below has all.")
    table_with_csv(lambda: make_table(columns, rows), "All components", "all-components")
    offer_effects(auditor, "sweep", request, result)
    if result.no_fraction:
        st.warning(f"No fraction of the gap is shown: {plain(result.no_fraction)}", icon=":material/warning:")
    kind = {"resid": "residual stream"}.get(result.kind, result.kind)
    conditions_line(
        (("granularity", "nodes"), ("component type", kind), ("ablation", result.replacement), ("positions", "one" if
         result.kind == "resid" else "all"), ("direction", result.direction), ("set", "each component alone")), result.n,
    )  # fmt: skip


def show_layers(result: SweepResult) -> None:
    """Show the effects added up per layer."""
    figure_header(
        "Layer profile", "causal",
        "per layer, the sum of its components' single effects. Above zero supports the answer, below zero opposes it. "
        f"Bars show the interval if there is one, n = {result.n}. The sum is not the effect of ablating the layer.",
    )  # fmt: skip
    figures.show(
        figures.layer_bars(result.layers, unit=result.unit), key="layers", 
        alt="Bars per layer, added effects that support the answer above zero and oppose it below. The table has the numbers.",
    )  # fmt: skip
    rows = [(layer, *estimate_cells(estimate)) for layer, estimate in enumerate(result.layers)]
    columns = ("layer", "added effects", "low", "high", "n", "unit")
    table_with_csv(lambda: make_table(columns, rows), "Layer profile", "layers")


def chosen() -> tuple[Component, ...]:
    """The current selection of components."""
    return parse_components(st.session_state.get("c", ""))


def toggle(name: str) -> None:
    """Add a component to the selection, or remove it."""
    st.session_state.c = format_components(set(chosen()) ^ {parse_component(name)})


def show_selection(result: SweepResult) -> str:
    """Show the selection and its buttons; returns the page to open, or an empty string."""
    names = [cell.component for cell in sorted(result.cells, key=lambda cell: -abs(cell.estimate.value))]
    kept = [str(c) for c in chosen()]
    st.session_state.sweep_chosen = kept
    st.multiselect(
        "Selection", [*names[:MOST_CHOSEN], *(c for c in kept if c not in names[:MOST_CHOSEN])], key="sweep_chosen",
        on_change=_take, placeholder="pick cells on the map, or choose here", label_visibility="collapsed",
        help="A selection made on these prompts is a proposal. Judge it on the confirmatory split.",
    )  # fmt: skip
    if st.button("Ablate this selection live", disabled=not kept, icon=":material/experiment:", type="primary"):
        return "live audit"
    return "circuit" if st.button("Test it as a circuit", disabled=not kept, icon=":material/hub:") else ""


def _take() -> None:
    st.session_state.c = format_components(parse_components(" ".join(st.session_state.sweep_chosen)))
