"""A reviewer's own pair or file: checked, kept under its hash, and never lost to an error."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from audit_core import AuditError, Prompt, PromptSet, parse_prompts
from ui import deeds
from ui.header import plain


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
    upload = st.file_uploader("Prompt set in JSON Lines", type=["jsonl"], max_upload_size=4)
    if upload is not None and st.button("Use this file", icon=":material/upload_file:"):
        _adopt(lambda: parse_prompts(upload.getvalue(), name="uploaded"))


def _adopt(make: Callable[[], PromptSet]) -> None:
    try:
        prompts = make()
        if any(not getattr(p, f) for p in prompts.prompts for f in ("clean", "corrupted", "answer", "foil")):
            st.error("All four fields are needed.", icon=":material/error:")
            return
        st.session_state["next_set"] = deeds.keep_own(prompts)
    except AuditError as error:
        st.error(plain(str(error)), icon=":material/error:")
    else:
        st.rerun()


def adopt_pending(forget_prompt: Callable[[], None]) -> None:
    """A widget's value may only be set before it is drawn: pick up what the last run asked for."""
    pending = st.session_state.pop("next_set", None)
    if pending:
        st.session_state["set"] = pending
        forget_prompt()
