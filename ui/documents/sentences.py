"""Sentences of the shown question, on demand: text marked by a fit that passed its test, beside each sentence left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from audit_core import Auditor, format_estimate, make_table
from audit_core.documents import DocumentsRequest, DocumentsResult, QuestionRow, SentenceReading, SentenceRow
from audit_core.tables import estimate_cells
from ui.flow import answers
from ui.parts.header import figure_header, plain, show_rows, table_with_csv


def show_sentences(auditor: Auditor, request: DocumentsRequest, row: QuestionRow) -> None:
    """Show the sentences of a question, or offer to measure them."""
    found = row.sentences
    if found is None:
        st.markdown(
            "Documents are measured by themselves. Their sentences are measured on demand: random sets of them are replaced "
            "by fillers, and a linear fit must predict sets that it has not seen."
        )
        one = ask_sentences(request, row)
        if one is None:
            st.info("This question is not among those that are asked now.", icon=":material/info:")
            return
        title = f"Measure the sentences of {row.id}"
        measured: DocumentsResult | None = answers.answer_by_job(
            auditor, "documents", title, one, at_once=False, place="-sentences"
        )
        found = None if measured is None else measured.questions[0].sentences
    if found is not None:
        show_reading(found, row)


def ask_sentences(request: DocumentsRequest, row: QuestionRow) -> DocumentsRequest | None:
    """The same request about the sentences of one of its questions."""
    places = [at for at, pair in enumerate(request.prompts.pairs) if pair.prompt.id == row.id]
    if not places:
        return None
    return replace(request, prompts=request.prompts.take(places[:1]), by_sentence=1, traced=1)


def show_reading(found: SentenceReading, row: QuestionRow, place: str = "") -> None:
    """Show the test of the fit first; single sentences only if it is passed."""
    figure_header(
        "Sentences", "estimated",
        "each weight is what keeping a sentence adds to the answer's lead, by a linear fit over sets of sentences.",
    )  # fmt: skip
    if found.refused:
        st.info(plain(f"Nothing is said of single sentences: {found.refused}."), icon=":material/block:")
    else:
        assert found.lds is not None
        st.markdown(
            f"The fit is of {found.n_fit} sets. It ranks {found.n_held_out} other sets with "
            f"**{plain(format_estimate(found.lds))}**. At least 0.8 is needed, with an interval above 0.5."
        )
        for rank in dict.fromkeys(one.document for one in found.sentences):
            st.markdown(_mark_document(rank, found, row.delta))
        st.markdown("Purple raises the answer's lead by δ or more, orange lowers it, each with its whole interval.")
        st.markdown(f"δ is {row.delta:.2f} logits. The number in brackets is the sentence's weight in logits.")
        figure_header(
            "Each sentence left out", "estimated causal",
            "*weight* is of the fit. *loss if replaced* was measured: fillers took the place of this sentence alone.",
        )  # fmt: skip
        show_rows(_table_sentences(found), f"documents-sentences{place}")
        st.markdown(
            "Both differ where sentences work together. A sentence without a loss may still matter beside another one: see the sets."
        )
    if found.sets:
        table_with_csv(lambda: _table_sets(found), "Held-out sets of sentences", f"documents-sets{place}")


def _mark_document(rank: int, found: SentenceReading, delta: float) -> str:
    """A document with its sentences marked, each with its weight."""
    said = " ".join(_mark(one, delta) for one in found.sentences if one.document == rank)
    return f"**\\[{rank}\\]** {said}"


def _mark(one: SentenceRow, delta: float) -> str:
    weight = one.weight
    value = f"{round(weight.value, 2) + 0.0:+.2f}".replace("-", "−")
    text = f"{plain(one.text)} ({value})"
    if weight.low is not None and weight.low >= delta:
        return f":violet-background[{text}]"
    if weight.high is not None and weight.high <= -delta:
        return f":orange-background[{text}]"
    return text


def _table_sentences(found: SentenceReading) -> Any:
    columns = (
        "document", "sentence", "text", "weight", "low", "high", "sets", "loss if replaced", "low ", "high ", "fillers", "unit",
    )  # fmt: skip
    rows = [
        (one.document, one.place, one.text, *estimate_cells(one.weight)[:4], *estimate_cells(one.replaced))
        for one in found.sentences
    ]
    return make_table(columns, rows)


def _table_sets(found: SentenceReading) -> Any:
    columns = ("kept sentences", "measured lead, logits (causal)", "by the fit, logits (estimated)")
    rows = [(", ".join(map(str, one.kept)) or "none", one.measured, one.predicted) for one in found.sets]
    return make_table(columns, rows)
