"""Inputs of the circuit page."""

from __future__ import annotations

from dataclasses import dataclass, replace

import streamlit as st

from audit_core import (
    AuditError,
    Auditor,
    Component,
    Kind,
    Replacement,
    TokenisedPrompts,
    format_components,
    list_plugins,
    list_prompt_sets,
    load_prompt_set,
    parse_components,
)
from audit_core.assessment import Assessment
from audit_core.audits import DiscoverRequest, OtherTask, PathsRequest, PositionsRequest
from audit_core.circuits import CircuitQuestion, read_components
from audit_core.claim import Universe
from audit_core.errors import ComponentRefused
from audit_core.prompts import choose_metric, is_exploratory
from audit_core.shipped import list_circuits
from audit_core.subjects import find_planted
from ui.flow import services
from ui.flow.choice import ABLATIONS, UNIVERSES, pick_one
from ui.flow.subject_form import ask_circuit
from ui.parts.header import plain
from ui.shell import link

WAYS = ("resample", "mean", "zero")
NOTHING = "none"
FIELDS = (
    link.Field("model", "default"), link.Field("set", "indirect_object"), link.Field("form", "written"), link.Field("prompt", ""), link.Field("c", ""),
    link.Field("ab", "resample"), link.Field("u", "heads"), link.Field("method", "exact"), link.Field("size", "6"),
    link.Field("beside", ""),
)  # fmt: skip
MAX_CONNECTED = 24
"""Largest number of components whose connections are drawn; more are unreadable."""


@dataclass(frozen=True)
class CircuitChoice:
    """All inputs that the page's numbers depend on."""

    assessment: Assessment
    drawn: TokenisedPrompts
    """The prompt whose tokens are the columns of the graph."""
    beside: Assessment | None
    """The circuit to compare with, or None."""

    @property
    def components(self) -> tuple[Component, ...]:
        return self.assessment.circuit.components

    def ask_order(self) -> DiscoverRequest:
        """Request a proposal of the chosen method, on the exploratory split."""
        circuit, explored = self.assessment.circuit, self.assessment.explored
        method = self.assessment.method
        return DiscoverRequest(explored, explored, method, circuit.universe, circuit.replacement, circuit.metric)

    def ask_paths(self) -> PathsRequest:
        """Request the connections among the components, on the measured prompts."""
        circuit = self.assessment.circuit
        return PathsRequest(circuit.prompts, circuit.reference, circuit.components, replacement=circuit.replacement)

    def ask_positions(self) -> PositionsRequest:
        """Request each component's effect by position, on the drawn prompt."""
        circuit = self.assessment.circuit
        return PositionsRequest(
            self.drawn, circuit.reference, circuit.components, circuit.universe, circuit.replacement, circuit.metric
        )


def ask_circuit_choice(auditor: Auditor, whole: TokenisedPrompts, prompt_id: str) -> CircuitChoice:
    """Read circuit, ablation and method, once the model is loaded.

    Raises:
        AuditError: a component name is invalid.
    """
    subject = auditor.subject
    st.header("Circuit", anchor=False)
    heads, mlps = subject.components(Kind.HEAD), subject.components(Kind.MLP)
    components = _only_whole(ask_circuit(whole.name, subject.identity, heads, mlps), {*heads, *mlps})
    _ask_file()
    link.repair("ab", WAYS)
    link.repair("u", tuple(Universe))
    methods = tuple(list_plugins("circuit_discovery"))
    link.repair("method", methods)
    st.header("Test settings", anchor=False)
    st.selectbox("Replaced by", WAYS, key="ab", format_func=ABLATIONS.get)
    st.radio("Everything else means", list(Universe), key="u", format_func=UNIVERSES.get)
    st.selectbox(
        "Search method", methods, key="method", format_func=lambda key: key.replace("_", " "),
        help="For the proposal, and for the questions that search for circuits again.",
    )  # fmt: skip
    st.markdown(f"It misses: {plain(list_plugins('circuit_discovery')[st.session_state.method].misses)}")
    explored, judged = (
        replace(whole, pairs=tuple(p for p in whole.pairs if is_exploratory(p.prompt) is split))
        for split in (True, False)
    )
    universe = Universe.HEADS_MLPS if any(c.kind is Kind.MLP for c in components) else Universe(st.session_state.u)
    replacement, metric = Replacement(st.session_state.ab), choose_metric(whole)
    question = CircuitQuestion(judged, judged, components, universe, replacement, metric)
    assessment = Assessment(question, explored, _list_others(auditor, whole.name), st.session_state.method)
    beside = _ask_beside(whole.name, {*heads, *mlps})
    return CircuitChoice(
        assessment,
        pick_one(whole, prompt_id),
        replace(assessment, circuit=replace(question, components=beside)) if beside and beside != components else None,
    )


def _ask_file() -> None:
    with st.expander("Read a circuit from JSON", icon=":material/upload_file:"):
        upload = st.file_uploader('["L23.H3"] or {"components": [...]}', type=["json"], max_upload_size=1)
        if upload is not None and st.button("Use this circuit", icon=":material/check:"):
            try:
                found = format_components(read_components(upload.getvalue().decode("utf-8", "replace")))
            except AuditError as error:
                st.error(plain(str(error)), icon=":material/error:")
            else:
                st.session_state.next_circuit = found
                st.rerun()


def adopt_circuit() -> None:
    """Adopt a circuit from a file or a proposal, before the widgets are drawn."""
    if found := st.session_state.pop("next_circuit", ""):
        st.session_state.c = found


def _ask_beside(task: str, parts: set[Component]) -> tuple[Component, ...]:
    st.header("Comparison", anchor=False)
    presets = {
        format_components(c.components): c.name
        for c in list_circuits()
        if c.task == task and set(c.components) <= parts
    }
    typed = st.session_state.beside
    options = ["", *presets, *([typed] if typed and typed not in presets else [])]
    st.selectbox(
        "Second circuit", options, key="beside", accept_new_options=True,
        format_func=lambda key: presets.get(key, key) or NOTHING, help="A shipped candidate, or component names: L23.H3, L20.H0",
    )  # fmt: skip
    return _only_whole(parse_components(st.session_state.beside or ""), parts)


def _only_whole(components: tuple[Component, ...], parts: set[Component]) -> tuple[Component, ...]:
    if unknown := [c for c in components if c not in parts]:
        raise ComponentRefused(
            f"{format_components(unknown[:5])} in a circuit.",
            wanted="whole heads and MLPs of this model.",
            remedy="remove it from the list. The live audit ablates single positions and edges.",
        )
    return components


def _list_others(auditor: Auditor, task: str) -> tuple[OtherTask, ...]:
    """Every other task of this model, with the shipped circuit for these weights, if there is one."""
    planted = find_planted(st.session_state.model)
    names = list_prompt_sets() if planted is None else ()
    found = []
    for name in names:
        if name != task:
            # A set of another task that does not align under this tokenizer must not block the page.
            try:
                found.append(_read_task(auditor, name))
            except AuditError as error:
                st.markdown(f"Other task omitted: {plain(name)}: {plain(str(error)[:200])}")
    return tuple(found)


def _read_task(auditor: Auditor, name: str) -> OtherTask:
    whole = services.tokenised(auditor, load_prompt_set(name))
    split = replace(whole, pairs=tuple(p for p in whole.pairs if not is_exploratory(p.prompt)))
    found = [
        c
        for c in list_circuits()
        if c.task == name and c.weights_sha256 == auditor.subject.identity.weights_sha256 and len(c.components) > 1
    ]
    return OtherTask(split, found[0].components if found else ())
