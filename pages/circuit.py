"""Circuit: a set of components, the graph of their direct effects on one another, and the evidence for and against."""

from audit_core import Role
from audit_core.exchange import GraphOrigin
from ui.circuit import for_and_against, form, questions, tabs, view
from ui.circuit.known import Known, find_record, read_record
from ui.flow import history
from ui.flow.subject_view import ask_in, close_questions, open_page
from ui.parts.tabs import lazy_tabs

# 1. ask

form.adopt_circuit()
audited = open_page(
    "Circuit",
    "Name a set of components that may carry the behaviour, then test it.",
    form.first_visit(),
    asks_scope=False,
    while_loading=view.show_while_loading,
)
frame, auditor, subject = audited.frame, audited.auditor, audited.auditor.subject
choice = ask_in(frame.own, lambda: form.ask_circuit_choice(auditor, audited.whole, audited.prompt_id, frame.more))
close_questions(frame, form.FIELDS)
assessment, question = choice.assessment, choice.assessment.circuit
circuit = view.Circuit(choice.components, question.universe, question.replacement)

# 2. compute: known answers only; what is missing is asked for by a button

if circuit.components:
    asked = questions.list_questions(auditor, choice)
    record = find_record(audited.whole, circuit.components, circuit.universe, circuit.replacement)
    recorded = read_record(record, subject.identity)
    known = questions.find_known(auditor, asked).over(recorded)

# 3. show


def ask(key: str) -> Known | None:
    """The answer to one question, with its badges and buttons."""
    return questions.show_question(auditor, next(q for q in asked if q.key == key), known)


if circuit.components:
    origin = GraphOrigin(
        subject.identity.model, subject.identity.weights_sha256, audited.whole.name, audited.whole.sha256
    )
    view.show_first_screen(frame, circuit, known, lambda: questions.offer_all(auditor, asked, known), ask, origin)
else:
    frame.answer.info("No circuit is named. Choose one above, type component names, or search for one below.")
shown = {
    "Verdicts": lambda: view.show_verdicts(circuit, known, subject.identity.short, ask),
    "Robustness checks": lambda: view.show_checks(circuit, known, ask),
    "Search": lambda: tabs.show_search(auditor, choice),
    "Compare": lambda: tabs.show_comparison(auditor, choice, known),
    "Claim": lambda: for_and_against.offer_claims(
        [assessment.ask_verdict(role).claim for role in Role], choice.components
    ),
    "History": lambda: history.show_history(subject.identity.short),
}
offered = {title: draw for title, draw in shown.items() if circuit.components or title in ("Search", "History")}
with frame.tabs:
    lazy_tabs(offered, key="circuit_tab")
