"""The crosswalk on the page: counts without unverified rows, every row, and the evidence in the data directory."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from audit_core import make_table
from audit_core.home import EvidenceCount
from audit_core.references import ClauseCheck, Crosswalk, CrosswalkRow, Relation, RowCount
from audit_core.tables import shade_rows
from ui.crosswalk.row import describe_status, show_row
from ui.parts.header import column_widths, plain, show_table, table_with_csv

CHECKS = {
    ClauseCheck.PRIMARY: "counted: text read in the primary source",
    ClauseCheck.COPY: "counted: text read in a copy",
    ClauseCheck.TITLE_ONLY: "counted: number and title only, text not read",
    ClauseCheck.UNVERIFIED: "NOT COUNTED: unverified",
}
_COUNTED = ("framework", "status", *(relation.value for relation in Relation), "rows")
_COLUMNS = (
    "check", "evidence", "relation", "framework", "clause", "quote", "why", "not known", "version", "checked", "by", "second reader",
    "primary source",
)  # fmt: skip
_FIRST = 5
"""A reader compares these columns; the row below and the file have the rest."""


def show_notice(crosswalk: Crosswalk) -> None:
    """Show the disclaimer above the table."""
    st.warning(f"**Legal assessment not performed.** As of {plain(crosswalk.as_of)}.", icon=":material/balance:")
    st.markdown(
        "A row relates an item of evidence to a clause: *supports*, *partially supports*, *context for*, or *does not address*. "
        "There is no stronger relation. People judge whether a duty is met."
    )


def show_counts(counts: Sequence[RowCount], rows: Sequence[CrosswalkRow]) -> None:
    """Show the number of rows by framework, status and relation; unverified rows have no relation in it."""
    by_status = {status: sum(one.total for one in counts if one.status is status) for status in ClauseCheck}
    second = sum(row.second_reader is not None for row in rows)
    st.header("Counted rows", anchor=False)
    st.markdown(
        f"Of {len(rows)} rows, **{by_status[ClauseCheck.PRIMARY]:,}** were read in the primary source and "
        f"**{by_status[ClauseCheck.COPY]:,}** in a copy. **{by_status[ClauseCheck.TITLE_ONLY]:,}** were checked by number and title only. "
        f"**{by_status[ClauseCheck.UNVERIFIED]:,}** are unverified: they are grey below and excluded from the counts."
    )
    st.markdown(
        f"A copy is not the publisher's site. A second reader has confirmed or corrected **{second:,}** of these rows."
    )
    if readers := sorted({row.checked_by for row in rows if row.checked_by and row.status is ClauseCheck.COPY}):
        st.markdown(f"First reader of the copies: {', '.join(plain(reader) for reader in readers)}.")
    table = [
        (one.framework.title, CHECKS[one.status], *(dict(one.by_relation).get(relation) for relation in Relation), one.total)
        for one in counts
    ]  # fmt: skip
    if table:
        # Whole numbers with gaps, which would otherwise become fractions.
        made = make_table(_COUNTED, table).astype({relation.value: "Int64" for relation in Relation})
        show_table(made, key="counts", height="content")


def show_rows(crosswalk: Crosswalk, rows: Sequence[CrosswalkRow]) -> None:
    """Show the rows, and one row in full."""
    st.header(f"Rows ({len(rows)})", anchor=False)
    if not rows:
        st.info("No row matches both. Choose every framework, or every item of evidence.", icon=":material/info:")
        return
    cells = [_spell(crosswalk, row) for row in rows]
    table = make_table(_COLUMNS[:_FIRST], [line[:_FIRST] for line in cells])
    widths = dict(zip(_COLUMNS[:_FIRST], (235, 295, 125, 205, 130), strict=True))
    shaded = shade_rows(table, [not row.counts for row in rows])
    show_table(shaded, key="rows", column_config=column_widths(widths))
    table_with_csv(lambda: make_table(_COLUMNS, cells), "All fields of these rows", "crosswalk")
    picked = st.selectbox(
        "One row in full", range(len(rows)), key="row", format_func=lambda i: f"{cells[i][1]}: {cells[i][3]}, {cells[i][4]}"
    )  # fmt: skip
    with st.container(border=True):
        show_row(crosswalk, rows[picked], CHECKS[rows[picked].status])


def _spell(crosswalk: Crosswalk, row: CrosswalkRow) -> tuple[str, ...]:
    titles = {one.id: one.title for one in (*crosswalk.frameworks, *crosswalk.evidence)}
    second = row.second_reader
    return (
        CHECKS[row.status], titles[row.evidence], row.relation.value, titles[row.framework], row.clause, row.quote or "no text read",
        row.rationale, row.not_known or "nothing noted", row.version, row.checked_at or "not yet", row.checked_by or "–",
        f"{second.by}, {second.at}: {second.relation.value}" if second else "none yet", row.source_url or "not recorded",
    )  # fmt: skip


def show_evidence_counts(counts: Sequence[EvidenceCount]) -> None:
    """Show which of this evidence exists in the data directory."""
    rows = [
        (one.item.title, "–" if one.count is None else f"{one.count:,}", one.what, one.place or "nowhere")
        for one in counts
    ]
    with st.expander("Evidence in this data directory", icon=":material/folder_open:"):
        show_table(make_table(("evidence", "here", "what is counted", "where"), rows), key="holdings")


def show_readings(crosswalk: Crosswalk) -> None:
    """Show which parts of each framework were read."""
    with st.expander("Sources read", icon=":material/menu_book:"):
        for one in crosswalk.frameworks:
            st.markdown(f"* **{plain(one.title)}**: {plain(one.note)}")
        _show_copies(crosswalk)


def _show_copies(crosswalk: Crosswalk) -> None:
    if crosswalk.copies:
        st.markdown("Quotes are compared with these copies. Each copy is pinned by the digest of its file.")
        columns = ("copy", "known differences", "from", "file", "SHA-256", "publisher")
        rows = [(one.title, one.note, one.origin, one.file, one.sha256, one.publisher_url) for one in crosswalk.copies]
        widths = dict(zip(columns[:4], (215, 330, 330, 200), strict=True))
        show_table(make_table(columns, rows), key="copies", column_config=column_widths(widths), lines=3)


def show_acts(crosswalk: Crosswalk, rows: Sequence[CrosswalkRow]) -> None:
    """Show amendments and dates of application of the frameworks in these rows."""
    chosen = {row.framework for row in rows}
    acts = [act for act in crosswalk.acts if act.framework in chosen]
    if not acts:
        return
    table = make_table(
        ("date", "act", "what", "status", "source"),
        [(act.date or "not known", act.act, act.what, describe_status(act), act.source) for act in acts],
    )
    widths = dict(zip(("date", "act", "what", "status", "source"), (95, 240, 380, 130, 230), strict=True))
    with st.expander(f"Amendments and dates of application ({len(acts)})", icon=":material/event:"):
        st.markdown("Unverified entries are known from secondary texts only. They are grey, and their source is named.")
        show_table(
            shade_rows(table, [act.status is ClauseCheck.UNVERIFIED for act in acts]), key="acts",
            column_config=column_widths(widths), lines=3,
        )  # fmt: skip
