"""Source tokens on the page: what is consulted at the left, what the answer relies on at the right, never in one figure."""

from __future__ import annotations

from typing import Any

import streamlit as st

from audit_core import Estimate, format_estimate, make_table
from audit_core.audits import BothSidesResult, SourceRow, SourceTokensResult
from audit_core.tables import estimate_cells
from ui.parts import figures, long_prompts
from ui.parts.header import controls_line, figure_header, plain, show_table, table_with_csv
from ui.parts.token_figures import token_bars
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes

WAYS = {
    "resample": "token of another prompt",
    "mean": "mean over prompts",
    "zero": "neutral token",
}
_ESTIMATE = ("value", "low", "high", "n", "unit")
_SIDES = {"encoder_head": "encoder", "decoder_head": "decoder", "cross_head": "cross-attention"}


def show_answer(found: SourceTokensResult) -> None:
    """Show the finding, and how well attention ranks the effects."""
    show_sentence(found.finding, "observational causal", found.n)
    if found.agreement is not None:
        st.markdown(
            "Cross-attention is an observation. It ranks source tokens as their effects do with "
            f"{plain(format_estimate(found.agreement))}."
        )


def show_panes(found: SourceTokensResult, way: str, place: str = "") -> None:
    """Show attention at the left and effects at the right, on the same tokens of the first prompt."""
    tokens = [row.token for row in found.tokens]
    attention, effects = [row.consulted.value for row in found.tokens], [_pick(row, way).value for row in found.tokens]
    drawn = long_prompts.pick_rows(attention, effects)
    left, right = split_panes(f"source{place}")
    with left:
        pane_header(
            "Consulted", "observational",
            "Each bar is the attention from the answer position to one source token, averaged over heads. Nothing was changed.",
            table=Table(lambda: _table_consulted(found.tokens), "Consulted source tokens", f"consulted{place}"),
        )  # fmt: skip
        figures.show(
            token_bars(attention, tokens, unit="share of cross-attention", is_effect=False, rows=drawn),
            key=f"figure-consulted{place}",
            alt="One bar for each source token: its share of cross-attention. The table has the numbers.",
        )
    with right:
        pane_header(
            "Effect when replaced", "causal",
            "Each bar is the loss of the metric when one source token is replaced or hidden. Purple lowers the answer, orange "
            "raises it.",
            table=Table(lambda: _table_relied(found.tokens), "Source tokens replaced", f"relied{place}"),
        )  # fmt: skip
        figures.show(
            token_bars(effects, tokens, unit=found.unit, is_effect=True, rows=drawn),
            key=f"figure-relied{place}",
            alt="One bar for each source token: the loss of the metric without it. The table has the numbers.",
        )
    if said := long_prompts.describe_rows(len(tokens), drawn, "attention, and as many with the largest effect"):
        st.markdown(plain(said))
    if found.n > 1:
        st.markdown(
            "Both figures show the first measured prompt, so they have no interval. The finding above is over all prompts. "
            "For the tokens of another prompt, measure on *one prompt*."
        )
    else:
        st.markdown("One prompt has no interval.")


def _pick(row: SourceRow, way: str) -> Estimate:
    return row.hidden if way == "hidden" else row.replaced[way]


def show_judged(found: SourceTokensResult, place: str = "") -> None:
    """Show the judged token under every replacement, against other tokens of the same sources."""
    figure_header(
        "The judged token", "causal",
        "each mark is the loss under one replacement, as a fraction of the gap to a source that is replaced whole. "
        "Random sets are other tokens of the same sources.",
    )  # fmt: skip
    if not found.relied:
        st.info("It was not judged: the finding says why.", icon=":material/info:")
        return
    families = [(WAYS[name], estimate) for name, estimate in found.relied.items()]
    null = found.null.values if found.null is not None else ()
    figures.show(
        figures.verdict_figure(families, delta=found.delta, null=null, primary=families[0][0]),
        key=f"figure-judged{place}",
        alt="One interval for each replacement, and a tick for each draw of other tokens. The table has the numbers.",
    )
    rows = [(name, *estimate_cells(estimate)) for name, estimate in families]
    if found.hidden is not None:
        rows.append(("hidden from cross-attention", *estimate_cells(found.hidden)))
    table_with_csv(lambda: make_table(("replacement", *_ESTIMATE), rows), "The judged token", f"judged{place}")
    st.markdown(f"State: **{plain(found.state)}**." + (f" Reason: {plain(found.reason)}." if found.reason else ""))
    for name, why in found.not_measured.items():
        st.markdown(f"- {plain(WAYS.get(name, name))}: not measured: {plain(why)}")
    if found.no_range:
        st.markdown(f"- In the usual range of later neurons: not measured; {plain(found.no_range)}")
    if found.null is not None:
        p = "none" if found.null.p is None else f"{found.null.p:.3f}"
        st.markdown(f"Null: {plain(found.null.design)}. p = **{plain(p)}**, n = {found.null.n:,}.")
    controls_line(found.controls)


def show_heads(found: BothSidesResult, place: str = "") -> None:
    """Show every head of both sides: attention and effect in figures of their own."""
    show_sentence(found.finding, "causal", found.n)
    cross = [row for row in found.heads if row.consulted is not None]
    left, right = split_panes(f"heads{place}")
    with left:
        figure_header(
            "Consulted", "observational", "the attention of each head of cross-attention to the judged token."
        )
        figures.show(
            figures.interval_rows(
                [row.component for row in cross], [("attention", "circle", [row.consulted for row in cross])],
                unit="share of cross-attention", lines=(), is_effect=False,
            ),
            key=f"figure-heads-consulted{place}",
            alt="One interval for each head of cross-attention. The table has the numbers.",
        )  # fmt: skip
    with right:
        figure_header("Effect when replaced", "causal", "the loss of the metric when the head's output is set to zero.")
        figures.show(
            figures.interval_rows(
                [row.component for row in cross], [("zero", "diamond", [row.effects["zero"] for row in cross])],
                unit=found.unit, lines=(), is_effect=True,
            ),
            key=f"figure-heads-relied{place}",
            alt="One interval for each head of cross-attention. The table has the numbers.",
        )  # fmt: skip
    st.markdown("**Every head on both sides**")
    _list_readings(found)
    columns = ("head", "side", "replacement", *_ESTIMATE, "fraction of the gap", "low ", "high ", "reading")
    rows: list[tuple[Any, ...]] = [
        (row.component, _SIDES[row.kind], name, *estimate_cells(value),
         *estimate_cells(row.fractions.get(name))[:3], row.reading)
        for row in found.heads for name, value in row.effects.items()
    ]  # fmt: skip
    rows += [
        (
            row.component,
            "cross-attention",
            "token hidden from this head",
            *estimate_cells(row.hidden),
            None,
            None,
            None,
            "",
        )
        for row in cross
    ]
    show_table(make_table(columns, rows), key=f"heads-table{place}")
    if found.no_fraction:
        st.markdown(f"No fraction of the gap: {plain(found.no_fraction)}")
    controls_line(found.controls)


def _list_readings(found: BothSidesResult) -> None:
    """Say which heads act, by the intervals of all replacements."""
    if found.no_fraction:
        return
    st.markdown("Each head alone, by the intervals of all its replacements. These are not verdicts.")
    for reading in ("supported", "reversed", "inconclusive", "negligible"):
        names = [row.component for row in found.heads if row.reading == reading]
        if names:
            st.markdown(f"- {plain(reading)}: {len(names)} of {len(found.heads)}: **{plain(', '.join(names))}**")


def _table_consulted(rows: tuple[SourceRow, ...]) -> Any:
    return make_table(
        ("position", "token", *_ESTIMATE), [(row.position, row.token, *estimate_cells(row.consulted)) for row in rows]
    )


def _table_relied(rows: tuple[SourceRow, ...]) -> Any:
    found = [
        (row.position, row.token, WAYS.get(name, name), *estimate_cells(value))
        for row in rows
        for name, value in (*row.replaced.items(), ("hidden from cross-attention", row.hidden))
    ]
    return make_table(("position", "token", "replacement", *_ESTIMATE), found)
