"""The two recorded maps of the guided story: the same heads, one head outlined on both, and their numbers as a table."""

from __future__ import annotations

import streamlit as st

from audit_core import format_estimate, make_table
from audit_core.story import Story, StoryHead
from audit_core.tables import estimate_cells
from ui.parts.grid import head_axes, layer_grid
from ui.parts.header import plain, table_with_csv
from ui.parts.map_cells import colour_effects, colour_masses


def _focus(address: str) -> None:
    st.session_state.story_head = address


def _focused(story: Story) -> StoryHead:
    wanted = st.session_state.setdefault("story_head", story.named["looks_most"])
    return next((head for head in story.heads if head.component == wanted), story.find_head("looks_most"))


def draw_looks(story: Story) -> None:
    """The plausibility pane."""
    layer_grid(
        colour_masses([head.attention for head in story.heads]), head_axes(story.n_layers, story.n_heads),
        label="Recorded attention by layer and head", chosen=_focused(story).component, inside=tuple(story.named.values()),
        key="story-grid-looks", on_pick=_focus,
    )  # fmt: skip


def draw_does(story: Story) -> None:
    """The causal pane."""
    values = [head.effect.value for head in story.heads]
    texts = [f"effect {format_estimate(head.effect)}" for head in story.heads]
    layer_grid(
        colour_effects(values, texts, story.heads[0].effect.unit), head_axes(story.n_layers, story.n_heads),
        label="Recorded effect by layer and head", chosen=_focused(story).component, inside=tuple(story.named.values()),
        key="story-grid-does", on_pick=_focus,
    )  # fmt: skip


def show_focus(story: Story) -> None:
    """Both numbers of the outlined head, in a sentence each."""
    head = _focused(story)
    st.markdown(
        f"Outlined: **{plain(head.component)}**. It looks: {plain(format_estimate(head.attention))}. It does: {plain(format_estimate(head.effect))}. Dashed: the heads above."
    )


def tabulate(story: Story, key: str, *, only_looks: bool) -> None:
    """Every head in numbers."""
    columns = ("head", "attention", "low", "high", "n", "unit", "effect", "low ", "high ", "n ", "unit ", "fraction of the gap", "low  ", "high  ")  # fmt: skip
    rows = [
        (h.component, *estimate_cells(h.attention), *estimate_cells(h.effect), *estimate_cells(h.fraction)[:3])
        for h in story.heads
    ]
    if only_looks:
        columns, rows = columns[:6], [row[:6] for row in rows]
    table_with_csv(lambda: make_table(columns, rows), "Every head", key)
