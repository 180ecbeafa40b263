"""Lenses on the page: what is read at the left, what replacing does at the right, never one number."""

from __future__ import annotations

from typing import Any

import streamlit as st

from audit_core import format_estimate, make_table
from audit_core.lenses import LensEffect, LensesResult, LensWriting, count_pairs
from audit_core.tables import estimate_cells
from ui.lenses.drawings import draw_lens, draw_measured, draw_swaps, draw_written
from ui.parts import figures
from ui.parts.header import controls_line, figure_header, plain, show_rows
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes

_ENDS = ("low", "high", "n")
_REPLACED = {
    "resample": "by the counterpart's run", "mean": "by the mean of the prompts", "zero": "by zero",
    "mean_template": "by the mean of the template",
}  # fmt: skip


def show_answer(result: LensesResult, badges: str) -> None:
    """Show the counts, and what the two axes are."""
    show_sentence(result.finding, badges, result.n)
    st.markdown(
        "What a part writes to the answer directly is read on the unchanged run. It does not show that the model needs the part: "
        f"that is measured by replacing it {plain(_REPLACED.get(result.replacement, result.replacement))}. "
        f"The lead is **{plain(format_estimate(result.lead))}**."
    )


def show_panes(result: LensesResult, place: str = "") -> None:
    """Show what parts write at the left and what replacing the same parts does at the right; layers where no part was read."""
    if not result.parts:
        st.info(plain(f"Heads and MLPs were not read. {result.no_parts}"), icon=":material/info:")
        show_layers(result, place)
        return
    left, right = split_panes(f"lenses{place}")
    with left:
        pane_header(
            "Written to the answer", "observational",
            "Direct logit attribution: what a head or MLP adds to the logit of the answer minus that of the foil, with the scale "
            "of the final norm kept fixed. The parts that write most and those with the largest effects are shown, in both panes "
            f"the same. Lines: the 95 % interval over templates. Dashed: {result.delta:.0%} of the lead. Nothing was changed.",
            table=Table(lambda: _table_parts(result), "Heads and MLPs", f"written{place}"),
        )  # fmt: skip
        figures.show(
            draw_written(result), key=f"figure-written{place}",
            alt="What each shown head or MLP writes, with its interval. The table has the numbers of all.",
        )  # fmt: skip
    with right:
        pane_header(
            "Effect of replacing", "causal",
            "Lead lost when this part alone is replaced, in the same order as at the left. Below zero the lead grows. Dashed: "
            f"{result.delta:.0%} of the distance between clean and corrupted runs.",
            table=Table(lambda: _table_parts(result), "Heads and MLPs", f"replaced{place}"),
        )  # fmt: skip
        figures.show(
            draw_measured(result), key=f"figure-replaced{place}",
            alt="Lead lost when each of the same parts is replaced, with its interval. The table has the numbers of all.",
        )  # fmt: skip


def show_layers(result: LensesResult, place: str = "") -> None:
    """Show the logit lens over the layers beside what replacing the stream there does."""
    left, right = split_panes(f"lens-layers{place}")
    with left:
        pane_header(
            "Lenses", "observational",
            "The residual stream at the answer position, read through the final norm and the unembedding before each layer. The "
            "last point has left all layers and is the model's own answer. The Jacobian lens first carries the stream to the end by "
            "the mean derivative of the later layers over some texts.",
            table=Table(lambda: _table_layers(result), "Layers", f"lens{place}"),
        )  # fmt: skip
        figures.show(
            draw_lens(result), key=f"figure-lens{place}",
            alt="Lead that each lens reads over the layers, with intervals. The table has the numbers.",
        )  # fmt: skip
    with right:
        pane_header(
            "Effect of the stream here", "causal",
            "Lead lost when the stream at the answer position is that of the counterpart's run. Early layers lose nothing if the "
            "answer position has not yet received what tells the two runs apart.",
            table=Table(lambda: _table_layers(result), "Layers", f"swap{place}"),
        )  # fmt: skip
        figures.show(
            draw_swaps(result), key=f"figure-swap{place}",
            alt="Lead lost over the layers when the stream is replaced, with intervals. The table has the numbers.",
        )  # fmt: skip


def show_parts(result: LensesResult) -> None:
    """Show every head and MLP."""
    figure_header(
        "Heads and MLPs", "observational causal",
        "what a part writes is read, what replacing it does is measured. Each has a word of its own, by its interval, and no "
        "number joins them.",
    )  # fmt: skip
    show_rows(_table_parts(result), "lenses-parts")


def show_agreement(result: LensesResult) -> None:
    """Show how many parts there are for each pair of words, and how far the two orders agree."""
    figure_header(
        "Agreement", "observational causal",
        "rows: what a part writes. Columns: what replacing it does. A correlation says how alike two orders are, and nothing "
        "about a single part.",
    )  # fmt: skip
    counts = count_pairs(result.parts)
    rows = [(row.value, *(counts[row.value, column.value] for column in LensEffect)) for row in LensWriting]
    show_rows(make_table(("", *(column.value for column in LensEffect)), rows), "lenses-counts")
    if result.no_agreement:
        st.info(plain(result.no_agreement), icon=":material/info:")
    for name, found in (("Heads", result.heads_agree), ("Heads and MLPs", result.parts_agree)):
        if found is not None:
            st.markdown(
                f"- {name}, by size of what they write and size of the effect: **{plain(format_estimate(found))}**"
            )
    for name, found in (("Logit lens", result.lens_agrees), ("Jacobian lens", result.jacobian_agrees)):
        if found is not None:
            st.markdown(
                f"- {name}, layers by size of what is read and size of the effect: **{plain(format_estimate(found))}**"
            )
    st.markdown(
        "Each part is decided by itself at 95 %. Among hundreds of parts some fall on the wrong side by chance: test one that "
        "matters as a claim, on prompts that this page has not used."
    )


def show_details(result: LensesResult) -> None:
    """Show the prompts and the conditions."""
    figure_header("Prompts and checks", "causal", "what every number of this page depends on.")
    st.markdown(
        f"Set **{plain(result.prompt_set)}**, the {plain(result.split)} split: **{result.n}** prompts in **{result.n_templates}** "
        f"templates. Distance between clean and corrupted runs: **{plain(format_estimate(result.gap))}**."
    )
    if result.added_up is not None and result.rest is not None:
        st.markdown(
            f"What all parts write adds up to the lead, off by at most **{result.added_up:.1e}** logits. Embeddings and biases "
            f"write **{plain(format_estimate(result.rest))}** of it."
        )
    if result.n_texts:
        st.markdown(f"The Jacobian lens was fitted on **{result.n_texts}** texts of this set, without their answers.")
    elif result.no_jacobian:
        st.info(plain(f"The Jacobian lens was not read. {result.no_jacobian}"), icon=":material/info:")
    controls_line(result.controls)


def _table_parts(result: LensesResult) -> Any:
    columns = (
        "part", "written", *_ENDS, "in words", "lead lost when replaced", "lost low", "lost high", "lost n", "effect in words",
    )  # fmt: skip
    rows = [
        (
            part.component,
            *estimate_cells(part.direct)[:4],
            part.writing,
            *estimate_cells(part.measured)[:4],
            part.effect,
        )
        for part in result.parts
    ]
    return make_table(columns, rows)


def _table_layers(result: LensesResult) -> Any:
    columns = (
        "layer",
        "lead read",
        *_ENDS,
        "prefers the answer",
        "lead read by the Jacobian lens",
        "Jacobian low",
        "Jacobian high",
        "Jacobian n",
        "lead lost when replaced",
        "lost low",
        "lost high",
        "lost n",
    )
    rows = [
        (
            layer.layer, *estimate_cells(layer.lens)[:4], layer.prefers,
            *((None,) * 4 if layer.jacobian is None else estimate_cells(layer.jacobian)[:4]),
            *((None,) * 4 if layer.measured is None else estimate_cells(layer.measured)[:4]),
        )
        for layer in result.layers
    ]  # fmt: skip
    return make_table(columns, rows)
