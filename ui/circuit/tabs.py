"""Tabs of the circuit page that need the loaded model: the search for a circuit, and the comparison of two."""

from __future__ import annotations

import streamlit as st

from audit_core import Auditor, make_table
from ui.circuit import for_and_against
from ui.circuit.form import CircuitChoice
from ui.circuit.known import KnownAnswers
from ui.flow import answers
from ui.parts.header import figure_header, table_with_csv


def show_search(auditor: Auditor, choice: CircuitChoice) -> None:
    """Offer a search on the exploratory split, and show its proposal."""
    method, n = choice.assessment.method, len(choice.assessment.explored)
    st.markdown("A search proposes components on the exploratory split. The method is chosen under *More*.")
    found = answers.answer_by_job(
        auditor, "discover", f"Search with {method} on {n} prompts", choice.ask_order(), at_once=False
    )
    if found is not None:
        for_and_against.show_proposal(found)
    if choice.components:
        _show_places(auditor, choice)


def _show_places(auditor: Auditor, choice: CircuitChoice) -> None:
    """Offer the effect of each component token by token, on the prompt that is drawn."""
    figure_header("Effect by token", "causal", "each component ablated at one token of the drawn prompt. n = 1.")
    found = answers.answer_by_job(
        auditor, "positions", "Measure each component at each token", choice.ask_positions(), at_once=False
    )
    if found is not None:
        pieces = choice.drawn.pairs[0].pieces
        rows = [
            (p.component, p.position, pieces[p.position], p.effect.estimate.value, p.effect.estimate.unit)
            for p in found.places
        ]
        columns = ("component", "position", "token", "effect", "unit")
        table_with_csv(lambda: make_table(columns, rows), "Effect by token, one prompt", "places")


def show_comparison(auditor: Auditor, choice: CircuitChoice, known: KnownAnswers) -> None:
    """Show the circuit beside a second one, on the same prompts."""
    if choice.beside is None:
        st.markdown("Choose a second circuit under *More*.")
        return
    n = len(choice.beside.circuit.prompts)
    other = answers.answer_by_job(
        auditor, "recomposition", f"Decompose the second circuit on {n} prompts",
        choice.beside.ask("recomposition"), at_once=False, place="beside",
    )  # fmt: skip
    mine = known.find("recomposition", is_quick=False)
    if mine is None:
        st.info("Decompose this circuit in full as well, under *Robustness checks*.", icon=":material/info:")
    elif other is not None:
        circuits = (choice.assessment.circuit, choice.beside.circuit)
        names = [", ".join(map(str, circuit.components)) for circuit in circuits]
        for_and_against.show_beside(mine.result, other, names)
