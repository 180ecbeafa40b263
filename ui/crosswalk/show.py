"""The crosswalk on the page: counts without what nobody checked, every row, and what this home holds."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from audit_core import make_table
from audit_core.home import EvidenceCount
from audit_core.references import ClauseCheck, Crosswalk, CrosswalkRow, Relation, RowCount
from audit_core.tables import shade_rows
from ui.parts.header import plain, show_table, table_with_csv

STANDING = {
    ClauseCheck.PRIMARY: "counted: text read in the primary source",
    ClauseCheck.TITLE_ONLY: "counted: number and title only, text not read",
    ClauseCheck.UNVERIFIED: "NOT COUNTED: unverified",
}
_COLUMNS = (
    "standing",
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
    """What such a table is not, before anything of it is shown."""
    st.warning(f"**Legal assessment not performed.** As of {crosswalk.as_of}.", icon=":material/balance:")
    st.markdown(
        "A row says that an item of evidence bears on a clause, and how far: *supports*, *partially supports*, *context for*, or "
        "*does not address*. No stronger word exists here. Whether a duty is met is for people to judge."
    )


def show_counts(counts: Sequence[RowCount]) -> None:
    """How many rows may be counted, by what was read; what is unverified is in no other number."""
    primary, titles, out = (
        sum(getattr(row, name) for row in counts) for name in ("from_primary", "title_only", "left_out")
    )
    st.header("What may be counted", anchor=False)
    st.markdown(
        f"Of {primary + titles + out} rows, **{primary}** were read in the primary text and **{titles}** by number and title alone. "
        f"**{out}** are unverified: they stand on grey below and are in no count."
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
        "left out: unverified",
    )
    if rows:
        show_table(make_table(columns, rows), key="counts", height="content")


def show_rows(crosswalk: Crosswalk, rows: Sequence[CrosswalkRow]) -> None:
    """The rows, and the whole of one."""
    st.header(f"Rows ({len(rows)})", anchor=False)
    if not rows:
        st.info("No row has both. Choose every framework, or every item of evidence.", icon=":material/info:")
        return
    cells = [_spell(crosswalk, row) for row in rows]
    # Five columns are what a reader compares; the rest stands in the row below and in the file.
    table = make_table(_COLUMNS[:5], [line[:5] for line in cells])
    show_table(shade_rows(table, [not row.counts for row in rows]), key="rows")
    table_with_csv(lambda: make_table(_COLUMNS, cells), "All fields of these rows", "crosswalk")
    picked = st.selectbox(
        "One row in full", range(len(rows)), key="row", format_func=lambda i: f"{cells[i][1]}: {cells[i][3]}, {cells[i][4]}"
    )  # fmt: skip
    with st.container(border=True):
        standing, title, relation, framework, clause, why, version, checked, by, url = map(plain, cells[picked])
        st.markdown(f"**{title}**: *{relation}* **{framework}, {clause}**")
        st.markdown(why)
        st.markdown(f"{standing} · {version} · checked {checked} by {by}")
        st.markdown(f"Primary text: {url}")


def _spell(crosswalk: Crosswalk, row: CrosswalkRow) -> tuple[str, ...]:
    titles = {one.id: one.title for one in (*crosswalk.frameworks, *crosswalk.evidence)}
    return (
        STANDING[row.status], titles[row.evidence], row.relation.value, titles[row.framework], row.clause, row.rationale, row.version,
        row.checked_at or "never", row.checked_by or "nobody", row.source_url or "not recorded",
    )  # fmt: skip


def show_holdings(holdings: Sequence[EvidenceCount]) -> None:
    """Which of this evidence exists here."""
    st.header("What this home holds", anchor=False)
    rows = [
        (one.item.title, "–" if one.count is None else f"{one.count:,}", one.what, one.place or "nowhere")
        for one in holdings
    ]
    show_table(make_table(("evidence", "here", "what is counted", "where"), rows), key="holdings")


def show_readings(crosswalk: Crosswalk) -> None:
    """What was read of each framework, and what was not."""
    st.header("What was read", anchor=False)
    for one in crosswalk.frameworks:
        st.markdown(f"* **{plain(one.title)}**: {plain(one.note)}")
