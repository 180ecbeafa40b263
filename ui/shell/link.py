"""The page's state in its address: ids without prompt text, so that a link shows another person the same page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

import streamlit as st

_SETTLED = "link_settled"
"""Session key: whether a run has drawn the whole page once."""
_KEPT = "kept_choices"
"""Session key: the last value of each field, so that pages share one choice of model, prompts and circuit."""
_PAGE, _MOVED = "page_of_last_run", "came_from_another_page"
"""Session keys: the page of the last run, and whether this run is the first on its page."""


@dataclass(frozen=True)
class Field:
    """One piece of state: the widget key, and its value on a first visit."""

    key: str
    default: str


def enter(page: str) -> None:
    """Note which page runs, before it runs; on arrival its address counts, and after that its widgets do."""
    st.session_state[_MOVED] = st.session_state.get(_PAGE) != page
    st.session_state[_PAGE] = page


def seed(fields: tuple[Field, ...]) -> None:
    """Set each widget's value before it is drawn: from the session, else the address, else the last page, else the default.

    On arrival from another page, also by the browser's Back, the session's values are those of that page, so they do not count.
    """
    kept = st.session_state.setdefault(_KEPT, {})
    has_moved = st.session_state.get(_MOVED, False)
    for field in fields:
        if field.key not in st.session_state or has_moved:
            found = st.query_params.get(field.key, kept.get(field.key, field.default))
            st.session_state[field.key] = found[:2000]
        elif not st.session_state.get(_SETTLED):
            # While the model loads, reruns are so fast that the browser may skip the one in which a widget got its value
            # from the address. Without this, the next rerun would show and send back the widget's default.
            st.session_state[field.key] = st.session_state[field.key]


def keep(values: Mapping[str, str]) -> None:
    """Keep choices for the next page, for a page that moves on by itself."""
    st.session_state.setdefault(_KEPT, {}).update(values)


def repair(key: str, options: tuple[str, ...]) -> None:
    """Replace a value from the link that is not an option by the first option."""
    if st.session_state.get(key) not in options:
        st.session_state[key] = options[0]


def publish(values: Mapping[str, str], *, is_shared: bool = True) -> None:
    """Write the state into the address, without empty values.

    Args:
        is_shared: whether other pages start from these values.
    """
    st.session_state[_SETTLED] = True
    if is_shared:
        keep(values)
    wanted = {key: value for key, value in values.items() if value}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def show_link() -> None:
    """Show the address to copy; it contains ids and no prompt text."""
    with st.popover("Copy link", icon=":material/link:"):
        st.markdown("Opens the same model, prompt, circuit and intervention. It contains ids and no prompt text.")
        address = (st.context.url or "").split("?")[0]
        st.code(f"{address}?{urlencode(st.query_params.to_dict())}", language=None)
