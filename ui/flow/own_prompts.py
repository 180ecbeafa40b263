"""A reviewer's own pair or file: checked and stored under its hash."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st

from audit_core import AuditError, Prompt, PromptSet
from audit_core.prompt_files import FoundColumns, find_columns, read_rows
from audit_core.prompts import drop_repeats, keep_valid
from ui.flow import actions
from ui.parts.header import plain

_ENDINGS = ["csv", "tsv", "txt", "json", "jsonl", "ndjson", "parquet", "arrow"]


def bring_own() -> None:
    with st.form("own pair", border=False):
        clean = st.text_area(
            "Clean prompt",
            height=70,
            max_chars=4000,
            placeholder="When Mary and John went to the store, John gave a drink to",
        )
        corrupted = st.text_area(
            "Corrupted prompt",
            height=70,
            max_chars=4000,
            placeholder="When Mary and John went to the store, Mary gave a drink to",
        )
        answer = st.text_input("Answer, with its leading space", max_chars=60, placeholder=" Mary")
        foil = st.text_input("Foil, with its leading space", max_chars=60, placeholder=" John")
        if st.form_submit_button("Use this pair", icon=":material/check:"):
            _adopt(lambda: PromptSet("own pair", (Prompt("own-1", clean, corrupted, answer, foil, "own"),)))
    upload = st.file_uploader(
        "Prompt set: CSV, TSV, JSON, JSON Lines, Parquet or Arrow", type=_ENDINGS, max_upload_size=4
    )
    if upload is not None:
        offer_file(upload.getvalue())


def offer_file(raw: bytes) -> None:
    """Show which rows of a file are usable and which are not; only the button adopts them."""
    try:
        columns = _ask_columns(find_columns(raw, name="uploaded"))
        if columns is None:
            return
        read = read_rows(raw, name="uploaded", columns=columns)
    except AuditError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    for notice in read.notices:
        st.caption(plain(notice))
    if read.faults:
        st.warning(
            f"{len(read.rows):,} of {read.n_rows:,} rows are usable. The others are excluded.",
            icon=":material/rule:",
        )
        st.dataframe(
            [
                {"Row": fault.row_id or fault.place, "Found": fault.text, "What to do": fault.remedy}
                for fault in read.faults
            ],
            hide_index=True,
        )
    label = f"Use the {len(read.rows):,} valid rows" if read.faults else "Use this file"
    if st.button(plain(label), icon=":material/upload_file:", disabled=not read.rows):
        _adopt(lambda: drop_repeats(keep_valid(read)))


def _ask_columns(found: FoundColumns) -> dict[str, str] | None:
    """Ask for the columns whose names do not match; None until each is chosen."""
    if not found.missing or not found.columns:
        return {}
    st.caption(f"Read as {plain(found.form)}. Choose the columns whose names do not match.")
    chosen = {
        field: st.selectbox(f"Column for {plain(field)}", found.columns, index=None, key=f"column for {field}")
        for field in found.missing
    }
    named = {field: column for field, column in chosen.items() if column is not None}
    return named if len(named) == len(chosen) else None


def _adopt(make: Callable[[], PromptSet]) -> None:
    try:
        prompts = make()
        if any(not getattr(p, f) for p in prompts.prompts for f in ("clean", "corrupted", "answer", "foil")):
            st.error("All four fields are needed.", icon=":material/error:")
            return
        st.session_state["next_set"] = actions.keep_own(prompts)
        # The stored set has no repeats, so the notices about them are available only now.
        st.session_state["set_aside"] = (st.session_state["next_set"], prompts.notices)
    except AuditError as error:
        st.error(plain(str(error)), icon=":material/error:")
    else:
        st.rerun()


def adopt_pending(forget_prompt: Callable[[], None]) -> None:
    """Set widget values for what the last run adopted, before the widgets are drawn."""
    pending = st.session_state.pop("next_set", None)
    if pending:
        st.session_state["set"] = pending
        forget_prompt()


def show_notices(notices: Sequence[str]) -> None:
    """Show which prompts of the set were excluded or changed, if any."""
    key, dropped = st.session_state.get("set_aside", ("", ()))
    found = tuple(dict.fromkeys((*(dropped if key == st.session_state.get("set") else ()), *notices)))
    if found:
        with st.expander("Some prompts were excluded or changed", icon=":material/rule:"):
            for notice in found:
                st.caption(plain(notice))
