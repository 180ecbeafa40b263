"""Inputs of the live audit: widgets in, one frozen choice out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import streamlit as st

from audit_core import (
    AuditError,
    Component,
    Direction,
    Kind,
    Prompt,
    PromptSet,
    Replacement,
    Subject,
    TokenisedPrompts,
    format_components,
    head,
    list_prompt_sets,
    load_prompt_set,
    parse_components,
)
from audit_core.attention import Source, list_sources
from audit_core.circuits import Circuit
from audit_core.claim import Universe
from audit_core.errors import ComponentRefused, ModelRefused
from audit_core.models import ModelIdentity
from audit_core.prompts import PromptForm, keep_measurable, take_split
from audit_core.references import Setting, read_architecture
from audit_core.shipped import list_circuits
from audit_core.subject_family import find_planted, list_models
from ui.flow import actions, model_question
from ui.flow.choice import (
    ABLATIONS,
    DIRECTIONS,
    FORMS,
    NO_PRESET,
    SAMPLED_HEADS,
    SCOPES,
    SOURCES,
    UNIVERSES,
    Choice,
    pick_one,
    pick_reference,
)
from ui.flow.own_prompts import bring_own, list_own, name_set
from ui.parts.header import plain
from ui.shell import link

PLANTED_SET = "planted-"
PLANTED_PER_TEMPLATE = 12
"""Large enough that each split has more than the twenty prompts that a verdict needs."""


_NAMED = 120
"""Characters of a prompt in the list of prompts."""


def ask_model() -> str:
    """Select the model: a known name, or a typed folder or hub id."""
    listed = list_models()
    options = tuple(model.name for model in listed)
    typed = st.session_state.model
    if typed not in options:
        options = (*options, typed)
    titles = {model.name: model.title for model in listed}
    st.selectbox(
        "Model", options, key="model", format_func=lambda name: titles.get(name, name), accept_new_options=True,
        on_change=model_question.note_choice,
        help="Choose a known or planted model, or type a hub id or a folder in Hugging Face format.",
    )  # fmt: skip
    return str(st.session_state.model)


def ask_prompts() -> PromptSet:
    """Select the prompt set: shipped, stored earlier, or new.

    Raises:
        PromptRefused: the set named by the link does not exist here.
    """
    key, planted = st.session_state.set, find_planted(st.session_state.model)
    shipped = (
        list_prompt_sets(st.session_state.model)
        if planted is None
        else tuple(PLANTED_SET + task.name for task in planted.tasks)
    )
    options = (*shipped, *list_own(key))
    link.repair("set", options)
    st.selectbox("Prompts", options, key="set", format_func=name_set, on_change=forget_prompt)
    bring_own()
    key = st.session_state.set
    if key.startswith("own-"):
        return actions.load_own(key)
    if planted is not None:
        return planted.find_task(key.removeprefix(PLANTED_SET)).make(PLANTED_PER_TEMPLATE, 0)
    return load_prompt_set(key)


def ask_form() -> bool:
    """Select the prompt form; returns whether prompts are user messages in the model's chat template."""
    link.repair("form", tuple(FORMS))
    st.selectbox("Prompt form", list(FORMS), key="form", format_func=FORMS.get, on_change=forget_prompt)
    return bool(st.session_state.form == "chat")


def forget_prompt() -> None:
    st.session_state.prompt = ""
    st.session_state.src = "answer"


def ask_scope(prompts: PromptSet) -> tuple[PromptSet, str]:
    """Select one prompt or a split, and the prompt to draw; returns the measured set and the drawn prompt's id."""
    link.repair("scope", tuple(SCOPES) if len(prompts) > 1 else ("one",))
    scope = st.session_state.scope
    split = prompts if scope == "one" else take_split(prompts, exploratory=scope == "exploratory")
    _ask_prompt(split, "Prompt" if scope == "one" else "Drawn prompt")
    st.selectbox("Measure on", list(SCOPES) if len(prompts) > 1 else ["one"], key="scope", format_func=SCOPES.get)
    return split, st.session_state.prompt


def ask_drawn(prompts: PromptSet) -> tuple[PromptSet, str]:
    """Select the prompt to draw, any of the set; returns the confirmatory split and the drawn prompt's id."""
    _ask_prompt(prompts, "Drawn prompt")
    return take_split(prompts, exploratory=False), st.session_state.prompt


def _ask_prompt(prompts: PromptSet, label: str) -> None:
    names = {p.id: p for p in prompts.prompts}
    link.repair("prompt", tuple(names))
    st.selectbox(label, list(names), key="prompt", format_func=lambda key: f"{key}: {_name_prompt(names[key])}")


def _name_prompt(prompt: Prompt) -> str:
    """Text of a prompt; for rendered templates and long prompts the end, because all start alike."""
    return (
        prompt.clean
        if prompt.form is PromptForm.PLAIN and len(prompt.clean) <= _NAMED
        else f"…{prompt.clean[-_NAMED:]}"
    )


def ask_circuit(
    task: str, identity: ModelIdentity | None, heads: tuple[Component, ...], mlps: tuple[Component, ...]
) -> tuple[Component, ...]:
    """Select components: a shipped candidate, a list, or typed names."""
    drop_missing({*heads, *mlps})
    presets = {c.id: c for c in list_circuits() if c.task == task and set(c.components) <= {*heads, *mlps}}
    if presets:
        # The candidate is derived from the components, so that link, map and list agree with it.
        same = (key for key, c in presets.items() if format_components(c.components) == st.session_state.c)
        st.session_state.preset = next(same, NO_PRESET)
        st.selectbox(
            "Circuit", [NO_PRESET, *presets], key="preset", on_change=_load_preset, args=(presets,),
            format_func=lambda key: presets[key].name if key in presets else key,
        )  # fmt: skip
    options = [str(c) for c in (*heads, *mlps)]
    chosen = [str(c) for c in parse_components(st.session_state.c)]
    st.session_state.parts = chosen
    st.multiselect(
        "Components", [*options, *(c for c in chosen if c not in options)], key="parts", accept_new_options=True,
        on_change=_take_parts, placeholder="L23.H3, L5.MLP, L9.H6@-1, L9.H6:14>2",
        help="Any heads and MLPs. @ restricts to a token position, : > names one attention edge.",
    )  # fmt: skip
    if "parts_error" in st.session_state:
        st.error(plain(st.session_state.pop("parts_error")), icon=":material/error:")
    return parse_components(st.session_state.c)


def show_origin(task: str, identity: ModelIdentity | None) -> None:
    """Show where the chosen candidate comes from, and circuits of other models that were published."""
    of_task = [c for c in list_circuits() if c.task == task]
    chosen = next((c for c in of_task if format_components(c.components) == st.session_state.c), None)
    if chosen is not None:
        st.markdown(f"**{plain(chosen.name)}.** {plain(chosen.origin)}")
        if identity is not None and chosen.weights_sha256 != identity.weights_sha256:
            st.warning(
                "This candidate was found in other weights. For this model it is a guess.", icon=":material/warning:"
            )
    _show_published([c for c in of_task if c.source])


def drop_missing(known: set[Component]) -> None:
    """Drop components that this model lacks, and say so: a circuit is kept when the model is changed."""
    layers, whole = {c.layer for c in known}, {(c.kind, c.layer, c.index) for c in known}

    def exists(c: Component) -> bool:
        kind = Kind.MLP if c.kind is Kind.MLP else Kind.HEAD
        return c.layer in layers if c.kind is Kind.RESID else (kind, c.layer, c.index) in whole

    named = parse_components(st.session_state.c)
    missing = [c for c in named if not exists(c)]
    if missing:
        st.session_state.c = format_components(c for c in named if exists(c))
        listed = ", ".join(map(str, missing[:6])) + (f" and {len(missing) - 6} more" if len(missing) > 6 else "")
        st.toast(f"This model has no {plain(listed)}. Removed from the circuit.", icon=":material/info:")


def _show_published(circuits: Sequence[Circuit]) -> None:
    """List published circuits of other models."""
    if circuits:
        with st.expander("Published circuits", icon=":material/menu_book:"):
            for circuit in circuits:
                st.markdown(f"**{plain(circuit.name)}** ({plain(circuit.source)}). {plain(circuit.origin)}")


def _load_preset(presets: dict[str, Circuit]) -> None:
    if st.session_state.preset in presets:
        st.session_state.c = format_components(presets[st.session_state.preset].components)


def _take_parts() -> None:
    try:
        st.session_state.c = format_components(parse_components(" ".join(st.session_state.parts)))
    except AuditError as error:
        st.session_state.parts_error = str(error)


def ask_intervention(more: Any) -> tuple[Replacement, Direction, float, Universe]:
    """Select ablation, direction, factor and universe; the rarely changed ones in the popover `more`."""
    link.repair("ab", tuple(ABLATIONS))
    link.repair("dir", tuple(DIRECTIONS))
    link.repair("u", tuple(UNIVERSES))
    st.selectbox("Ablation", list(ABLATIONS), key="ab", format_func=ABLATIONS.get)
    with more:
        if st.session_state.ab == "resample":
            st.selectbox("Direction", list(DIRECTIONS), key="dir", format_func=DIRECTIONS.get)
        else:
            st.session_state.dir = "noising"
    factor = _read_factor()
    if st.session_state.ab == "scale":
        factor = st.number_input(
            "Factor: 0 suppresses, 2 doubles, −1 reverses", -20.0, 20.0, value=factor, step=0.5, key="factor"
        )
        st.session_state.f = f"{factor:g}"
    more.radio("Everything else means", list(UNIVERSES), key="u", format_func=UNIVERSES.get)
    return Replacement(st.session_state.ab), Direction(st.session_state.dir), factor, Universe(st.session_state.u)


def _read_factor() -> float:
    try:
        return max(-20.0, min(20.0, float(st.session_state.f)))
    except ValueError:
        return 0.0


def ask_source(prompts: TokenisedPrompts) -> Source:
    """Select the source token of attention, among those that every prompt contains."""
    options = tuple(list_sources(prompts))
    link.repair("src", options)
    st.selectbox("Attention from the answer position to", list(options), key="src", format_func=lambda s: SOURCES[s])
    return Source(st.session_state.src)


def ask_rest(subject: Subject, whole: TokenisedPrompts, measured: PromptSet, prompt_id: str, more: Any) -> Choice:
    """Read circuit, intervention and source, once the model is loaded; rarely changed inputs are in the popover `more`.

    Raises:
        ComponentRefused: a component name in the link is invalid, or the model has no heads.
    """
    if not subject.components(Kind.HEAD):
        raise ComponentRefused(
            "This model has no accessible attention heads.",
            wanted="heads, because this page compares their attention with their causal effect.",
            remedy="open Sweep, which also ablates MLPs and the residual stream, or choose another model.",
        )
    shown = pick_one(whole, prompt_id)
    kept = {prompt.id for prompt in measured.prompts}
    pairs = tuple(p for p in whole.pairs if p.prompt.id in kept)
    split = replace(whole, name=measured.name, pairs=pairs, sha256=measured.sha256)
    prompts = shown if st.session_state.scope == "one" else split
    heads, mlps = subject.components(Kind.HEAD), subject.components(Kind.MLP)
    components = ask_circuit(whole.name, subject.identity, heads, mlps)
    replacement, direction, factor, universe = ask_intervention(more)
    # Both axes use the same prompts, so a prompt that one axis cannot use is excluded from both.
    prompts = keep_measurable(prompts, pick_reference(prompts, whole), (replacement,))
    with more:
        source = ask_source(prompts)
        show_origin(whole.name, subject.identity)
    first = next((c for c in components if c.kind in (Kind.HEAD, Kind.EDGE)), heads[0])
    focus = _read_focus(heads, head(first.layer, first.index))
    candidates = tuple(
        (circuit.name, circuit.components[0])
        for circuit in sorted(list_circuits(), key=lambda c: c.id, reverse=True)
        if circuit.is_example
        and circuit.task == whole.name
        and circuit.weights_sha256 == subject.identity.weights_sha256
    )
    return Choice(
        st.session_state.scope,
        prompts, shown, pick_reference(prompts, whole), components, replacement, direction, factor, universe, source, focus,
        heads[:: -(-len(heads) // SAMPLED_HEADS)], candidates or ((f"Head in focus: {focus}", focus),),
        _read_settings(subject.identity.folder),
    )  # fmt: skip


def _read_settings(folder: str) -> tuple[Setting, ...]:
    """Classes of the model; empty if its folder no longer exists."""
    try:
        return read_architecture(Path(folder)).settings
    except ModelRefused:
        return ()


def _read_focus(heads: tuple[Component, ...], fallback: Component) -> Component:
    named = {str(c): c for c in heads}
    return named.get(st.session_state.head, fallback)
