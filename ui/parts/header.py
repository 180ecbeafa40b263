"""Badges and headings that say of each figure what kind of evidence it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import streamlit as st

from audit_core.effect import Controls
from audit_core.tables import to_csv

_BADGES = {
    "observational": (":material/visibility:", "gray"),
    "causal": (":material/science:", "violet"),
    "estimated": (":material/query_stats:", "orange"),
    "recorded": (":material/history:", "blue"),
}


def figure_header(title: str, kinds: str, reading: str) -> None:
    """Title, a badge per kind of evidence shown, and one line on how to read the figure."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.subheader(title, anchor=False)
        for kind in kinds.split():
            icon, colour = _BADGES[kind]
            st.badge(kind, icon=icon, color=colour)
    st.markdown(f"**How to read this:** {reading}")


def conditions_line(conditions: Sequence[tuple[str, str]], n: int) -> None:
    """The six-part tuple and n that every causal number hangs on."""
    st.markdown(
        "Measured with "
        + " · ".join(f"{plain(name)}: **{plain(value)}**" for name, value in conditions)
        + f" · n = **{n}**"
    )


def controls_line(controls: Controls) -> None:
    """What the instrument itself was found to do on these very runs."""
    st.markdown(
        f"Controls passed: {controls.edits:,} edits arrived; putting activations back moved logits by {controls.identity_max:.1e}; "
        f"large noise moved them by at least {controls.noise_min:.1f} (tolerance {controls.tolerance:.0e})."
    )


def table_with_csv(build: Callable[[], Any], name: str, key: str) -> None:
    """The figure as a table, and as a file; built when it is opened, as a page of closed tables takes half its time."""
    box = st.expander(f"{name} as a table", icon=":material/table:", key=f"open-{key}", on_change="rerun")
    if box.open:
        with box:
            table = build()
            show_table(table, key=f"table-{key}")
            st.download_button(
                "Download CSV", data=to_csv(table), file_name=f"{key}.csv", mime="text/csv", key=f"csv-{key}",
                on_click="ignore", icon=":material/download:",
            )  # fmt: skip


def show_table(table: Any, **options: Any) -> Any:
    """Rows as they stand; where there is no value there is a dash, and not a word of some programming language."""
    return st.dataframe(table, hide_index=True, placeholder="–", **options)


def plain(text: str) -> str:
    """Untrusted text for Markdown: every character that means something there is escaped."""
    return "".join("\\" + c if c in r"\`*_{}[]()<>#+-.!|$:~&^" else " " if c in "\r\n" else c for c in text)
