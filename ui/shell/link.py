"""The page's state in its address: ids only, never prompt text, so that a link shows another person the same thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st

_SETTLED = "link_settled"
"""Whether a run has drawn the whole page once."""


@dataclass(frozen=True)
class Field:
    """One piece of state: the widget key, and its value on a first visit."""

    key: str
    default: str


def seed(fields: tuple[Field, ...]) -> None:
    """Give each widget its value before it is drawn: from the session, else the address, else the default."""
    for field in fields:
        if field.key not in st.session_state:
            st.session_state[field.key] = st.query_params.get(field.key, field.default)[:2000]
        elif not st.session_state.get(_SETTLED):
            # Runs that only wait for the model follow each other so fast that the browser may never draw the one in which
            # a widget got its value from the address; the next would then show, and send back, the widget's own default.
            st.session_state[field.key] = st.session_state[field.key]


def repair(key: str, options: tuple[str, ...]) -> None:
    """A link can name what is not there (any more): the first option stands in, and the widget shows which."""
    if st.session_state.get(key) not in options:
        st.session_state[key] = options[0]


def publish(values: Mapping[str, str]) -> None:
    """Write the state into the address, leaving out what is empty."""
    st.session_state[_SETTLED] = True
    wanted = {key: value for key, value in values.items() if value}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def show_link() -> None:
    """The address to copy: it holds ids only, never prompt text."""
    with st.popover("Copy link", icon=":material/link:"):
        st.markdown("Opens the same model, prompt, circuit and intervention. It holds ids, never prompt text.")
        address = (st.context.url or "").split("?")[0]
        st.code(f"{address}?{urlencode(st.query_params.to_dict())}", language=None)
