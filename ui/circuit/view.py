"""The circuit page below its controls, drawn alike from recorded and from live answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from audit_core import AuditError, Component, PromptSet, Replacement, Role, get_plugin
from audit_core.assessment import sort_findings, state_claim
from audit_core.circuits import list_circuit_questions
from audit_core.claim import Universe
from audit_core.exchange import GraphOrigin
from ui.circuit import for_and_against, form, graph, results, sentence
from ui.circuit.known import ROLES, Known, KnownAnswers, find_record, read_record
from ui.flow import services
from ui.parts import verdict_card
from ui.parts.refusal import show_refusal
from ui.parts.tabs import lazy_tabs
from ui.parts.workbench import Frame, split_panes
from ui.results import show_result

TABS = ("Verdicts", "Robustness checks", "Search", "Compare", "Claim", "History")
GRAPH_HEIGHT = 430
"""Pixels kept for the graph before it is measured, so that the pane does not jump."""
Ask = Callable[[str], Known | None]
"""Key of a question → its answer, after showing its badges and, once the model is there, its buttons."""


@dataclass(frozen=True)
class Circuit:
    """What the page is about."""

    components: tuple[Component, ...]
    universe: Universe
    replacement: Replacement


def show_first_screen(
    frame: Frame, circuit: Circuit, known: KnownAnswers, offer: Callable[[], None], ask: Ask, origin: GraphOrigin
) -> None:
    """Show the answer sentence, the buttons that ask for more, the graph, and the evidence for and against."""
    with frame.answer:
        sentence.show_sentence(known, circuit.components, circuit.universe, circuit.replacement)
        offer()
    with frame.panes:
        left, right = split_panes()
    with left:
        paths = known.find("paths")
        if paths is not None:
            graph.show_graph(paths, origin)
        else:
            _show_no_graph(circuit, ask)
    with right:
        full, quick = (known.take_questions(is_quick=is_quick) for is_quick in (False, True))
        for_and_against.show_balance(
            sort_findings(circuit.components, full, known.verdicts), sort_findings(circuit.components, quick, {})
        )


def _show_no_graph(circuit: Circuit, ask: Ask) -> None:
    with st.container(border=True, height=GRAPH_HEIGHT):
        st.markdown("**Direct effects between components**")
        count = len(circuit.components)
        if not 2 <= count <= form.MAX_CONNECTED:
            st.markdown(f"The graph needs 2 to {form.MAX_CONNECTED} components. This circuit has {count}.")
            return
        st.markdown("Not measured.")
        ask("paths")


def show_verdicts(circuit: Circuit, known: KnownAnswers, model_digest: str, ask: Ask) -> None:
    """Show the verdict on one role, or what asks for it."""
    st.segmented_control(
        "Is it", ROLES, key="verdict_role", default=ROLES[0], required=True, label_visibility="collapsed",
        format_func=lambda role: f"Is it {role}?",
    )  # fmt: skip
    role = Role(st.session_state.verdict_role)
    found = ask(role.value)
    if found is None:
        words = "" if known.find("recomposition", is_quick=True) is None else " The sentence above is a first look."
        st.markdown(f"No verdict yet. A verdict needs the full form.{words}")
        return
    claim = state_claim(circuit.components, circuit.universe, role, circuit.replacement)
    ledger = services.read_multiplicity_ledger_of(model_digest)
    verdict_card.show_verdict(found.result, claim, ledger, place=role.value)


def show_checks(circuit: Circuit, known: KnownAnswers, ask: Ask) -> None:
    """Show one robustness check, chosen by its question."""
    st.selectbox(
        "Question",
        list_circuit_questions(),
        key="check",
        format_func=lambda audit: f"{_mark(known, audit)} {_name(audit)}",
    )
    audit = st.session_state.check
    found = ask(audit)
    if found is None:
        st.markdown("Not measured.")
        return
    show_result(audit, found.result)
    results.note_different_circuit(found.result, circuit.components)


def _name(audit: str) -> str:
    return str(get_plugin("audits", audit).question)


def _mark(known: KnownAnswers, audit: str) -> str:
    found = known.find(audit)
    return "○" if found is None else "◐" if found.is_quick else "●"


def show_while_loading(frame: Frame, model: str, prompts: PromptSet, _: str) -> bool:
    """Show the recorded answers about the chosen circuit before the model is loaded; False without a record."""
    try:
        circuit = Circuit(*form.read_settled())
    except AuditError as error:
        show_refusal(error)
        return False
    record = find_record(prompts, *_as_tuple(circuit))
    known = read_record(record, model)
    if record is None or not known.answers:
        return False
    with frame.own:
        form.show_settled(*_as_tuple(circuit))

    def ask(key: str) -> Known | None:
        found = known.find(key)
        if found is not None and not (found.is_quick and key in ROLES):
            found.show_badges()
        return found

    identity = record.measured_with.identity
    origin = GraphOrigin(identity["model"], identity["weights_sha256"], prompts.name, prompts.sha256)
    show_first_screen(frame, circuit, known, lambda: None, ask, origin)
    digest = identity["short"]
    tabs: dict[str, Callable[[], None]] = dict.fromkeys(TABS, _wait)
    tabs["Verdicts"] = lambda: show_verdicts(circuit, known, digest, ask)
    tabs["Robustness checks"] = lambda: show_checks(circuit, known, ask)
    with frame.tabs:
        lazy_tabs(tabs, key="circuit_tab")
    return True


def _wait() -> None:
    st.markdown("This needs the model, which is loading.")


def _as_tuple(circuit: Circuit) -> tuple[tuple[Component, ...], Universe, Replacement]:
    return circuit.components, circuit.universe, circuit.replacement
