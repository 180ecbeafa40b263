"""A filled checklist on the page: counts, answers with evidence, versions, and downloads."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import streamlit as st

from audit_core import make_table
from audit_core.references import (
    ANSWER_COLUMNS,
    Checklist,
    FilledChecklist,
    count_answers,
    describe_count,
    dump_filled,
    list_answer_rows,
    write_filled_csv,
    write_filled_html,
)
from ui.parts.header import plain, show_table


def describe_choice(filled: FilledChecklist | None) -> str:
    """Label of a checklist in a list."""
    return "a new checklist" if filled is None else f"{filled.checklist_id}: {filled.about[:80]}"


def show_none(checklist: Checklist) -> None:
    """Show what is asked, for a checklist that is not saved yet."""
    st.info(
        f"{len(checklist.items)} questions, none answered yet. Name vendor, system and respondent, answer what you can, then save.",
        icon=":material/info:",
    )


def show_saved(filled: FilledChecklist) -> None:
    """Show the counts of the saved version, and its downloads."""
    st.header(f"As saved: {plain(filled.checklist_id)}, version {filled.version}", anchor=False)
    st.markdown(
        f"About **{plain(filled.about)}**, saved by {plain(filled.saved_by)}, {plain(filled.saved_at[:16])} UTC."
    )
    st.markdown(describe_count(count_answers(filled.answers)))
    stem = f"{filled.checklist_id}-v{filled.version}"
    with st.container(horizontal=True):
        st.download_button("JSON", lambda: dump_filled(filled), f"{stem}.json", "application/json", key="json", icon=":material/download:", on_click="ignore")  # fmt: skip
        st.download_button("CSV", lambda: write_filled_csv(filled), f"{stem}.csv", "text/csv", key="csv", icon=":material/download:", on_click="ignore")  # fmt: skip
        st.download_button("One HTML file", lambda: write_filled_html(filled), f"{stem}.html", "text/html", key="html", icon=":material/description:", on_click="ignore")  # fmt: skip


def show_answers(filled: FilledChecklist) -> None:
    """Show every answer with the claims it names."""
    st.header("Every answer", anchor=False)
    show_table(make_table(ANSWER_COLUMNS, list_answer_rows(filled)), key="answers")
    named = sorted({claim for answer in filled.answers for claim in answer.claims})
    if named:
        st.markdown(
            "Claims named: " + ", ".join(f"[{plain(one)}](/claims?claim={quote(one, safe='')})" for one in named)
        )


def show_versions(versions: Sequence[FilledChecklist]) -> None:
    """Show every version; saved versions are read-only."""
    st.header(f"Versions ({len(versions)})", anchor=False)
    rows = [
        (one.version, one.saved_at, one.saved_by, describe_count(count_answers(one.answers)), one.digest)
        for one in reversed(versions)
    ]
    columns = ("version", "saved, UTC", "by", "answers", "digest in the audit log")
    show_table(make_table(columns, rows), key="versions")


def show_source(checklist: Checklist) -> None:
    st.markdown(f"{plain(checklist.title)}, as of {plain(checklist.as_of)}. Source: {plain(checklist.source)}")
