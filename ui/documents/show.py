"""Documents on the page: what was consulted at the left, what the answer relies on at the right, never in one figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from audit_core import Estimate, format_estimate, make_table
from audit_core.documents import DocumentsResult, QuestionRow
from audit_core.tables import estimate_cells
from ui.parts import figures
from ui.parts.header import controls_line, figure_header, plain, show_rows, show_table
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes

_ESTIMATE = ("value", "low", "high", "n", "unit")
MEANINGS = {
    "grounded": "it relies on a document that states the answer",
    "redundant": "either of two documents is enough",
    "complementary": "two documents are needed together",
    "parametric": "the answer comes without the documents, and follows no edit of them",
    "overrides": "a document states another value, and the answer stays",
    "wrong source": "it relies on a document that does not state the answer",
    "citation mismatch": "it relies on a document that is not the cited one",
    "position-bound": "the order of the documents matters more than any document",
    "unresolved": "none of the other labels holds",
}
"""Label → what it says, after the rule."""


def show_answer(result: DocumentsResult, row: QuestionRow, badges: str) -> None:
    """Show the finding over all questions, then the question that the panes show."""
    show_sentence(result.finding, badges, result.n, "questions")
    names = " and ".join(f"[{rank}]" for rank in row.names)
    alone = row.closed_book or "no value more than another"
    st.markdown(
        f"Question **{plain(row.question)} …**: **{plain(row.given)}** with documents, **{plain(alone)}** without. "
        f"Label: **{plain(row.label)}{plain(' ' + names if names else '')}**: "
        f"{plain(row.reason or MEANINGS[row.label])}."
    )


def show_panes(row: QuestionRow, place: str = "") -> None:
    """Show attention and citation at the left, and the loss without each document at the right."""
    names = [f"[{one.rank}] {_shorten(one.text)}" for one in row.documents]
    left, right = split_panes(f"documents{place}")
    with left:
        pane_header(
            "Consulted", "observational",
            "Each point is the attention from the answer position to one document, averaged over heads and layers. "
            "Nothing was changed.",
            table=Table(lambda: _table_consulted(row), "Consulted documents", f"consulted{place}"),
        )  # fmt: skip
        if any(one.attended is None for one in row.documents):
            st.info("This model shows no attention.", icon=":material/info:")
        else:
            figures.show(
                figures.interval_rows(
                    names, [("attention", "circle", [_of_one_question(one.attended) for one in row.documents])],
                    unit="share of attention", lines=(), is_effect=False,
                ).update_xaxes(rangemode="tozero"),
                key=f"figure-consulted{place}",
                alt="One point for each document: its share of attention. The table has the numbers.",
            )  # fmt: skip
    with right:
        pane_header(
            "Effect when replaced", "causal",
            "Each point is the loss of the answer's lead when a filler of the same length replaces one document. "
            "The line is the 95 % interval over fillers. Dashed lines are the smallest effect that matters.",
            table=Table(lambda: _table_relied(row), "Documents replaced", f"relied{place}"),
        )  # fmt: skip
        figures.show(
            figures.interval_rows(
                names, [("replaced", "diamond", [one.replaced for one in row.documents])], unit="logits lost",
                lines=((row.delta, "δ"), (-row.delta, "−δ")), is_effect=True,
            ),
            key=f"figure-relied{place}",
            alt="One interval for each document: the loss of the lead without it. The table has the numbers.",
        )  # fmt: skip
    _show_ranks(row)


def _show_ranks(row: QuestionRow) -> None:
    looks = [(one.rank, one.attended) for one in row.documents if one.attended is not None]
    if not looks:
        return
    attended, lost = rank(looks), rank([(one.rank, one.replaced.value) for one in row.documents])
    st.markdown(
        f"Attention ranked the documents {plain(attended)}. The loss when replaced ranked them {plain(lost)}. "
        "Both are of one question."
    )


def rank(values: Sequence[tuple[int, float]]) -> str:
    """Documents from the largest value to the smallest; those that differ by less than a hundredth share a place.

    Example:
        >>> rank([(1, 0.2), (2, 3.0), (3, 0.2)])
        '[2], [1] = [3]'
    """
    words, last = "", None
    for number, value in sorted(values, key=lambda one: -one[1]):
        words += "" if last is None else " = " if last - value < 0.01 else ", "
        words += f"[{number}]"
        last = value
    return words


def _of_one_question(value: float | None) -> Estimate | None:
    return None if value is None else Estimate(value, None, None, 1, "share of attention", None)


def show_documents(row: QuestionRow) -> None:
    """Show one row a document, consulted and relied on in columns of their own."""
    figure_header(
        "One row a document", "observational causal",
        "rank, attention and citation are observed. Every other column is measured by a change of the documents.",
    )  # fmt: skip
    show_rows(_table_documents(row), "documents-rows")
    st.markdown(
        f"Order: the lead moves by **{row.order:.2f} logits** on average over {row.n_orders} other orders. "
        f"**{row.order_flips}** of them give another answer."
    )
    st.markdown(_say_swap(row))
    pairs = [
        (f"[{one.first}] and [{one.second}]", *estimate_cells(one.joint), *estimate_cells(one.interaction)[:3])
        for one in row.pairs
    ]
    if pairs:
        st.markdown("**Two documents replaced together**")
        columns = ("documents", "joint loss", "low", "high", "n", "unit", "restored only together", "low ", "high ")
        show_table(make_table(columns, pairs), key="documents-pairs")
    st.markdown(
        f"Shapley values add up to the effect of all documents, with an error of **{row.efficiency_error:.1e} logits**."
    )


def _say_swap(row: QuestionRow) -> str:
    """What took the place of each document, and what followed."""
    if not row.next_hit:
        return "Swap: not measured, because the file names no next hit of the ranking (its column *next*)."
    changed = [f"[{one.rank}]" for one in row.documents if one.swapped_to != row.given]
    said = (
        f"in place of {' or '.join(changed)}, it changes the answer" if changed else "it changes the answer in no place"
    )
    return f"Swap: the next hit of the ranking is *{plain(row.next_hit.rstrip('.'))}*. Measured one document at a time, {plain(said)}."


def show_questions(result: DocumentsResult) -> None:
    """Show every question with its label."""
    figure_header("Questions", "observational causal", "the label is made from measured effects alone.")
    rows = [
        (
            one.id, one.family, one.question, one.expected, one.given, one.is_right, one.closed_book, one.label,
            " ".join(f"[{rank}]" for rank in one.names), one.reason, one.lead,
        )
        for one in result.questions
    ]  # fmt: skip
    columns = (
        "question", "family", "text", "expected", "given", "right", "without documents", "label", "documents", "reason",
        "lead, logits",
    )  # fmt: skip
    show_rows(make_table(columns, rows), "documents-questions")


def show_labels(result: DocumentsResult) -> None:
    """Show the count of each label with its interval, over all questions and by family."""
    figure_header(
        "Labels", "observational causal", "each share has Wilson's interval; only labels that occur are listed."
    )
    rows = [("all", one.label, MEANINGS[one.label], one.n, *estimate_cells(one.share)) for one in result.labels]
    rows += [
        (family.family, one.label, MEANINGS[one.label], one.n, *estimate_cells(one.share))
        for family in result.families if result.n_families > 1
        for one in family.labels
    ]  # fmt: skip
    show_rows(make_table(("family", "label", "meaning", "questions", *_ESTIMATE), rows), "documents-labels")
    for family in result.families:
        st.markdown(f"- {plain(family.family)}: accuracy {plain(format_estimate(family.accuracy))}")
        if family.refused:
            st.markdown(f"  Not counted: {plain(family.refused)}.")
    if result.agreement is not None:
        st.markdown(f"Attention ranks documents as their effects do with {plain(format_estimate(result.agreement))}.")


def show_layers(result: DocumentsResult) -> None:
    """Show how far into the model a document's positions matter."""
    figure_header(
        "Through the layers", "causal",
        "the loss when what enters a layer at a document's positions is that of a filler, on traced questions.",
    )  # fmt: skip
    rows = [
        (one.id, one.rank, layer, lost)
        for one in result.traces
        for layer, lost in zip(one.layers, one.lost, strict=True)
    ]
    show_rows(make_table(("question", "document", "layer", "loss, logits"), rows), "documents-layers")
    controls_line(result.controls)


def show_details(result: DocumentsResult) -> None:
    """Show the file's identity and the conditions."""
    figure_header("File and conditions", "causal", "what every number of this page depends on.")
    source = result.source
    if source is not None:
        left = ", ".join(f"{n} × {why}" for why, n in source.left_out) or "none"
        st.markdown(f"File **{plain(source.name)}**, SHA-256 {plain(source.sha256)}. Left out: {plain(left)}.")
    st.markdown(
        f"Each document is replaced by **{result.fillers}** fillers of its length in tokens. A filler has no content word of the "
        "question or of any answer. Documents are text to the model: nothing in them is run, fetched or drawn as markup."
    )


def _table_consulted(row: QuestionRow) -> Any:
    return make_table(
        ("document", "text", "retriever's score", "share of attention", "cited"),
        [(one.rank, one.text, one.score, one.attended, one.cited) for one in row.documents],
    )


def _table_relied(row: QuestionRow) -> Any:
    return make_table(
        ("document", "text", *_ESTIMATE),
        [(one.rank, one.text, *estimate_cells(one.replaced)) for one in row.documents],
    )


def _table_documents(row: QuestionRow) -> Any:
    columns = (
        "document", "text", "states", "score", "attention", "cited", "loss if replaced", "low", "high", "fillers", "loss if deleted",
        "loss if swapped", "answer then", "kept alone", "Shapley", "loss if repeated", "edits followed", "edits low", "edits high", "edits",
    )  # fmt: skip
    rows = [
        (
            one.rank, one.text, one.states, one.score, one.attended, one.cited, *estimate_cells(one.replaced)[:4], one.deleted,
            one.swapped, one.swapped_to if one.swapped is not None else None, one.alone.value, one.shapley, one.doubled,
            *((None,) * 4 if one.follow is None else estimate_cells(one.follow)[:4]),
        )
        for one in row.documents
    ]  # fmt: skip
    return make_table(columns, rows)


def _shorten(text: str) -> str:
    return text if len(text) <= 34 else text[:33] + "…"
