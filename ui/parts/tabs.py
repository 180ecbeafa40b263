"""Lazy tabs for every page: `lazy_tabs` draws the open tab alone, so that a hidden tab computes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import streamlit as st


def lazy_tabs(tabs: Mapping[str, Callable[[], None]], *, key: str, default: str | None = None) -> str:
    """Draw a row of tabs and only the content of the open one; returns its title.

    A change of tab reruns the page: what is above the tabs must come from caches. A result that another tab needs
    belongs above the tabs, because the function of a closed tab is not called.

    Args:
        tabs: title → function that draws the tab.
        key: session key that holds the open tab's title; set it in a callback to open another tab.
        default: title of the tab that is open first; the first one unless given.

    Example:
        >>> lazy_tabs({"Verdicts": show_verdicts, "History": show_earlier}, key="circuit-tab")  # doctest: +SKIP
    """
    titles = list(tabs)
    if st.session_state.get(key) not in titles:
        # A tab that this choice does not offer would leave every tab closed.
        st.session_state[key] = default if default in titles else titles[0]
    for title, place in zip(titles, st.tabs(titles, key=key, on_change="rerun"), strict=True):
        if place.open:
            with place:
                tabs[title]()
    return str(st.session_state[key])
