"""The page's state in its address: ids without prompt text, so that a link shows another person the same page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st

_SEEDED = "link_seeded_at"
"""Session key: monotonic second at which widgets last got their values from the address."""
REPEATED_S = 30.0
"""Seconds for which each run sends widgets their values again: runs follow each other so fast, or the browser is so slow, that it may
never draw the run in which a widget got its value from the address. The next run would show and send back the widget's default."""
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
    now = time.monotonic()
    if has_moved or _SEEDED not in st.session_state or any(field.key not in st.session_state for field in fields):
        st.session_state[_SEEDED] = now
    for field in fields:
        if field.key not in st.session_state or has_moved:
            found = st.query_params.get(field.key, kept.get(field.key, field.default))
            st.session_state[field.key] = found[:2000]
        elif now - st.session_state[_SEEDED] < REPEATED_S:
            st.session_state[field.key] = st.session_state[field.key]


def keep(values: Mapping[str, str]) -> None:
    """Keep choices for the next page, for a page that moves on by itself."""
    st.session_state.setdefault(_KEPT, {}).update(values)


def read_kept(key: str) -> str:
    """Last value of a field on the pages before; empty without one."""
    return str(st.session_state.get(_KEPT, {}).get(key, ""))


def repair(key: str, options: tuple[str, ...]) -> None:
    """Replace a value from the link that is not an option by the first option."""
    if st.session_state.get(key) not in options:
        st.session_state[key] = options[0]


def publish(values: Mapping[str, str], *, is_shared: bool = True) -> None:
    """Write the state into the address, without empty values.

    Args:
        is_shared: whether other pages start from these values.
    """
    if is_shared:
        keep(values)
    wanted = {key: value for key, value in values.items() if value}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


_CSS = """
button { font: inherit; font-family: var(--st-font); color: var(--st-text-color); background: transparent; cursor: pointer;
  border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius); padding: .35rem .75rem; font-size: .95rem; }
button:hover, button:focus-visible { border-color: var(--st-primary-color); outline-color: var(--st-primary-color); }
"""
_JS = """
export default function ({ parentElement }) {
  const button = parentElement.querySelector('button'), said = parentElement.querySelector('[role=status]');
  button.onclick = async () => {
    try { await navigator.clipboard.writeText(location.href); said.textContent = 'Copied'; }
    catch { said.textContent = 'Not allowed by this browser. Copy the address bar.'; }
    setTimeout(() => { said.textContent = ''; }, 4000);
  };
}
"""
_copy = st.components.v2.component(
    "assay.copy_link", css=_CSS, js=_JS,
    html='<button type="button" title="The address contains ids and no prompt text.">Copy link</button> <span role="status"></span>',
)  # fmt: skip


def show_link() -> None:
    """Show a button that copies the address, which opens the same page with the same choices."""
    _copy(key="copy-link", width="content")
