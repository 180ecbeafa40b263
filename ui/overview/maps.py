"""The two recorded maps of the guided story: same heads, one head outlined on both, and a table of the numbers."""

from __future__ import annotations

import streamlit as st

from audit_core import format_estimate, make_table
from audit_core.story import Story, StoryHead
from audit_core.tables import estimate_cells
from ui.parts.grid import head_axes, layer_grid
from ui.parts.header import table_with_csv
from ui.parts.map_cells import colour_effects, colour_masses


def _focus(address: str) -> None:
    st.session_state.story_head = address


def _focused(story: Story) -> StoryHead:
    wanted = st.session_state.setdefault("story_head", story.named["looks_most"])
    return next((head for head in story.heads if head.component == wanted), story.find_head("looks_most"))


def draw_attention(story: Story) -> None:
    """Draw the attention map."""
    layer_grid(
        colour_masses([head.attention for head in story.heads]), head_axes(story.n_layers, story.n_heads),
        label="Recorded attention by layer and head", chosen=_focused(story).component, inside=tuple(story.named.values()),
        key="story-grid-looks", on_pick=_focus,
    )  # fmt: skip


def draw_effects(story: Story) -> None:
    """Draw the causal effect map."""
    values = [head.effect.value for head in story.heads]
    texts = [f"effect {format_estimate(head.effect)}" for head in story.heads]
    layer_grid(
        colour_effects(values, texts, story.heads[0].effect.unit), head_axes(story.n_layers, story.n_heads),
        label="Recorded effect by layer and head", chosen=_focused(story).component, inside=tuple(story.named.values()),
        key="story-grid-does", on_pick=_focus,
    )  # fmt: skip


def tabulate(story: Story, key: str, *, is_attention_only: bool) -> None:
    """Show the numbers of every head."""
    columns = ("head", "attention", "low", "high", "n", "unit", "effect", "low ", "high ", "n ", "unit ", "fraction of the gap", "low  ", "high  ")  # fmt: skip
    rows = [
        (h.component, *estimate_cells(h.attention), *estimate_cells(h.effect), *estimate_cells(h.fraction)[:3])
        for h in story.heads
    ]
    if is_attention_only:
        columns, rows = columns[:6], [row[:6] for row in rows]
    table_with_csv(lambda: make_table(columns, rows), "Every head", key)
