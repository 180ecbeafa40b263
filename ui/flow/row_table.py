"""Table of a user's own rows: each accepted or refused, with the remedy."""

from __future__ import annotations

import streamlit as st

from audit_core import make_table
from audit_core.prompts import CheckedRow, RowCheck, RowStatus
from audit_core.tables import to_csv
from ui.parts.header import plain, show_table

PAGE_ROWS = 200
_REMEDY_PX = 540
"""Width of the longest remedy that has no text of the row in it."""
_COLUMNS = ("row", "status", "what to do", "clean", "corrupted", "answer", "foil")


def show_check(check: RowCheck, *, key: str = "rows") -> None:
    """Show counts, what was checked, and a page of the rows."""
    counts = {status: check.count(status) for status in RowStatus}
    shown_counts = [(status, n) for status, n in counts.items() if n or status is RowStatus.ACCEPTED]
    st.markdown(
        f"**{len(check.rows):,}** {'row' if len(check.rows) == 1 else 'rows'}: "
        + " · ".join(f"**{n:,}** {plain(status.value)}" for status, n in shown_counts)
    )
    if not check.is_tokenised:
        st.markdown("Spaces, answer tokens and equal lengths are checked when the model is loaded.")
    shown = check.rows
    if counts[RowStatus.REFUSED] and counts[RowStatus.ACCEPTED]:
        only = st.checkbox("Show only the refused rows", key=f"{key}-refused")
        shown = tuple(row for row in shown if row.status is RowStatus.REFUSED) if only else shown
    n_pages = -(-len(shown) // PAGE_ROWS)
    page = 1
    if n_pages > 1:
        page = int(st.number_input(f"Page, of {n_pages:,}", 1, n_pages, key=f"{key}-page"))
    part = shown[(page - 1) * PAGE_ROWS : page * PAGE_ROWS]
    show_table(
        make_table(_COLUMNS, [_cells(row) for row in part]), key=f"{key}-table", height=min(320, 36 * len(part) + 40)
    )
    if counts[RowStatus.REFUSED]:
        refused = [_cells(row) for row in check.rows if row.status is RowStatus.REFUSED]
        st.download_button(
            "Download the refused rows", data=to_csv(make_table(_COLUMNS, refused)), file_name="refused-rows.csv",
            mime="text/csv", key=f"{key}-csv", on_click="ignore", icon=":material/download:",
        )  # fmt: skip


def ask_use(check: RowCheck, *, key: str) -> bool:
    """Show the button that adopts the accepted rows; returns whether it was pressed."""
    n = check.count(RowStatus.ACCEPTED)
    label = "Use the accepted row" if n == 1 else f"Use the {n:,} accepted rows"
    return st.button(plain(label), type="primary", icon=":material/check:", key=key)


def _cells(row: CheckedRow) -> tuple[str, ...]:
    # Quotes show a leading space, which decides the token.
    return (
        row.place if row.id in ("", row.place) else f"{row.place}: {row.id}",
        row.status.value,
        f"{row.found}. {row.remedy[:1].upper()}{row.remedy[1:]}." if row.found else "",
        row.clean,
        row.corrupted,
        repr(row.answer) if row.answer else "",
        repr(row.foil) if row.foil else "",
    )
