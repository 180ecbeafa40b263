"""The frame of every audit page: question, answer, two panes, tabs. Each place keeps its height while its content changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import streamlit as st

from audit_core import Estimate
from ui.parts.header import BADGES, plain, show_rows

Place = Any
"""A Streamlit container."""


@dataclass(frozen=True)
class Frame:
    """The places of a page, in reading order."""

    identity: Place
    """Beside the title: the model's name and digests."""
    actions: Place
    """At the right of the title: link and help."""
    question: Place
    """First row of controls: model and prompts."""
    own: Place
    """Second row of controls: those of the page."""
    more: Place
    """A popover of the second row: controls that are rarely used."""
    prompt: Place
    """The prompt pair."""
    answer: Place
    """The answer sentence."""
    panes: Place
    """The two panes: observational or estimated at the left, causal at the right."""
    below: Place
    """Actions on what was picked in the panes."""
    progress: Place
    """Progress of loading, while recorded answers are shown above."""
    tabs: Place
    """Everything else."""


def open_frame(title: str, words: str, *, has_own: bool = True) -> Frame:
    """Draw the frame with its title.

    Args:
        words: what the page is for, shown by the help button.
        has_own: whether the page has controls of its own; without them *More* ends the first row, not a row of its own.
    """
    with st.container(key="bench-title", horizontal=True, vertical_alignment="center", gap="small"):
        st.title(title, anchor=False, width="content")
        identity = st.container(horizontal=True, vertical_alignment="center", gap="small", width="content")
        st.space("stretch")
        actions = st.container(horizontal=True, vertical_alignment="center", gap="small", width="content")
        with actions.popover("Help", icon=":material/help:", type="tertiary"):
            st.markdown(words)
    first = st.container(key="bench-question", horizontal=True, vertical_alignment="center", gap="small")
    question = first.container(key="bench-question-controls", horizontal=True, vertical_alignment="center", gap="small")
    row = st.container(key="bench-own", horizontal=True, vertical_alignment="center", gap="small")
    own = row.container(key="bench-own-controls", horizontal=True, vertical_alignment="center", gap="small")
    more = (row if has_own else first).popover("More", icon=":material/tune:", type="secondary")
    prompt = st.container(key="bench-prompt", gap=None)
    answer = st.container(key="bench-answer", gap="small")
    panes = st.container(key="bench-panes")
    below = st.container(key="bench-below", horizontal=True, vertical_alignment="center", gap="small")
    return Frame(identity, actions, question, own, more, prompt, answer, panes, below, st.container(), st.container())


def split_panes(key: str = "bench") -> tuple[Place, Place]:
    """Two panes of equal width in the current place; on a narrow screen the second is below the first."""
    left, right = st.columns(2, gap="medium")
    return left.container(key=f"{key}-left", gap="xxsmall"), right.container(key=f"{key}-right", gap="xxsmall")


@dataclass(frozen=True)
class Table:
    """The numbers of a figure."""

    build: Callable[[], Any]
    name: str
    key: str


def pane_header(title: str, kinds: str, reading: str, *, table: Table | None = None) -> None:
    """Show a pane's title, a badge per kind of evidence, how to read it, and its table, on one line: both panes start level."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.header(title, anchor=False, width="content")
        for kind in kinds.split():
            icon, colour = BADGES[kind]
            st.badge(kind, icon=icon, color=colour)
        st.space("stretch")
        with st.popover("How to read", type="tertiary"):
            st.markdown(reading)
        if table is not None:
            opened = st.popover("Table", type="tertiary", key=f"open-{table.key}", on_change="rerun")
            if opened.open:
                with opened:
                    st.markdown(f"**{table.name} as a table**")
                    show_rows(table.build(), table.key)


def show_sentence(sentence: str, kinds: str, n: int, of: str = "prompts") -> None:
    """Show an answer sentence with a badge per kind of evidence and its number of prompts, or of what else was counted."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"**{plain(sentence)}**", width="content")
        for kind in kinds.split():
            icon, colour = BADGES[kind]
            st.badge(kind, icon=icon, color=colour)
        st.badge(plain("n = 1, no interval" if n == 1 else f"n = {n} {of}"), color="gray")


def signed(value: float) -> str:
    """A number with two decimals and a typographic sign; zero has none."""
    text = f"{abs(value):.2f}"
    return text if float(text) == 0 else ("+" if value > 0 else "−") + text


def format_size(estimate: Estimate) -> str:
    """Size of an effect with its unit and interval, without the sign: a verb of the sentence has it."""
    text = f"{abs(estimate.value):.2f} {estimate.unit}"
    if estimate.low is None or estimate.high is None:
        return text
    low, high = (estimate.low, estimate.high) if estimate.value >= 0 else (-estimate.high, -estimate.low)
    return f"{text} [{low:.2f}, {high:.2f}]"
