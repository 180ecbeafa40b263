"""The page's state in its address: ids without prompt text, so that a link shows another person the same page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st

_SETTLED = "link_settled"
"""Session key: whether a run has drawn the whole page once."""


@dataclass(frozen=True)
class Field:
    """One piece of state: the widget key, and its value on a first visit."""

    key: str
    default: str


def seed(fields: tuple[Field, ...]) -> None:
    """Set each widget's value before it is drawn: from the session, else the address, else the default."""
    for field in fields:
        if field.key not in st.session_state:
            st.session_state[field.key] = st.query_params.get(field.key, field.default)[:2000]
        elif not st.session_state.get(_SETTLED):
            # While the model loads, reruns are so fast that the browser may skip the one in which a widget got its value
            # from the address. Without this, the next rerun would show and send back the widget's default.
            st.session_state[field.key] = st.session_state[field.key]


def repair(key: str, options: tuple[str, ...]) -> None:
    """Replace a value from the link that is not an option by the first option."""
    if st.session_state.get(key) not in options:
        st.session_state[key] = options[0]


def publish(values: Mapping[str, str]) -> None:
    """Write the state into the address, without empty values."""
    st.session_state[_SETTLED] = True
    wanted = {key: value for key, value in values.items() if value}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def show_link() -> None:
    """Show the address to copy; it contains ids and no prompt text."""
    with st.popover("Copy link", icon=":material/link:"):
        st.markdown("Opens the same model, prompt, circuit and intervention. It contains ids and no prompt text.")
        address = (st.context.url or "").split("?")[0]
        st.code(f"{address}?{urlencode(st.query_params.to_dict())}", language=None)
