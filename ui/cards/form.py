"""Forms of the model cards page: choose a model, describe its system, import a card, and link sentences to claims."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from audit_core import AuditError
from audit_core.home import ClaimSummary
from audit_core.models import ImportedCard, read_card
from audit_core.store import CardClaim
from ui.flow import actions
from ui.parts.header import counted, plain
from ui.parts.refusal import show_refusal
from ui.shell import link

SYSTEM = {"retrieval": "retrieves documents", "tool_use": "calls tools"}
"""System properties that a person declares, because the model files do not contain them."""
_SHOWN = 90


def ask_model(names: Sequence[str]) -> str:
    link.repair("model", tuple(names))
    return str(st.selectbox("Model", names, key="model"))


def ask_system() -> tuple[str, ...]:
    """Select the declared properties of the system around the model."""
    if "around_picked" not in st.session_state:
        st.session_state.around_picked = [one for one in st.session_state.around.split(",") if one in SYSTEM]
    picked = st.multiselect(
        "The system around it", list(SYSTEM), key="around_picked", format_func=SYSTEM.get, placeholder="nothing but the model",
        help="The model files do not contain this. It determines which evidence to demand.",
    )  # fmt: skip
    return tuple(picked)


def ask_card(model: str) -> None:
    """Import a model card, and keep sentences of it as claims to test."""
    with st.expander("Import a Hugging Face model card", icon=":material/upload_file:"):
        st.file_uploader("README.md of the model", type="md", key="card")
        brought = st.session_state.get("card")
        found = None if brought is None else _read(brought.getvalue())
        if found is not None:
            st.markdown(
                f"Licence in its metadata: {plain(found.licence or 'not stated')}. Base model: {plain(found.base_model or 'not stated')}. {counted(len(found.sentences), 'sentence')} about how the "
                f"model may work{' (more omitted)' if found.is_cut else ''}. Numbers of the card are not imported."
            )
            _show_unread(found)
            st.multiselect("Keep as claims to test", found.sentences, key="kept", format_func=_shorten)
        st.text_input("Or type one", key="typed", max_chars=600)
        st.button(
            "Keep", key="keep", icon=":material/add:", on_click=_keep, args=(model, found.sha256 if found else "")
        )
    if (error := st.session_state.pop("card_refused", None)) is not None:
        show_refusal(error)


def _show_unread(found: ImportedCard) -> None:
    """Show which parts of the card were not read, and why."""
    if found.unread:
        st.info(plain(found.unread_sentence), icon=":material/translate:")
    if found.left_out:
        st.info(
            f"Omitted, as too long to quote or in a negated list: {counted(found.left_out, 'part')}.",
            icon=":material/content_cut:",
        )


def ask_link(sentences: Sequence[CardClaim], claims: Sequence[ClaimSummary]) -> None:
    """Link a sentence to the registered claim that tests it; logged with the person's name."""
    if not sentences or not claims:
        return
    with st.form("link-card", border=True):
        named, ids = {one.number: one for one in sentences}, {one.claim_id: one for one in claims}
        st.selectbox("Sentence", list(named), key="linked", format_func=lambda number: _shorten(named[number].text))
        st.selectbox(
            "is tested by", list(ids), key="tested_by", format_func=lambda key: f"{key}: {ids[key].name[:_SHOWN]}"
        )
        st.form_submit_button("Link", icon=":material/link:", on_click=_link)


@st.cache_data(max_entries=16, show_spinner=False)
def _parse(data: bytes) -> ImportedCard:
    return read_card(data)


def _read(data: bytes) -> ImportedCard | None:
    try:
        return _parse(data)
    except AuditError as error:
        show_refusal(error)
        return None


def _keep(model: str, sha256: str) -> None:
    asked = st.session_state
    try:
        for text in asked.get("kept", ()):
            actions.keep_sentence(model, text, sha256)
        if asked.typed.strip():
            actions.keep_sentence(model, asked.typed, "")
    except AuditError as error:
        asked.card_refused = error
    else:
        asked.kept, asked.typed = [], ""


def _link() -> None:
    asked = st.session_state
    try:
        actions.link_sentence(asked.linked, asked.tested_by)
    except AuditError as error:
        asked.card_refused = error


def _shorten(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
