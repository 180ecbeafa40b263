"""Inputs of the circuit page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from audit_core import (
    AuditError,
    Auditor,
    Component,
    Kind,
    Replacement,
    Subject,
    TokenisedPrompts,
    format_components,
    list_plugins,
    list_prompt_sets,
    load_prompt_set,
    parse_components,
)
from audit_core.assessment import Assessment
from audit_core.audits import DiscoverRequest, PositionsRequest
from audit_core.circuits import Circuit, CircuitQuestion, OtherTask
from audit_core.claim import Universe
from audit_core.errors import ComponentRefused
from audit_core.prompts import choose_metric, take_tokenised_split
from audit_core.shipped import list_circuits
from audit_core.subject_family import find_planted
from ui.circuit import bring
from ui.flow import services
from ui.flow.choice import ABLATIONS, NO_PRESET, UNIVERSES, pick_one
from ui.flow.subject_form import drop_missing
from ui.parts.header import plain
from ui.shell import link

WAYS = ("resample", "mean", "zero")
NOTHING = "none"
EXAMPLE = "indirect_object-found"
"""The circuit of a first visit: the one with the most recorded answers."""
COLUMNS = (3, 4, 3, 4)
"""Widths of the row of controls."""
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
    """The prompt on which effects are shown token by token."""
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

    def ask_positions(self) -> PositionsRequest:
        """Request each component's effect by position, on the drawn prompt."""
        circuit = self.assessment.circuit
        return PositionsRequest(
            self.drawn, circuit.reference, circuit.components, circuit.universe, circuit.replacement, circuit.metric
        )


def first_visit() -> tuple[link.Field, ...]:
    """State of a page opened without a link: the shipped circuit with the most recorded answers, on its own set."""
    if st.query_params or not (shipped := {circuit.id: circuit for circuit in list_circuits()}.get(EXAMPLE)):
        return FIELDS
    start = {"c": format_components(shipped.components), "set": shipped.task}
    return tuple(link.Field(field.key, start.get(field.key, field.default)) for field in FIELDS)


def read_settled() -> tuple[tuple[Component, ...], Universe, Replacement]:
    """Circuit, universe and ablation of the link, for a page whose model is not loaded yet.

    Raises:
        AuditError: a component name is invalid.
    """
    components = parse_components(st.session_state.c)
    ablation = st.session_state.ab if st.session_state.ab in WAYS else WAYS[0]
    return components, _read_universe(components), Replacement(ablation)


def show_settled(components: tuple[Component, ...], universe: Universe, replacement: Replacement) -> None:
    """Show the row of controls as it will be, disabled: nothing moves when the model is there."""
    circuit, parts, ablation, rest = st.columns(COLUMNS, vertical_alignment="center")
    named = next((c.name for c in list_circuits() if set(c.components) == set(components)), NO_PRESET)
    circuit.selectbox("Circuit", [named], disabled=True, key="settled-circuit")
    names = [str(c) for c in components]
    parts.multiselect("Components", names, names, disabled=True, key="settled-parts")
    ablation.selectbox("Replaced by", [ABLATIONS[replacement.value]], disabled=True, key="settled-ablation")
    rest.selectbox("Around it", [UNIVERSES[universe.value]], disabled=True, key="settled-rest")


def ask_circuit_choice(auditor: Auditor, whole: TokenisedPrompts, prompt_id: str, more: Any) -> CircuitChoice:
    """Show the row of controls, once the model is loaded, and read it; those of single tabs are in the popover `more`.

    Raises:
        AuditError: a component name is invalid.
    """
    subject = auditor.subject
    parts = {*subject.components(Kind.HEAD), *subject.components(Kind.MLP)}
    methods = tuple(list_plugins("circuit_discovery"))
    for key, options in (("ab", WAYS), ("u", tuple(UNIVERSES)), ("method", methods)):
        link.repair(key, options)
    circuit, named, ablation, rest = st.columns(COLUMNS, vertical_alignment="center")
    drop_missing(parts)
    _ask_candidate(circuit, whole.name, parts)
    components = _only_whole(_ask_components(named, parts), parts)
    ablation.selectbox("Replaced by", WAYS, key="ab", format_func=ABLATIONS.get)
    universe = _ask_universe(rest, components)
    with more:
        beside = _ask_rarely(subject, whole.name, parts, methods)
    explored, judged = (take_tokenised_split(whole, exploratory=split) for split in (True, False))
    replacement, metric = Replacement(st.session_state.ab), choose_metric(whole)
    question = CircuitQuestion(judged, judged, components, universe, replacement, metric)
    assessment = Assessment(question, explored, _list_others(auditor, whole.name), st.session_state.method)
    return CircuitChoice(
        assessment,
        pick_one(whole, prompt_id),
        replace(assessment, circuit=replace(question, components=beside)) if beside and beside != components else None,
    )


def _ask_candidate(place: DeltaGenerator, task: str, parts: set[Component]) -> None:
    presets = {c.id: c for c in list_circuits() if c.task == task and set(c.components) <= parts}
    # The candidate is derived from the components, so that link and list agree with it.
    same = (key for key, c in presets.items() if format_components(c.components) == st.session_state.c)
    st.session_state.candidate = next(same, NO_PRESET)
    place.selectbox(
        "Circuit", [NO_PRESET, *presets], key="candidate", on_change=_load_candidate, args=(presets,),
        format_func=lambda key: presets[key].name if key in presets else key,
        help="Shipped candidates for this prompt set.",
    )  # fmt: skip


def _load_candidate(presets: dict[str, Circuit]) -> None:
    if st.session_state.candidate in presets:
        st.session_state.c = format_components(presets[st.session_state.candidate].components)


def _ask_components(place: DeltaGenerator, parts: set[Component]) -> tuple[Component, ...]:
    chosen = [str(c) for c in parse_components(st.session_state.c)]
    options = [str(c) for c in sorted(parts)]
    st.session_state.circuit_parts = chosen
    place.multiselect(
        "Components", [*options, *(c for c in chosen if c not in options)], key="circuit_parts",
        accept_new_options=True, on_change=_take_components, placeholder="L23.H3, L5.MLP",
    )  # fmt: skip
    if refusal := st.session_state.pop("parts_error", ""):
        st.error(plain(refusal), icon=":material/error:")
    return parse_components(st.session_state.c)


def _take_components() -> None:
    try:
        st.session_state.c = format_components(parse_components(" ".join(st.session_state.circuit_parts)))
    except AuditError as error:
        st.session_state.parts_error = str(error)


def _read_universe(components: tuple[Component, ...]) -> Universe:
    """The universe that the numbers use: a circuit with an MLP is measured among heads and MLPs."""
    if any(c.kind is Kind.MLP for c in components):
        return Universe.HEADS_MLPS
    return Universe(st.session_state.u) if st.session_state.u in tuple(UNIVERSES) else Universe.HEADS


def _ask_universe(place: DeltaGenerator, components: tuple[Component, ...]) -> Universe:
    """Offer only what is measured, so that the control and the numbers cannot disagree."""
    universe, has_mlp = _read_universe(components), any(c.kind is Kind.MLP for c in components)
    if has_mlp:
        st.session_state.u = universe.value
    place.selectbox(
        "Around it", [universe] if has_mlp else list(UNIVERSES), key="u", format_func=UNIVERSES.get,
        help="This circuit has an MLP, so MLPs are replaced as well." if has_mlp else None,
    )  # fmt: skip
    return Universe(st.session_state.u)


def _ask_rarely(subject: Subject, task: str, parts: set[Component], methods: tuple[str, ...]) -> tuple[Component, ...]:
    """Controls of single tabs; returns the circuit to compare with."""
    beside = _ask_beside(task, parts)
    st.selectbox(
        "Search method", methods, key="method", format_func=lambda key: key.replace("_", " "),
        help="For the proposal, and for the questions that search for circuits again.",
    )  # fmt: skip
    st.markdown(f"It misses: {plain(list_plugins('circuit_discovery')[st.session_state.method].misses)}")
    bring.ask_file(subject)
    shipped = [c for c in list_circuits() if c.task == task]
    chosen = next((c for c in shipped if format_components(c.components) == st.session_state.c), None)
    if chosen is not None:
        st.markdown(f"Origin of {plain(chosen.name)}: {plain(chosen.origin)}")
        identity = subject.identity
        if identity is not None and chosen.weights_sha256 != identity.weights_sha256:
            st.warning(
                "This candidate was found in other weights. For this model it is a guess.", icon=":material/warning:"
            )
    for circuit in shipped:
        if circuit.source:
            st.markdown(f"Published: **{plain(circuit.name)}** ({plain(circuit.source)}). {plain(circuit.origin)}")
    return beside


def adopt_circuit() -> None:
    """Adopt a circuit from a file or a proposal, before the widgets are drawn."""
    if found := st.session_state.pop("next_circuit", ""):
        st.session_state.c = found


def _ask_beside(task: str, parts: set[Component]) -> tuple[Component, ...]:
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
    names = list_prompt_sets(st.session_state.model) if planted is None else ()
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
    split = take_tokenised_split(whole, exploratory=False)
    found = [
        c
        for c in list_circuits()
        if c.task == name and c.weights_sha256 == auditor.subject.identity.weights_sha256 and len(c.components) > 1
    ]
    return OtherTask(split, found[0].components if found else ())
