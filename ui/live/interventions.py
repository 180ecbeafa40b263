"""The active interventions: what is ablated now, and the buttons that change it."""

from __future__ import annotations

import streamlit as st

from audit_core import Component, format_components
from ui.flow.choice import Choice


def set_components(components: tuple[Component, ...]) -> None:
    """Callback of buttons and maps: set the circuit for the next run."""
    st.session_state.c = format_components(components)


def focus_head(address: str) -> None:
    """Callback of the maps: set the head whose details are drawn."""
    st.session_state.head = address


def show_interventions(choice: Choice) -> None:
    """The components ablated now, each with a button to remove it."""
    if not choice.components:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown("**Replaced now:**")
        for component in choice.components[:24]:
            rest = tuple(c for c in choice.components if c != component)
            st.button(
                f"{component}",
                key=f"remove-{component}",
                icon=":material/close:",
                on_click=set_components,
                args=(rest,),
                help=f"Remove {component}",
            )
        if len(choice.components) > 24:
            st.markdown(f"and {len(choice.components) - 24} more, listed in the side bar")
        st.button("Remove all", key="remove-all", on_click=set_components, args=((),))


def show_focus(choice: Choice) -> None:
    """Actions on the head that was picked on a map."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(f"**Head in focus: {choice.head}**")
        st.button(
            "Ablate only this head",
            key="only",
            on_click=set_components,
            args=((choice.head,),),
            icon=":material/science:",
        )
        if choice.head not in choice.components:
            both = (*choice.components, choice.head)
            st.button("Add it to the circuit", key="add", on_click=set_components, args=(both,), icon=":material/add:")
