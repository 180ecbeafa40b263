"""The layer × head grid, operated by mouse or arrow keys and Enter, readable without colour."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import streamlit as st

_CSS = """
.scroll { overflow-x: auto; padding: 2px; }
.grid { display: grid; gap: 1px; font-family: var(--st-font); }
.row { display: contents; }
.tick { font-size: .75rem; color: var(--st-text-color); text-align: center; align-self: center; line-height: 1; }
button { border: 1px solid transparent; height: var(--cell); font-size: .75rem; cursor: pointer; padding: 0; min-width: 0; overflow: hidden; border-radius: 2px; line-height: 1; }
/* Two tones, because cells are light and dark. */
button.inside { outline: 2px dashed var(--st-text-color); outline-offset: 0; box-shadow: 0 0 0 3px var(--st-background-color); z-index: 1; }
button[aria-selected=true] { outline: 2px solid var(--st-text-color); outline-offset: 0; box-shadow: 0 0 0 3px var(--st-background-color); z-index: 1; }
button.inside[aria-selected=true] { outline-style: dashed; box-shadow: 0 0 0 3px var(--st-background-color), 0 0 0 5px var(--st-text-color); }
button:focus-visible { outline: 3px dashed var(--st-primary-color); outline-offset: 1px; z-index: 2; }
.legend { display: flex; gap: .5rem; align-items: center; font-size: .75rem; color: var(--st-text-color); margin-top: .4rem; font-family: var(--st-font); }
.ramp { height: 10px; flex: 1; border-radius: 2px; max-width: 220px; border: 1px solid var(--st-border-color); }
"""
_JS = """
export default function ({ data, parentElement, setTriggerValue }) {
  // Called at every change of data: build once, then patch, because a rebuild loses keyboard focus.
  const root = parentElement.querySelector('.grid'), shape = `${data.columns}x${data.rows}x${data.names[0]}`;
  if (root.dataset.shape !== shape) {
    root.replaceChildren(); root.dataset.shape = shape;
    root.setAttribute('role', 'grid');
    // All layers fit the pane; only a model with very many layers scrolls inside it.
    root.style.gridTemplateColumns = `1.6rem repeat(${data.columns}, minmax(${data.columns > 48 ? 9 : 0}px, 1fr))`;
    root.style.setProperty('--cell', `${Math.max(16, Math.min(34, Math.round(300 / data.rows)))}px`);
    const tick = (text) => { const t = document.createElement('span'); t.className = 'tick'; t.setAttribute('aria-hidden', 'true'); t.textContent = text; return t; };
    for (let r = 0; r < data.rows; r++) {
      const row = document.createElement('div'); row.setAttribute('role', 'row'); row.className = 'row';
      row.appendChild(tick(data.row_names[r]));
      for (let c = 0; c < data.columns; c++) {
        const b = document.createElement('button');
        b.type = 'button'; b.setAttribute('role', 'gridcell'); b.dataset.i = c * data.rows + r; b.dataset.c = c; b.dataset.r = r; b.tabIndex = -1;
        row.appendChild(b);
      }
      root.appendChild(row);
    }
    const foot = document.createElement('div'); foot.className = 'row'; foot.appendChild(tick('L'));
    for (let c = 0; c < data.columns; c++) foot.appendChild(tick(data.columns <= 40 && (c % 5 === 0 || c === data.columns - 1) || c % 10 === 0 ? c : ''));
    root.appendChild(foot);
  }
  const cells = [...root.querySelectorAll('button')];
  const at = (c, r) => cells.find(b => +b.dataset.c === c && +b.dataset.r === r);
  root.setAttribute('aria-label', data.label);
  const go = (b) => { cells.forEach(c => c.tabIndex = -1); b.tabIndex = 0; b.focus(); };
  const name = (b) => data.names[+b.dataset.i];
  // The second click of a double click would toggle once more; it means "only this" instead.
  root.onclick = (e) => { const b = e.target.closest('button'); if (b) { go(b); setTriggerValue(e.detail > 1 || e.shiftKey ? 'only' : 'picked', name(b)); } };
  root.onkeydown = (e) => {
    const b = e.target.closest('button'); if (!b) return;
    if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); setTriggerValue(e.shiftKey ? 'only' : 'picked', name(b)); return; }
    const [dc, dr] = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[e.key] || [0, 0];
    const next = (dc || dr) && at(+b.dataset.c + dc, +b.dataset.r + dr);
    if (dc || dr) e.preventDefault();
    if (next) go(next);
  };
  cells.forEach((b) => {
    const i = +b.dataset.i, chosen = data.chosen === name(b), inside = data.inside.includes(name(b));
    b.style.background = data.colours[i]; b.style.color = data.inks[i];
    b.textContent = data.marks[i];
    b.classList.toggle('inside', inside);
    b.setAttribute('aria-label', `Layer ${b.dataset.c}, ${data.word} ${b.dataset.r}: ${data.texts[i]}${inside ? ', in the circuit' : ''}`);
    b.setAttribute('aria-selected', String(chosen));
    b.title = `${name(b)}: ${data.texts[i]}`;
  });
  if (!cells.some(c => c.tabIndex === 0)) (cells.find(c => c.getAttribute('aria-selected') === 'true') || cells[0]).tabIndex = 0;
  const [low, ramp, high] = ['.low', '.ramp', '.high'].map(s => parentElement.querySelector(s));
  low.textContent = data.low; high.textContent = data.high;
  ramp.style.background = `linear-gradient(to right, ${data.ramp.join(',')})`;
}
"""
_HTML = (
    '<div class="scroll"><div class="grid"></div></div>'
    '<div class="legend" aria-hidden="true"><span class="low"></span><span class="ramp"></span><span class="high"></span></div>'
)
_grid = st.components.v2.component("assay.grid", html=_HTML, css=_CSS, js=_JS)


@dataclass(frozen=True)
class Cells:
    """Content of each cell, layer by layer; sequences of length n_layers × n_heads."""

    colours: Sequence[str]
    inks: Sequence[str]
    marks: Sequence[str]
    """One or two characters that repeat the colour's information."""
    texts: Sequence[str]
    """Value with unit, for the tooltip and the screen reader."""
    ramp: Sequence[str]
    low: str
    high: str


@dataclass(frozen=True)
class Axes:
    """Axes of a grid: columns are layers, rows are the components of a layer."""

    n_layers: int
    rows: Sequence[str]
    names: Sequence[str]
    """Component name of each cell, layer by layer; length n_layers × rows."""
    word: str
    """Noun for a row, for the screen reader."""


def head_axes(n_layers: int, n_heads: int) -> Axes:
    """Axes of layers and heads."""
    names = [f"L{layer}.H{index}" for layer in range(n_layers) for index in range(n_heads)]
    return Axes(n_layers, [f"H{index}" for index in range(n_heads)], names, "head")


NO_HEADS = "no heads in this layer"


def place_cells(
    values: Sequence[float | None], texts: Sequence[str], names: Sequence[str], axes: Axes
) -> tuple[list[float | None], list[str]]:
    """Values and texts for every cell of a grid; None, with a text, where the layer lacks this kind of component."""
    known = {name: (value, text) for name, value, text in zip(names, values, texts, strict=True)}
    placed = [known.get(name, (None, NO_HEADS if axes.word == "head" else "not in this layer")) for name in axes.names]
    return [value for value, _ in placed], [text for _, text in placed]


def layer_grid(
    cells: Cells,
    axes: Axes,
    *,
    label: str,
    chosen: str,
    inside: Sequence[str],
    key: str,
    on_pick: Callable[[str], None],
    on_only: Callable[[str], None] | None = None,
) -> None:
    """Draw the grid.

    Args:
        chosen: name of the head in focus, outlined.
        inside: names of the heads in the circuit, dashed.
        on_pick: called with the name of a picked cell, before the page runs again.
        on_only: the same for a double click, or Shift with a click or Enter; without it these pick.
    """

    def report(event: str, act: Callable[[str], None]) -> Callable[[], None]:
        def call() -> None:
            found = getattr(st.session_state[key], event, None)
            if isinstance(found, str) and found in axes.names:
                act(found)

        return call

    data = {
        "columns": axes.n_layers, "rows": len(axes.rows), "row_names": list(axes.rows), "names": list(axes.names),
        "word": axes.word, "label": label, "chosen": chosen, "inside": list(inside),
        "colours": list(cells.colours), "inks": list(cells.inks), "marks": list(cells.marks), "texts": list(cells.texts),
        "ramp": list(cells.ramp), "low": cells.low, "high": cells.high,
    }  # fmt: skip
    _grid(
        key=key, data=data, on_picked_change=report("picked", on_pick), on_only_change=report("only", on_only or on_pick)
    )  # fmt: skip
