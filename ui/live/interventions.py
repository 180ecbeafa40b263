"""The active interventions: what is ablated now, how maps and buttons change it, and the way back."""

from __future__ import annotations

import streamlit as st

from audit_core import Component, Estimate, format_components, parse_component, parse_components
from audit_core.audits import AttentionResult, SweepResult
from ui.flow.choice import Choice
from ui.live.head_maps import list_masses
from ui.parts.header import BADGES, plain
from ui.parts.workbench import signed

_TRAIL = "circuit_trail"
"""Session key: the last circuits, newest first."""
KEPT = 5


def set_circuit(text: str) -> None:
    """Callback of buttons: set the circuit for the next run."""
    st.session_state.c = text


def toggle_head(name: str) -> None:
    """Callback of the maps: add a head to the circuit or remove it, and put it in focus."""
    chosen = set(parse_components(st.session_state.c)) ^ {parse_component(name)}
    st.session_state.c, st.session_state.head = format_components(chosen), name


def keep_only(name: str) -> None:
    """Callback of the maps: make this head the whole circuit."""
    st.session_state.c = st.session_state.head = name


def focus_head(name: str) -> None:
    """Callback of the scatter plot: set the head whose details are drawn."""
    st.session_state.head = name


def remember(components: tuple[Component, ...]) -> None:
    """Keep this circuit, so that a step back is one press."""
    now, trail = format_components(components), st.session_state.setdefault(_TRAIL, [])
    if not trail or trail[0] != now:
        st.session_state[_TRAIL] = [now, *(one for one in trail if one != now)][: KEPT + 1]


def _undo(text: str) -> None:
    st.session_state[_TRAIL] = st.session_state[_TRAIL][1:]
    set_circuit(text)


def show_actions(choice: Choice, attention: AttentionResult | None, effects: SweepResult | None) -> None:
    """The head in focus with its two measurements, each under its own badge, and what can be done with it."""
    focus, name = choice.head, str(choice.head)
    st.markdown(f"**{focus}**", width="content")
    if attention is not None and name in (masses := list_masses(attention)):
        _show_number(
            "observational", "share of attention", masses[name], [m.value for m in masses.values()], by_size=False
        )
    cells = {} if effects is None else {cell.component: cell.estimate for cell in effects.cells}
    if name in cells:
        _show_number("causal", "effect", cells[name], [e.value for e in cells.values()], by_size=True)
    st.space("stretch")
    if choice.components != (focus,):
        st.button(
            f"Ablate only {focus}", key="only", icon=":material/science:", on_click=set_circuit, args=(name,)
        )  # fmt: skip
    earlier = st.session_state.get(_TRAIL, [])[1:]
    if earlier:
        st.button("Undo", key="undo", icon=":material/undo:", on_click=_undo, args=(earlier[0],))
    if earlier:
        with st.popover("Recent circuits"):
            for i, text in enumerate(earlier):
                st.button(
                    plain(text[:60]) or "no circuit", key=f"recent-{i}", type="tertiary", on_click=set_circuit, args=(text,)
                )  # fmt: skip


def _show_number(kind: str, what: str, estimate: Estimate, all_values: list[float], *, by_size: bool) -> None:
    size = abs if by_size else float
    rank = 1 + sum(size(value) > size(estimate.value) for value in all_values)
    number = f"{signed(estimate.value)} {estimate.unit}" if by_size else f"{estimate.value:.2f}"
    if estimate.low is not None and estimate.high is not None:
        number += (
            f" [{signed(estimate.low)}, {signed(estimate.high)}]"
            if by_size
            else f" [{estimate.low:.2f}, {estimate.high:.2f}]"
        )
    icon, colour = BADGES[kind]
    st.badge(kind, icon=icon, color=colour)
    st.markdown(f"{what} {plain(number)}, rank {rank} of {len(all_values)}", width="content")
