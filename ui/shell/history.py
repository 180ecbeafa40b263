"""Browser history: one entry per visit of a page, so that Back leads to the page before, with the choices made there."""

from __future__ import annotations

import streamlit as st

_JS = """
export default function () {
  if (history.keepsOneEntryPerPage) return;
  history.keepsOneEntryPerPage = true;
  const push = history.pushState.bind(history), replace = history.replaceState.bind(history);
  // Streamlit pushes an entry at every change of the address, also when only the choices of the page changed.
  history.pushState = (state, unused, url) => {
    const isSamePage = new URL(url, location.href).pathname === location.pathname;
    (isSamePage ? replace : push)(state, unused, url);
  };
}
"""
_history = st.components.v2.component("assay.history", html="<span hidden></span>", js=_JS)


def keep_one_entry() -> None:
    """Let a changed choice replace the page's history entry instead of adding one."""
    _history(key="history")
