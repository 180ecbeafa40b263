"""The theme, light or dark: a change of it in the browser runs the page again, because figures are coloured here and not there."""

from __future__ import annotations

import streamlit as st

_JS = """
export default function ({ setTriggerValue }) {
  const app = document.querySelector('.stApp');
  const ground = () => getComputedStyle(app).backgroundColor;
  let shown = ground(), waiting;
  const look = () => {
    const now = ground();
    if (now === shown) return;
    shown = now;
    setTriggerValue('changed', now);
  };
  // Streamlit gives the page another class and no word to the server; a colour on its way is not yet the new one.
  const watch = new MutationObserver(() => { clearTimeout(waiting); waiting = setTimeout(look, 100); });
  watch.observe(app, { attributes: true, attributeFilter: ['class'] });
  return () => { clearTimeout(waiting); watch.disconnect(); };
}
"""
_theme = st.components.v2.component("assay.theme", html="<span hidden></span>", js=_JS)


def follow_theme() -> None:
    """Run the page again after a change of theme."""
    _theme(key="theme", on_changed_change=lambda: None)
