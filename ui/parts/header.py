"""Figure headings with a badge for the kind of evidence, tables, and text escaping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from audit_core.controls import Controls
from audit_core.tables import to_csv
from ui.parts.sample_mark import mark_table, name_file

BADGES = {
    "observational": (":material/visibility:", "gray"),
    "causal": (":material/science:", "violet"),
    "estimated": (":material/query_stats:", "orange"),
    "recorded": (":material/history:", "blue"),
}


ROWS_SHOWN = 14
ROW_PX, LINE_PX, BORDER_PX = 35, 20, 2
"""Height of a row of one line, of each further line, and of the border, as Streamlit draws them."""


def figure_header(title: str, kinds: str, reading: str) -> None:
    """Show the title, a badge per kind of evidence, and how to read the figure."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.subheader(title, anchor=False, width="content")
        for kind in kinds.split():
            icon, colour = BADGES[kind]
            st.badge(kind, icon=icon, color=colour)
    st.markdown(f"**How to read this:** {reading}")


def conditions_line(conditions: Sequence[tuple[str, str]], n: int) -> None:
    """Show the six measurement conditions and n that a causal number depends on."""
    st.markdown(
        "Measured with "
        + " · ".join(f"{plain(name)}: **{plain(value)}**" for name, value in conditions)
        + f" · n = **{n}**"
    )


def controls_line(controls: Controls, unit: str = "logits") -> None:
    """Show the results of the instrument controls on these runs."""
    what = "losses, in nats," if unit == "nats" else "logits"
    st.markdown(
        f"Controls passed: {controls.edits:,} edits were applied. Restoring activations moved {what} by {controls.identity_max:.1e}, "
        f"large noise by at least {controls.noise_min:.1f} (tolerance {controls.tolerance:.0e})."
    )


def recorded_line(recorded_at: str, wall_s: float) -> None:
    """Show that the numbers are recorded, when, and how long measuring them took."""
    icon, colour = BADGES["recorded"]
    st.badge(plain(f"recorded {recorded_at[:10]}"), icon=icon, color=colour)
    took = f"{wall_s / 60:.0f} minutes" if wall_s > 90 else f"{wall_s:.0f} seconds"
    st.markdown(f"Recorded numbers. Measuring them took {plain(took)}.", width="content")


def table_with_csv(build: Callable[[], Any], name: str, key: str) -> None:
    """Show the figure as a table with a CSV download; built on opening, because closed tables would double the page's time."""
    box = st.expander(f"{name} as a table", icon=":material/table:", key=f"open-{key}", on_change="rerun")
    if box.open:
        with box:
            show_rows(build(), key)


def show_rows(table: Any, key: str) -> None:
    """Show a figure's numbers with a CSV download."""
    show_table(table, key=f"table-{key}")
    st.download_button(
        "Download CSV", data=to_csv(mark_table(table)), file_name=name_file(f"{key}.csv"), mime="text/csv", key=f"csv-{key}",
        on_click="ignore", icon=":material/download:",
    )  # fmt: skip


def show_table(table: Any, *, lines: int = 1, **options: Any) -> Any:
    """Show rows unchanged, with a dash for a missing value; at most `ROWS_SHOWN` whole rows, the others by scrolling.

    Args:
        lines: lines of text in a row; Streamlit wraps long text from three lines on.
    """
    height = ROW_PX + (lines - 1) * LINE_PX
    shown = max(1, min(len(table.index), ROWS_SHOWN))
    sizes = {"height": ROW_PX + shown * height + BORDER_PX, "row_height": height if lines > 1 else None}
    return st.dataframe(table, hide_index=True, placeholder="–", **{**sizes, **options})


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 run", "2 runs"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def column_widths(pixels: Mapping[str, int]) -> dict[str, Any]:
    """Widths of a table's columns; together they fit the narrowest laptop screen."""
    return {name: st.column_config.Column(width=width) for name, width in pixels.items()}


def plain(text: str) -> str:
    """Escape untrusted text for Markdown."""
    return "".join("\\" + c if c in r"\`*_{}[]()<>#+-.!|$:~&^" else " " if c in "\r\n" else c for c in text)
