"""Experts on the page: load beside effect on one grid, the parts of a mask, sets of experts, and the routing of each layer."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from audit_core import Estimate, Kind, format_estimate, make_table, parse_component
from audit_core.audits import ExpertRow, ExpertsResult, SharedRow
from ui.experts import drawings, tables
from ui.parts import figures
from ui.parts.grid import Axes, layer_grid, place_cells
from ui.parts.header import conditions_line, controls_line, figure_header, plain, table_with_csv
from ui.parts.map_cells import SIGNS, colour_effects
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes

NOT_ROUTED = "⊘"
SHOWN = 8
"""Experts whose mask is drawn in parts: those with the largest effect under a mask."""
SHARED_ROW = "S"


def pick(name: str) -> None:
    """Put an expert in focus."""
    st.session_state.expert = name


def find_focus(result: ExpertsResult) -> ExpertRow | SharedRow:
    """The expert or shared path in focus: the picked one, else the expert with the largest effect."""
    named: dict[str, ExpertRow | SharedRow] = {_plain_name(row): row for row in (*result.experts, *result.shared)}
    if st.session_state.get("expert") in named:
        return named[st.session_state.expert]
    return max(result.experts, key=lambda row: abs(row.effects["zero"].value) if row.effects else -1.0)


def _plain_name(row: ExpertRow | SharedRow) -> str:
    return row.component.removesuffix("@-1")


def show_answer(result: ExpertsResult) -> None:
    """Show the finding, and how well load ranks the effects."""
    show_sentence(result.finding, "causal observational", result.n)
    said = [f"{one.screen} {_say_agreement(one.agreement)}" for one in result.screens if one.agreement is not None]
    if said:
        st.markdown(
            "Load, weight and norms are observations. How well each ranks the experts as their effects do, as Spearman ρ: "
            f"{plain(', '.join(said))}."
        )
    if result.no_fraction:
        st.warning(f"No fraction of the gap is shown: {plain(result.no_fraction)}", icon=":material/warning:")


def _say_agreement(rho: Estimate) -> str:
    numbers = [number for number in (rho.value, rho.low, rho.high) if number is not None]
    # Adding zero turns −0.0 into 0.0.
    value, *ends = (f"{round(number, 2) + 0.0:.2f}".replace("-", "−") for number in numbers)
    return value + (f" [{', '.join(ends)}]" if ends else "")


def show_panes(result: ExpertsResult) -> None:
    """Show what each expert received at the left, and its effect at the right, on the same grid."""
    focus = _plain_name(find_focus(result))
    names = [_plain_name(row) for row in (*result.experts, *result.shared)]
    axes = _make_axes(names)
    note = f" {SHARED_ROW} is the shared path, which every token passes through." if result.shared else ""
    left, right = split_panes()
    with left:
        pane_header(
            "Where tokens go", "observational",
            "Each cell is the share of a layer's choices that the router gave to an expert. A digit is the tenths. "
            f"{NOT_ROUTED} received no token of these prompts.{plain(note)}",
            table=Table(lambda: tables.received(result.experts), "Tokens received", "received"),
        )  # fmt: skip
        texts = [_say_load(row) for row in result.experts] + ["every token, without a router"] * len(result.shared)
        values = [row.load.value if row.slots else None for row in result.experts] + [1.0] * len(result.shared)
        cells = drawings.colour_load(*place_cells(values, texts, names, axes), NOT_ROUTED)
        layer_grid(
            drawings.mark_shared(cells, axes.names), axes, label="Share of choices by layer",
            chosen=focus, inside=[], key="grid-load", on_pick=pick,
        )  # fmt: skip
    with right:
        pane_header(
            "What each expert does", "causal",
            f"The loss of the metric when one expert's output is set to zero. {SIGNS} {NOT_ROUTED} was not tested: "
            f"without tokens its effect is zero by construction.{plain(note)}",
            table=Table(lambda: tables.effects(result), "Effects of experts", "effects"),
        )  # fmt: skip
        texts = [_say_effect(row) for row in (*result.experts, *result.shared)]
        values = [row.effects["zero"].value if row.effects else None for row in (*result.experts, *result.shared)]
        cells = colour_effects(*place_cells(values, texts, names, axes), result.unit)
        layer_grid(
            drawings.mark_not_routed(cells, NOT_ROUTED), axes, label="Causal effect by layer", chosen=focus, inside=[],
            key="grid-experts", on_pick=pick,
        )  # fmt: skip


def _make_axes(names: Sequence[str]) -> Axes:
    """Layers by experts, with a row for the shared path where there is one."""
    parts = [parse_component(name) for name in names]
    rows = [f"E{index}" for index in sorted({part.index for part in parts if part.kind is Kind.EXPERT})]
    rows += ["SHARED"] if any(part.kind is Kind.SHARED for part in parts) else []
    n_layers = 1 + max(part.layer for part in parts)
    everywhere = [f"L{layer}.{row}" for layer in range(n_layers) for row in rows]
    return Axes(n_layers, [SHARED_ROW if row == "SHARED" else row for row in rows], everywhere, "expert")


def _say_load(row: ExpertRow) -> str:
    if not row.slots:
        return f"not routed, 0 of {row.n_tokens:,} tokens"
    return f"{row.slots:,} of {row.n_tokens:,} tokens, load {format_estimate(row.load)}"


def _say_effect(row: ExpertRow | SharedRow) -> str:
    if isinstance(row, ExpertRow) and not row.effects:
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
    table_with_csv(lambda: tables.split(result.experts), "Masked in the router", "mask-split")


def show_focus(result: ExpertsResult) -> None:
    """Show one expert under every replacement."""
    row = find_focus(result)
    figure_header(
        plain(row.component), "observational causal",
        "tokens received are an observation. Effects are measured by replacing what the expert writes at those tokens.",
    )  # fmt: skip
    if isinstance(row, SharedRow):
        st.markdown(
            f"Every token passes through it. Restored in the corrupted run, it gives back "
            f"{plain(format_estimate(row.restored))}. Reading: **{plain(row.reading)}**."
        )
    else:
        norm = "" if row.output_norm is None else f"Mean output length: {row.output_norm.value:.2f}. "
        st.markdown(
            f"Received **{row.slots:,}** of {row.n_tokens:,} tokens. Load: {plain(format_estimate(row.load))}. "
            f"Mean weight: {plain(format_estimate(row.weight))}. {plain(norm)}Reading: **{plain(row.reading)}**."
        )
    if not row.effects:
        st.info("Its effect is zero by construction, so it was not tested.", icon=":material/info:")
        return
    tables.show_rounded(tables.one_row(row), "focus-table")
    tables.say_rounding()


def show_together(result: ExpertsResult) -> None:
    """Show sets of experts ablated together: pairs chosen for the same tokens, and whole layers."""
    figure_header(
        "Together", "causal",
        "experts that do nothing alone may replace each other. An interaction above zero is an effect that only the pair has.",
    )  # fmt: skip
    st.markdown("**Pairs that were chosen together most often**")
    tables.show_rounded(tables.joint(result.pairs), "pairs")
    st.markdown("**All experts of a layer**")
    tables.show_rounded(tables.joint(result.whole_layers), "whole-layers")
    if result.shared:
        st.markdown("**The shared path of each layer**")
        tables.show_rounded(tables.shared(result.shared), "shared-paths")
    elif result.no_shared:
        st.info(plain(result.no_shared), icon=":material/info:")
    tables.say_rounding()


def show_forced(result: ExpertsResult) -> None:
    """Show the effect of stated experts in the place of the router's choice."""
    figure_header(
        "Forced route", "causal",
        "the stated experts are chosen in the place of the router's choice. The router weighs them, by its own scores and rule.",
    )  # fmt: skip
    if not result.forced:
        st.info(
            "Name as many experts as the router chooses in *Force the route to*, such as L0.E5@-1 L0.E6@-1.",
            icon=":material/info:",
        )
        return
    tables.show_rounded(tables.forced(result.forced), "forced-routes")
    tables.say_rounding()


def show_weights(result: ExpertsResult) -> None:
    """Show the metric as the weight of stated experts varies."""
    figure_header(
        "Token weight", "causal",
        "the weight that the router gave an expert is multiplied, and nothing else changes. Times 1 is a control: it changes nothing. "
        "An effect above zero is a loss of the metric.",
    )  # fmt: skip
    if not result.weighed:
        st.info("Name experts in *Vary the weight of*, such as L0.E5.", icon=":material/info:")
        return
    for one in result.weighed:
        said = "it received no token of these prompts" if not one.points else f"the metric: {one.reading}"
        st.markdown(f"**{plain(one.component)}**: {plain(said)}.")
    tables.show_rounded(tables.weighed(result.weighed), "weights")
    tables.say_rounding()


def show_routing(result: ExpertsResult) -> None:
    """Show each layer's routing, and the way of one prompt's tokens."""
    figure_header(
        "Routing", "observational",
        "each cell names the expert with the largest weight for a token. The bar gives the weight of a shade. Nothing was changed.",
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
    st.markdown("**Each layer's router.** A committee is the smallest set of experts with 70 % of the weight.")
    tables.show_rounded(tables.layers(result.layers), "layers")
    st.markdown(
        "**Information.** What routing tells about the template, over all tokens and among occurrences of the same one."
    )
    tables.show_rounded(tables.information(result.layers), "information")
    if missing := [one for one in result.layers if one.no_token_information]:
        st.caption(f"No information given the token: {plain(missing[0].no_token_information)}")
    st.markdown("**Screens.** Observations that might rank the experts as their effects do.")
    tables.show_rounded(tables.screens(result.screens), "screens")
    for why in {one.why_not for one in result.screens if one.why_not}:
        st.caption(plain(why))
    tables.say_rounding()


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
