"""A steering result: the table, two panes, strengths, and continuations side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from audit_core import Estimate, make_table
from audit_core.steering import SteeringResult, SteeringRow
from ui.parts import figures
from ui.parts.header import controls_line, figure_header, plain, show_rows, show_table, table_with_csv
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes
from ui.steering.drawings import draw_doses, draw_ratios, draw_scores, name_row


def show_answer(result: SteeringResult, badges: str) -> None:
    """Show the verdicts in a sentence, and what a verdict says."""
    show_sentence(result.finding, badges, result.n)
    st.markdown(
        f"Strengths were chosen on **{result.n_chosen_on}** other prompts. A direction that steers does not show that the model "
        "uses it without being steered."
    )


def show_result(result: SteeringResult, place: str = "") -> None:
    """Show everything that was measured about one concept, chosen on the page."""
    titles = [rule.concept for rule in result.rules]
    chosen = st.selectbox("Concept", titles, key=f"steering-concept{place}", width=260)
    rows = [row for row in result.rows if row.concept == chosen]
    _show_verdicts(rows)
    _show_panes(rows, result, place)
    _show_table(rows, place)
    _show_doses(result, str(chosen), place)
    _show_texts(result, str(chosen), place)
    _show_rule(result, str(chosen))


def _show_verdicts(rows: Sequence[SteeringRow]) -> None:
    for row in rows:
        if row.verdict is not None:
            why = "; ".join(one for one in (row.why, _say_p(row)) if one)
            found = row.verdict.value + (f" ({why})" if why else "")
            st.markdown(f"{plain(row.method.value)}, {plain(row.what)}: **{plain(found)}**")


def _say_p(row: SteeringRow) -> str:
    """The corrected p-value, where the reason does not name it already."""
    return (
        "" if row.p_adjusted is None or "after correction" in row.why else f"p = {row.p_adjusted:.2g} after correction"
    )


def _show_panes(rows: Sequence[SteeringRow], result: SteeringResult, place: str) -> None:
    left, right = split_panes(f"steering{place}")
    with left:
        pane_header(
            "Concept score", "causal",
            "The share of continuations that hold the concept by the word list below, with its interval over prompts.",
            table=Table(lambda: make_rows(rows), "Concept score", f"steering-score{place}"),
        )  # fmt: skip
        figures.show(
            draw_scores(rows), key=f"figure-steering-score{place}",
            alt="Share of continuations with the concept by method, with intervals. The table has the numbers.",
        )  # fmt: skip
    with right:
        pane_header(
            "Fluency", "causal",
            "Perplexity of the continuations under the unedited model, relative to unedited continuations of the same prompts. "
            "Perplexity does not show repetition: the table has the share of repeated tokens.",
            table=Table(lambda: make_rows(rows), "Fluency", f"steering-ratio{place}"),
        )  # fmt: skip
        figures.show(
            draw_ratios(rows, result), key=f"figure-steering-ratio{place}",
            alt="Perplexity by method relative to unedited continuations, with intervals. The table has the numbers.",
        )  # fmt: skip


def make_rows(rows: Sequence[SteeringRow]) -> Any:
    """The table by method."""
    columns = (
        "method", "what", "concept score", "gain", "log-probability of its tokens, nats", "perplexity", "times unedited",
        "repeated tokens", "off-target divergence, nats", "p", "p after correction", "verdict",
    )  # fmt: skip
    return make_table(columns, [
        (
            name_row(row), row.what, *(_write(getattr(row, name)) for name in (
                "score", "gain", "mass", "perplexity", "ratio", "repeated", "off_target",
            )), *("" if p is None else f"{p:.2g}" for p in (row.p, row.p_adjusted)),
            "" if row.verdict is None else row.verdict.value,
        )
        for row in rows
    ])  # fmt: skip


def _write(found: Estimate | None) -> str:
    if found is None:
        return ""
    return f"{found.value:.2f}" + ("" if found.low is None else f" [{found.low:.2f}, {found.high:.2f}]")


def _show_table(rows: Sequence[SteeringRow], place: str) -> None:
    figure_header(
        "By method", "causal",
        "three measures and their intervals, which no number joins. Off-target: how far the next-token distributions move on texts "
        "that do not concern the concept.",
    )  # fmt: skip
    show_rows(make_rows(rows), f"steering-methods{place}")


def _show_doses(result: SteeringResult, concept: str, place: str) -> None:
    rows = [row for row in result.doses if row.concept == concept]
    figure_header(
        "Strengths", "causal",
        f"on the {result.n_chosen_on} prompts on which strengths are chosen. A strength of 1 is a vector of {result.norm:.0f}, the "
        f"median norm of the input of layer {result.layer}. Chosen is the highest score at no more than {result.most_ratio:g} times "
        "the unedited perplexity.",
    )  # fmt: skip
    left, right = st.columns(2, gap="medium")
    for column, name, y in ((left, "score", "Share with the concept"), (right, "ratio", "Times unedited perplexity")):
        with column:
            figures.show(
                draw_doses(rows, name, y), key=f"figure-steering-{name}-dose{place}",
                alt="A measure against the strength, one line a direction. The table has the numbers.",
            )  # fmt: skip
    columns = (
        "method",
        "what",
        "concept score",
        "log-probability, nats",
        "times unedited",
        "off-target, nats",
        "chosen",
    )
    table_with_csv(
        lambda: make_table(columns, [
            (name_row(r), r.what, *map(_write, (r.score, r.mass, r.ratio, r.off_target)), "yes" if r.is_chosen else "")
            for r in rows
        ]), "Strengths", f"steering-doses{place}",
    )  # fmt: skip


def _show_texts(result: SteeringResult, concept: str, place: str) -> None:
    mine = [one for one in result.continuations if one.concept == concept]
    figure_header("Continuations", "causal", "what was written after the same prompt, with the same random numbers.")
    prompts = list(dict.fromkeys(one.prompt for one in mine))
    chosen = st.selectbox("Prompt", prompts, key=f"steering-prompt{place}", width=320)
    rows = [
        (one.method.value, one.text.strip("\n"), "yes" if one.holds else "no") for one in mine if one.prompt == chosen
    ]
    show_table(make_table(("method", "continuation", "concept"), rows), lines=2, key=f"steering-texts{place}")


def _show_rule(result: SteeringResult, concept: str) -> None:
    rule = next(one for one in result.rules if one.concept == concept)
    figure_header("Rules and checks", "causal", "what every number of this tab depends on.")
    st.markdown(
        "**Better than the baselines**: the concept score is above that of prompting, of DiffMean and of random directions of equal "
        f"length ({plain(_say_correction(result))}), and the perplexity is at most {result.worse_ratio:g} times prompting's. **Worse fluency**: the first holds, the second does not. "
        f"**Not better**: against one baseline the whole interval is below {result.delta:.0%} of continuations. Else "
        f"**inconclusive**. The intervals of the differences are at {result.level:.1%}, corrected for the number of verdicts."
    )
    st.markdown(
        f"Check of a continuation: {plain(rule.rule)}. Words: {plain(', '.join(rule.words))}. Instruction: {plain(rule.instruction)}"
    )
    if result.no_feature:
        st.markdown(f"No feature was measured: {plain(result.no_feature)}.")
    st.markdown(
        f"**{result.n_tokens}** tokens a continuation, temperature **{result.temperature:g}**, **{result.draws}** random directions. "
        f"File {plain(result.file_name)}, SHA-256 {plain(result.file_sha256)}. A vector of zeros changed no bit. What was written "
        f"token by token differs from one pass over the whole text by at most {result.apart:.1e} logits."
    )
    controls_line(result.controls)


def _say_correction(result: SteeringResult) -> str:
    if result.n_verdicts is None:
        return (
            "each corrected interval of the difference is above zero, and at most 5 % of random directions gain as much, a share "
            "that this older result does not correct"
        )
    return (
        f"p is at most 5 % after Holm's correction for the {result.n_verdicts} verdicts tried; p is the largest of those beside each, "
        f"and of the share of random directions that score as much on {result.n_ranked_on} prompts. Strengths are not counted: they "
        "were chosen on other prompts"
    )
