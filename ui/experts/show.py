"""Experts on the page: load beside effect on one grid, the parts of a mask, sets of experts, and the routing of each layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from audit_core import Estimate, format_estimate, make_table, parse_component
from audit_core.audits import ExpertRow, ExpertsResult, JointEffect
from audit_core.tables import estimate_cells
from ui.experts import drawings
from ui.parts import figures
from ui.parts.grid import Axes, layer_grid, place_cells
from ui.parts.header import conditions_line, controls_line, figure_header, plain, show_table, table_with_csv
from ui.parts.map_cells import SIGNS, colour_effects
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes

NOT_ROUTED = "⊘"
SHOWN = 8
"""Experts whose mask is drawn in parts: those with the largest effect under a mask."""
_ESTIMATE = ("value", "low", "high", "n", "unit")


def pick(name: str) -> None:
    """Put an expert in focus."""
    st.session_state.expert = name


def find_focus(result: ExpertsResult) -> ExpertRow:
    """The expert in focus: the picked one, else the one with the largest effect."""
    named = {_plain_name(row): row for row in result.experts}
    if st.session_state.get("expert") in named:
        return named[st.session_state.expert]
    return max(result.experts, key=lambda row: abs(row.effects["zero"].value) if row.effects else -1.0)


def _plain_name(row: ExpertRow) -> str:
    return row.component.removesuffix("@-1")


def show_answer(result: ExpertsResult) -> None:
    """Show the finding, and how well load ranks the effects."""
    show_sentence(result.finding, "causal observational", result.n)
    if result.load_agreement is not None:
        st.markdown(
            f"Load and gate weight are observations. Load ranks the experts as their effects do with "
            f"{plain(format_estimate(result.load_agreement))}."
        )
    if result.no_fraction:
        st.warning(f"No fraction of the gap is shown: {plain(result.no_fraction)}", icon=":material/warning:")


def show_panes(result: ExpertsResult) -> None:
    """Show what each expert received at the left, and its effect at the right, on the same grid."""
    focus = _plain_name(find_focus(result))
    names = [_plain_name(row) for row in result.experts]
    parts = [parse_component(name) for name in names]
    indices = sorted({part.index for part in parts})
    n_layers = 1 + max(part.layer for part in parts)
    everywhere = [f"L{layer}.E{index}" for layer in range(n_layers) for index in indices]
    axes = Axes(n_layers, [f"E{index}" for index in indices], everywhere, "expert")
    left, right = split_panes()
    with left:
        pane_header(
            "Where tokens go", "observational",
            "Each cell is the share of a layer's choices that the router gave to an expert. A digit is the tenths. "
            f"{NOT_ROUTED} received no token of these prompts.",
            table=Table(lambda: _table_received(result.experts), "Tokens received", "received"),
        )  # fmt: skip
        texts = [_say_load(row) for row in result.experts]
        values = [row.load.value if row.slots else None for row in result.experts]
        layer_grid(
            drawings.colour_load(*place_cells(values, texts, names, axes), NOT_ROUTED), axes, label="Share of choices by layer",
            chosen=focus, inside=[], key="grid-load", on_pick=pick,
        )  # fmt: skip
    with right:
        pane_header(
            "What each expert does", "causal",
            f"The loss of the metric when one expert's output is set to zero. {SIGNS} {NOT_ROUTED} was not tested: "
            "without tokens its effect is zero by construction.",
            table=Table(lambda: _table_effects(result.experts), "Effects of experts", "effects"),
        )  # fmt: skip
        texts = [_say_effect(row) for row in result.experts]
        values = [row.effects["zero"].value if row.effects else None for row in result.experts]
        cells = colour_effects(*place_cells(values, texts, names, axes), result.unit)
        layer_grid(
            drawings.mark_not_routed(cells, NOT_ROUTED), axes, label="Causal effect by layer", chosen=focus, inside=[],
            key="grid-experts", on_pick=pick,
        )  # fmt: skip


def _say_load(row: ExpertRow) -> str:
    if not row.slots:
        return f"not routed, 0 of {row.n_tokens:,} tokens"
    return f"{row.slots:,} of {row.n_tokens:,} tokens, load {format_estimate(row.load)}"


def _say_effect(row: ExpertRow) -> str:
    if not row.effects:
        return f"not routed, 0 of {row.n_tokens:,} tokens, not tested"
    return f"effect {format_estimate(row.effects['zero'])}, {row.reading}"


def show_split(result: ExpertsResult) -> None:
    """Show what masking an expert in the router does, in three parts that add up."""
    figure_header(
        "Masked in the router", "causal",
        "a mask removes the expert's output, gives its weight to the others, and lets another expert in. "
        "The three bars add up to the mask. Only the first is what the expert wrote.",
    )  # fmt: skip
    rows = sorted((row for row in result.experts if row.split), key=lambda row: -abs(row.split.whole.value))[:SHOWN]  # type: ignore[union-attr]
    if not rows:
        st.info("No expert received a token of these prompts.", icon=":material/info:")
        return
    figures.show(
        drawings.split_bars([(row.component, row.split) for row in rows if row.split], unit=result.unit), key="mask-split",
        alt="Three bars for each expert: output removed, survivors reweighted, newcomer. The table below has the numbers.",
    )  # fmt: skip
    table_with_csv(lambda: _table_split(result.experts), "Masked in the router", "mask-split")


def show_focus(result: ExpertsResult) -> None:
    """Show one expert under every replacement."""
    row = find_focus(result)
    figure_header(
        plain(row.component), "observational causal",
        "tokens received are an observation. Effects are measured by replacing what the expert writes at those tokens.",
    )  # fmt: skip
    st.markdown(
        f"Received **{row.slots:,}** of {row.n_tokens:,} tokens. Load: {plain(format_estimate(row.load))}. "
        f"Mean weight: {plain(format_estimate(row.weight))}. Reading: **{plain(row.reading)}**."
    )
    if not row.effects:
        st.info("Its effect is zero by construction, so it was not tested.", icon=":material/info:")
        return
    found = [
        (name, *estimate_cells(row.effects[name]), *estimate_cells(row.fractions.get(name))[:3]) for name in row.effects
    ]
    columns = ("replacement", *_ESTIMATE, "fraction of the gap", "low ", "high ")
    show_table(make_table(columns, found), key="focus-table")
    for name, why in row.not_measured.items():
        st.warning(f"{plain(name)}: {plain(why)}", icon=":material/warning:")


def show_together(result: ExpertsResult) -> None:
    """Show sets of experts ablated together: pairs chosen for the same tokens, and whole layers."""
    figure_header(
        "Together", "causal",
        "experts that do nothing alone may replace each other. An interaction above zero is an effect that only the pair has.",
    )  # fmt: skip
    columns = (
        "experts",
        "tokens",
        "joint effect",
        "low",
        "high",
        "n",
        "unit",
        "interaction",
        "low ",
        "high ",
        "reading",
    )
    st.markdown("**Pairs that were chosen together most often**")
    show_table(make_table(columns, [_row_joint(pair) for pair in result.pairs]), key="pairs")
    st.markdown("**All experts of a layer**")
    show_table(make_table(columns, [_row_joint(group) for group in result.whole_layers]), key="whole-layers")


def _row_joint(group: JointEffect) -> tuple[Any, ...]:
    names = (
        " + ".join(group.components)
        if len(group.components) <= 3
        else f"{len(group.components)} experts of layer " + (str(parse_component(group.components[0]).layer))
    )
    return (
        names,
        group.tokens_together,
        *estimate_cells(group.effects["zero"]),
        *estimate_cells(group.interaction)[:3],
        group.reading,
    )


def show_routing(result: ExpertsResult) -> None:
    """Show each layer's routing, and the way of one prompt's tokens."""
    figure_header(
        "Routing", "observational",
        "each cell names the expert with the largest weight for a token. Darker means a larger weight. Nothing was changed.",
    )  # fmt: skip
    figures.show(
        drawings.trace_map(result.trace, result.tokens), key="trace",
        alt="Map of the first prompt, tokens by layers, with the expert that each token was sent to. The table has the numbers.",
    )  # fmt: skip
    rows = [(one.position, result.tokens[one.position], one.layer, expert, weight)
            for one in result.trace for expert, weight in zip(one.experts, one.weights, strict=True)]  # fmt: skip
    table_with_csv(
        lambda: make_table(("position", "token", "layer", "expert", "weight"), rows), "Routing of one prompt", "trace"
    )
    columns = (
        "layer", "entropy of load, nats", "entropy of weights, nats", "low", "high", "n", "committee", "choices that change",
        "low ", "high ", "information on the template, nats", "p",
    )  # fmt: skip
    layers = [
        (one.layer, one.load_entropy, *estimate_cells(one.weight_entropy)[:4], ", ".join(f"E{i}" for i in one.committee),
         *estimate_cells(one.changed)[:3], one.template_information, one.template_p)
        for one in result.layers
    ]  # fmt: skip
    st.markdown("**Each layer's router.** A committee is the smallest set of experts with 70 % of the weight.")
    show_table(make_table(columns, layers), key="layers")


def show_details(result: ExpertsResult) -> None:
    """Show conditions, controls, and how well load ranks the effects."""
    figure_header("How it was measured", "causal", "the conditions that every effect of this page depends on.")
    if result.no_agreement:
        st.markdown(f"Load and effect could not be compared: {plain(result.no_agreement)}")
    conditions_line(
        (("granularity", "nodes"), ("component type", "expert"), ("ablation", "zero, mean, resample"), ("positions", result.scope),
         ("direction", "noising"), ("set", "each expert alone")), result.n,
    )  # fmt: skip
    controls_line(result.controls)
    st.markdown(f"Experts ran as **{plain(result.backend)}**. Templates: **{result.n_templates}**.")


def _table_received(rows: Sequence[ExpertRow]) -> Any:
    columns = ("expert", "tokens", "of", "load", "low", "high", "n", "mean weight", "low ", "high ")
    return make_table(
        columns,
        [(r.component, r.slots, r.n_tokens, *estimate_cells(r.load)[:4], *estimate_cells(r.weight)[:3]) for r in rows],
    )


def _table_effects(rows: Sequence[ExpertRow]) -> Any:
    columns = ("expert", "replacement", *_ESTIMATE, "fraction of the gap", "low ", "high ", "reading")
    found = [
        (row.component, name, *estimate_cells(value), *_fraction(row.fractions, name), row.reading)
        for row in rows
        for name, value in row.effects.items()
    ]
    missing = [(row.component, None, *(None,) * 5, *(None,) * 3, row.reading) for row in rows if not row.effects]
    return make_table(columns, [*found, *missing])


def _fraction(fractions: Mapping[str, Estimate], name: str) -> tuple[Any, ...]:
    return tuple(estimate_cells(fractions.get(name))[:3])


def _table_split(rows: Sequence[ExpertRow]) -> Any:
    columns = ("expert", "part", *_ESTIMATE)
    found = [
        (row.component, name, *estimate_cells(getattr(row.split, field)))
        for row in rows
        if row.split
        for field, name in (*drawings.PARTS.items(), ("whole", "masked"))
    ]
    return make_table(columns, found)
