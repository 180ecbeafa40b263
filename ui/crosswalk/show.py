"""The crosswalk on the page: counts without unverified rows, every row, and the evidence in the data directory."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from audit_core import make_table
from audit_core.home import EvidenceCount
from audit_core.references import ClauseCheck, Crosswalk, CrosswalkRow, Relation, RowCount
from audit_core.tables import shade_rows
from ui.parts.header import column_widths, plain, show_table, table_with_csv

CHECKS = {
    ClauseCheck.PRIMARY: "counted: text read in the primary source",
    ClauseCheck.TITLE_ONLY: "counted: number and title only, text not read",
    ClauseCheck.UNVERIFIED: "NOT COUNTED: unverified",
}
_COLUMNS = (
    "check",
    "evidence",
    "relation",
    "framework",
    "clause",
    "why",
    "version",
    "checked",
    "by",
    "primary source",
)


def show_notice(crosswalk: Crosswalk) -> None:
    """Show the disclaimer above the table."""
    st.warning(f"**Legal assessment not performed.** As of {crosswalk.as_of}.", icon=":material/balance:")
    st.markdown(
        "A row relates an item of evidence to a clause: *supports*, *partially supports*, *context for*, or *does not address*. "
        "There is no stronger relation. People judge whether a duty is met."
    )


def show_counts(counts: Sequence[RowCount]) -> None:
    """Show the number of rows by check; unverified rows are excluded from all other counts."""
    primary, titles, out = (
        sum(getattr(row, name) for row in counts) for name in ("from_primary", "title_only", "left_out")
    )
    st.header("Counted rows", anchor=False)
    st.markdown(
        f"Of {primary + titles + out} rows, **{primary}** were checked against the primary text and **{titles}** by number and title only. "
        f"**{out}** are unverified. They are grey below and excluded from the counts."
    )
    rows = [
        (
            count.framework.title,
            *(number for _, number in count.by_relation),
            count.from_primary,
            count.title_only,
            count.left_out,
        )
        for count in counts
    ]
    columns = (
        "framework",
        *(relation.value for relation in Relation),
        "read in primary",
        "title only",
        "excluded: unverified",
    )
    if rows:
        show_table(make_table(columns, rows), key="counts", height="content")


def show_rows(crosswalk: Crosswalk, rows: Sequence[CrosswalkRow]) -> None:
    """Show the rows, and one row in full."""
    st.header(f"Rows ({len(rows)})", anchor=False)
    if not rows:
        st.info("No row matches both. Choose every framework, or every item of evidence.", icon=":material/info:")
        return
    cells = [_spell(crosswalk, row) for row in rows]
    # A reader compares five columns; the row below and the file have the rest.
    table = make_table(_COLUMNS[:5], [line[:5] for line in cells])
    widths = dict(zip(_COLUMNS[:5], (235, 295, 125, 205, 130), strict=True))
    shaded = shade_rows(table, [not row.counts for row in rows])
    show_table(shaded, key="rows", column_config=column_widths(widths))
    table_with_csv(lambda: make_table(_COLUMNS, cells), "All fields of these rows", "crosswalk")
    picked = st.selectbox(
        "One row in full", range(len(rows)), key="row", format_func=lambda i: f"{cells[i][1]}: {cells[i][3]}, {cells[i][4]}"
    )  # fmt: skip
    with st.container(border=True):
        check, title, relation, framework, clause, why, version, checked, by, url = map(plain, cells[picked])
        st.markdown(f"**{title}**: *{relation}* **{framework}, {clause}**")
        st.markdown(why)
        when = f"checked {checked} by {by}" if rows[picked].checked_at else "not checked yet"
        st.markdown(f"{check} · {version} · {when}")
        st.markdown(f"Primary text: {url}")


def _spell(crosswalk: Crosswalk, row: CrosswalkRow) -> tuple[str, ...]:
    titles = {one.id: one.title for one in (*crosswalk.frameworks, *crosswalk.evidence)}
    return (
        CHECKS[row.status], titles[row.evidence], row.relation.value, titles[row.framework], row.clause, row.rationale, row.version,
        row.checked_at or "not yet", row.checked_by or "–", row.source_url or "not recorded",
    )  # fmt: skip


def show_evidence_counts(counts: Sequence[EvidenceCount]) -> None:
    """Show which of this evidence exists in the data directory."""
    st.header("Evidence in this data directory", anchor=False)
    rows = [
        (one.item.title, "–" if one.count is None else f"{one.count:,}", one.what, one.place or "nowhere")
        for one in counts
    ]
    show_table(make_table(("evidence", "here", "what is counted", "where"), rows), key="holdings")


def show_readings(crosswalk: Crosswalk) -> None:
    """Show which parts of each framework were read."""
    st.header("Sources read", anchor=False)
    for one in crosswalk.frameworks:
        st.markdown(f"* **{plain(one.title)}**: {plain(one.note)}")
