"""Circuit: a set of components, the graph of their direct effects on one another, and its robustness checks."""

import streamlit as st

from audit_core import Role, get_plugin
from audit_core.assessment import sort_findings
from audit_core.audits import CIRCUIT_QUESTIONS
from ui.circuit import for_and_against, form, graph, results
from ui.circuit.form import FIELDS
from ui.flow import answers, services
from ui.flow.subject_view import ask_in, close_questions, open_page
from ui.parts import verdict_card

# 1. ask

form.adopt_circuit()
audited = open_page(
    "Circuit",
    "Name a set of components that may explain the behaviour, then test it.",
    FIELDS,
    asks_scope=False,
)
auditor, subject = audited.auditor, audited.auditor.subject
choice = ask_in(audited.frame.own, lambda: form.ask_circuit_choice(auditor, audited.whole, audited.prompt_id))
close_questions(audited.frame, FIELDS)
n = len(choice.assessment.circuit.prompts)

# 2. compute, and 3. show, question by question

balance, drawn, verdicts, questions, beside, claims = (st.container() for _ in range(6))
with st.expander(
    "Look for a circuit on the exploratory split", icon=":material/search:", expanded=not choice.components
):
    found = answers.answer_by_job(
        auditor, "discover", f"Search with {choice.assessment.method}", choice.ask_order(), at_once=False
    )
    if found is not None:
        for_and_against.show_proposal(found)
if not choice.components:
    balance.info(
        "No circuit is named. Choose a candidate or type component names in the side bar, or search for one above."
    )
    st.stop()
assessment = choice.assessment
requests = {audit: assessment.ask(audit) for audit in CIRCUIT_QUESTIONS}
trials = {role: assessment.ask_verdict(role) for role in Role}
with drawn:
    st.header("Direct effects between components", anchor=False)
    st.markdown("Which component writes into which?")
    paths = places = None
    if not 2 <= len(choice.components) <= form.MAX_CONNECTED:
        st.info(f"The graph of connections needs 2 to {form.MAX_CONNECTED} components.", icon=":material/info:")
    else:
        paths = answers.answer_by_job(
            auditor, "paths", f"Measure every connection on {n} prompts", choice.ask_paths(), at_once=False
        )
        places = None if paths is None else answers.answer_now(auditor, "positions", choice.ask_positions())
    if paths is not None:
        if places is not None:
            graph.show_graph(paths, places, choice.drawn.pairs[0].pieces, subject.geometry.n_layers)
        graph.show_connections(paths)
with verdicts:
    st.header("Necessity and sufficiency", anchor=False)
    st.markdown("Does the model need this circuit, and is the circuit enough?")
    answers.start_all(
        auditor,
        {f"Judge: {role.value}": ("claim_test", trials[role]) for role in Role}
        | {get_plugin("audits", audit).question: (audit, request) for audit, request in requests.items()},
    )
    judged = {}
    for role, trial in trials.items():
        title = f"Judge on {n} prompts, three ablations: {role.value}"
        judged[role] = answers.answer_by_job(auditor, "claim_test", title, trial, at_once=False, place=role.value)
        if judged[role] is not None:
            verdict_card.show_verdict(
                judged[role], trial.claim, services.read_multiplicity_ledger(auditor), place=role.value
            )
with questions:
    st.header("Robustness checks", anchor=False)
    st.markdown("What survives an honest attempt to break it?")
    known = {}
    for audit, request in requests.items():
        with st.container(border=True):
            st.subheader(get_plugin("audits", audit).question, anchor=False)
            result = answers.answer_by_job(auditor, audit, f"Measure on {n} prompts", request, at_once=False)
            if result is not None:
                known[audit] = result
                results.SHOW[audit](result)
                results.note_different_circuit(result, choice.components)
with balance:
    verdicts_known = {role: found for role, found in judged.items() if found is not None}
    sorted_findings = sort_findings(choice.components, known, verdicts_known)
    for_and_against.show_balance(
        sorted_findings, assessment.circuit.state_conditions("as each question below reports"), n
    )
with beside:
    if choice.beside is not None:
        st.header("Comparison with another circuit", anchor=False)
        other = answers.answer_by_job(
            auditor, "recomposition", f"Decompose the second circuit on {n} prompts", choice.beside.ask("recomposition"),
            at_once=False, place="beside",
        )  # fmt: skip
        if "recomposition" not in known:
            st.info("Answer the first question above for this circuit as well.", icon=":material/info:")
        elif other is not None:
            names = [", ".join(map(str, circuit.components)) for circuit in (assessment.circuit, choice.beside.circuit)]
            for_and_against.show_beside(known["recomposition"], other, names)
with claims:
    for_and_against.offer_claims([trial.claim for trial in trials.values()], choice.components)
