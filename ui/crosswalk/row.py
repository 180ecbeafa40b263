"""One row of the crosswalk in full: quote, rationale, readers, what is not known, and acts that bear on its clause."""

from __future__ import annotations

import streamlit as st

from audit_core.references import Act, ClauseCheck, Crosswalk, CrosswalkRow
from ui.parts.header import plain

_STATUS = {
    ClauseCheck.PRIMARY: "read in the primary source",
    ClauseCheck.COPY: "read in a copy",
    ClauseCheck.TITLE_ONLY: "title only",
    ClauseCheck.UNVERIFIED: "unverified",
}


def describe_status(act: Act) -> str:
    """How an amendment or a date is known."""
    return _STATUS[act.status]


def show_row(crosswalk: Crosswalk, row: CrosswalkRow, check: str) -> None:
    """Show every field of a row; all texts come from a file and are escaped."""
    titles = {one.id: one.title for one in (*crosswalk.frameworks, *crosswalk.evidence)}
    st.markdown(
        f"**{plain(titles[row.evidence])}**: *{plain(row.relation.value)}* "
        f"**{plain(titles[row.framework])}, {plain(row.clause)}**"
    )
    _show_quote(crosswalk, row)
    st.markdown(f"**Why:** {plain(row.rationale)}")
    if row.not_known is not None:
        st.markdown(f"**Not known:** {plain(row.not_known)}")
    st.markdown(f"**Status:** {plain(check)}")
    _show_readers(row)
    for act in crosswalk.find_acts(row):
        st.markdown(
            f"**Act, {plain(describe_status(act))}:** {plain(act.date or 'date not known')}: {plain(act.act)}. {plain(act.what)}"
        )
    st.markdown(f"**Version:** {plain(row.version)}. Primary text: {plain(row.source_url or 'not recorded')}")


def _show_quote(crosswalk: Crosswalk, row: CrosswalkRow) -> None:
    copy = crosswalk.find_copy(row)
    if row.quote is None or copy is None:
        st.markdown("No text of this clause was read, so there is no quote.")
        return
    st.markdown(f"**Quote:** “{plain(row.quote)}”")
    st.caption(
        f"From the copy “{plain(copy.title)}”, entry {plain(row.entry or '')}. Other words of the clause are not shown."
    )


def _show_readers(row: CrosswalkRow) -> None:
    if row.checked_by is None or row.checked_at is None:
        st.markdown("**Reader:** none yet")
    else:
        st.markdown(f"**Reader:** {plain(row.checked_by)}, {plain(row.checked_at)}")
    second = row.second_reader
    if second is None:
        st.markdown("**Second reader:** none yet")
    else:
        st.markdown(
            f"**Second reader:** {plain(second.by)}, {plain(second.at)}, found *{plain(second.relation.value)}*. {plain(second.note)}"
        )
