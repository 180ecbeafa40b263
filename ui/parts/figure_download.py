"""Download a Plotly figure as SVG or PNG: drawn by the browser from what it shows, so it works offline."""

from __future__ import annotations

import re

import streamlit as st

from ui.parts.sample_mark import name_file

_JS = """
export default function ({ data, parentElement }) {
  const plot = () => document.querySelector(`.st-key-${data.slot} .js-plotly-plot`);
  const bar = () => plot()?.querySelector('.modebar-btn');
  // Plotly's own button knows one format and appears on hover alone; these two, for keyboard and touch, press it.
  const hide = (tries) => { const b = bar(); if (b) b.style.display = 'none'; else if (tries) setTimeout(hide, 200, tries - 1); };
  hide(50);
  for (const button of parentElement.querySelectorAll('button')) {
    button.setAttribute('aria-label', `Download the figure as ${button.textContent}: ${data.alt}`);
    button.onclick = () => {
      if (!bar()) return;
      plot()._context.toImageButtonOptions = { format: button.dataset.format, filename: data.file, scale: 2 };
      bar().click();
    };
  }
}
"""
_CSS = """
.image { display: flex; gap: .75rem; justify-content: flex-end; align-items: center; font: .8rem var(--st-font); color: var(--st-text-color); }
button { font: inherit; color: var(--st-link-color); background: none; border: 0; padding: .2rem; min-height: 24px; cursor: pointer; text-decoration: underline; }
button:focus-visible { outline: 3px dashed var(--st-primary-color); outline-offset: 1px; }
"""
_HTML = (
    '<div class="image"><button type="button" data-format="svg">SVG</button>'
    '<button type="button" data-format="png">PNG</button></div>'
)
_download = st.components.v2.component("assay.image", html=_HTML, css=_CSS, js=_JS)


def offer_image(key: str, alt: str) -> None:
    """Two buttons for the figure with this key; its configuration must have Plotly's own image button.

    Args:
        alt: what is drawn, for the buttons' names.
    """
    # As Streamlit makes a class of a key.
    slot = re.sub(r"[^a-zA-Z0-9_-]", "-", key.strip())
    _download(key=f"image-{key}", data={"slot": slot, "alt": alt, "file": name_file(slot)})
