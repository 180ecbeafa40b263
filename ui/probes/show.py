"""Probes on the page: what is decodable at the left, what the answer relies on at the right, never one number."""

from __future__ import annotations

from typing import Any

import streamlit as st

from audit_core import Estimate, format_estimate, make_table
from audit_core.probes import ProbesResult
from audit_core.tables import estimate_cells
from ui.parts import figures
from ui.parts.header import controls_line, figure_header, plain, show_rows
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes
from ui.probes.drawings import POSITIONS, draw_decoded, draw_edits

_ENDS = ("low", "high")


def show_answer(result: ProbesResult, badges: str) -> None:
    """Show the counts of verdicts, and what the two axes are."""
    show_sentence(result.finding, badges, result.n, "texts")
    unseen = "templates and words" if result.holds_out_words else "templates"
    lead = "" if result.lead is None else f" The lead is **{plain(format_estimate(result.lead))}**."
    st.markdown(
        f"A probe that decodes a label does not show that the model relies on it. Probes are tested on {unseen} that they have "
        f"not seen. Edits are measured on **{result.n_edited}** texts.{lead}"
    )


def show_panes(result: ProbesResult, place: str = "") -> None:
    """Show accuracy over the layers at the left, and the loss by edits at the right."""
    left, right = split_panes(f"probes{place}")
    with left:
        pane_header(
            "Decodable", "observational",
            "Each filled point is a probe's accuracy at one layer, on templates that it has not seen. The line is the 95 % interval "
            "over templates. Open points are probes for random labels of the words. Nothing was changed.",
            table=Table(lambda: _table_decoded(result), "Decodable", f"decoded{place}"),
        )  # fmt: skip
        figures.show(
            draw_decoded(result), key=f"figure-decoded{place}",
            alt="Accuracy of probes over the layers, one panel for each position. The table has the numbers.",
        )  # fmt: skip
    with right:
        pane_header(
            "Effect of the label", "causal",
            "Diamonds: the share of the answer's lead lost when the label is erased in one layer. Squares: when it is swapped with "
            "the pair's other text, where 2 exchanges the answers. Crosses: the largest loss by random subspaces.",
            table=Table(lambda: _table_edits(result), "Edits", f"edits{place}"),
        )  # fmt: skip
        if all(site.erased is None for site in result.sites):
            st.info(plain(f"No edit was measured: {result.no_use}."), icon=":material/info:")
        else:
            figures.show(
                draw_edits(result), key=f"figure-edits{place}",
                alt="Share of the lead lost over the layers, one panel for each position. The table has the numbers.",
            )  # fmt: skip


def show_verdicts(result: ProbesResult) -> None:
    """Show the verdict of every site with what it is made from, in columns of their own."""
    figure_header(
        "Verdicts", "observational causal",
        "accuracy is observed. Losses are measured by edits. A verdict needs both, and no number joins them.",
    )  # fmt: skip
    rows = [
        (
            POSITIONS[site.position], site.layer, site.verdict, _write(site.accuracy), _write(site.erased),
            _write(site.swapped), site.reason,
        )
        for site in result.sites
    ]  # fmt: skip
    columns = ("position", "layer", "verdict", "held-out accuracy", "lead lost, erased", "lead lost, swapped", "reason")
    show_rows(make_table(columns, rows), "probes-verdicts")


def show_decoded(result: ProbesResult) -> None:
    """Show everything about the probes."""
    figure_header(
        "Probes", "observational",
        "selectivity is the accuracy with known words minus that on random labels of the words. Compression is the length of "
        "the labels without a probe, divided by that of an online code with one.",
    )  # fmt: skip
    show_rows(_table_decoded(result), "probes-decoded")


def show_edits(result: ProbesResult) -> None:
    """Show everything about the edits."""
    figure_header(
        "Edits", "causal",
        "each subspace is fitted on other templates than those that it is measured on. The whole activation is the positive "
        "control: what any subspace at this site could do.",
    )  # fmt: skip
    if result.no_use:
        st.info(plain(f"{result.no_use}."), icon=":material/info:")
    show_rows(_table_edits(result), "probes-edits")
    if result.controls is not None:
        controls_line(result.controls)
    if result.self_swap is not None:
        st.markdown(
            f"Replacing the label's coordinate by its own value changes a logit by at most **{result.self_swap:.1e}**."
        )


def show_details(result: ProbesResult) -> None:
    """Show the texts and the conditions."""
    figure_header("Texts and conditions", "causal", "what every number of this page depends on.")
    source = result.source
    if source is not None:
        left = ", ".join(f"{n} × {why}" for why, n in source.left_out) or "none"
        st.markdown(f"File **{plain(source.name)}**, SHA-256 {plain(source.sha256)}. Left out: {plain(left)}.")
    st.markdown(
        f"**{result.n}** texts in **{result.n_templates}** templates, with **{result.n_words}** different words. "
        f"The more frequent label has **{result.chance:.2f}** of the texts. Smallest effect that matters: "
        f"**{result.delta:.0%}** of the lead. **{result.draws}** random subspaces at each site."
    )
    st.markdown(
        "Each site is decided by itself at 95 %. With many sites, read neighbours together: one site alone may be chance."
    )


def _write(estimate: Estimate | None) -> str:
    if estimate is None:
        return "not measured"
    ends = "" if estimate.low is None else f" [{_round(estimate.low)}, {_round(estimate.high)}]"
    return f"{_round(estimate.value)}{ends}"


def _round(value: float | None) -> str:
    """Two decimals; a rounded zero has no sign."""
    text = f"{value:.2f}"
    return text.lstrip("-") if float(text) == 0 else text


def _table_decoded(result: ProbesResult) -> Any:
    columns = (
        "position", "layer", "held-out accuracy", *_ENDS, "n", "known words", "random labels", "selectivity", "selectivity low",
        "selectivity high", "compression",
    )  # fmt: skip
    rows = [
        (
            POSITIONS[site.position], site.layer, *estimate_cells(site.accuracy)[:4],
            None if site.seen_words is None else site.seen_words.value, None if site.control is None else site.control.value,
            *((None,) * 3 if site.selectivity is None else estimate_cells(site.selectivity)[:3]), site.compression,
        )
        for site in result.sites
    ]  # fmt: skip
    return make_table(columns, rows)


def _table_edits(result: ProbesResult) -> Any:
    columns = (
        "position", "layer", "lost when erased", *_ENDS, "n", "moved", "largest random", "lost when swapped", "swapped low",
        "swapped high", "swapped moved", "largest random swap", "whole activation", "accuracy once erased",
    )  # fmt: skip
    rows = []
    for site in result.sites:
        if site.erased is None or site.swapped is None or site.erased_moved is None or site.swapped_moved is None:
            rows.append((POSITIONS[site.position], site.layer, *(None,) * 12, site.erased_accuracy))
            continue
        rows.append(
            (
                POSITIONS[site.position], site.layer, *estimate_cells(site.erased)[:4], site.erased_moved.value,
                site.erased_random, *estimate_cells(site.swapped)[:3], site.swapped_moved.value, site.swapped_random,
                None if site.whole is None else site.whole.value, site.erased_accuracy,
            )
        )  # fmt: skip
    return make_table(columns, rows)
