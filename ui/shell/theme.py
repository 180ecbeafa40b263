"""The theme, light or dark: figures are coloured on the server, so a page drawn for the other theme runs again."""

from __future__ import annotations

import streamlit as st

_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  // Streamlit calls this after each change of the theme, and after a run that draws for another one.
  const element = parentElement.host ?? parentElement;
  const ground = getComputedStyle(element).getPropertyValue('--st-background-color').trim();
  const [red, green, blue] = ground.match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
  const shown = red + green + blue < 3 * 128 ? 'dark' : 'light';
  document.querySelector('.stApp').dataset.drawnFor = data.drawn;
  if (data.drawn && data.drawn !== shown) setTriggerValue('changed', shown);
}
"""
_theme = st.components.v2.component("assay.theme", html="<span hidden></span>", js=_JS)


def follow_theme() -> None:
    """Run the page again if it was drawn for another theme than the one that is shown."""
    _theme(key="theme", data={"drawn": st.context.theme.type}, on_changed_change=lambda: None)
