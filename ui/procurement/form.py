"""The procurement checklist as a form: every question with what a good answer looks like, and saving as a new version."""

from __future__ import annotations

import re
from collections.abc import Sequence

import streamlit as st

from audit_core import AuditError
from audit_core.references import Answer, AnswerWord, Checklist, ChecklistItem, FilledChecklist
from audit_core.store import ChecklistDraft
from ui.flow import actions, services
from ui.parts.header import counted, plain


def show_outcome() -> None:
    """Show the outcome of the last save; a refusal stays until the next one."""
    if saved := st.session_state.pop("checklist_saved", ""):
        st.success(saved, icon=":material/save:")
    if refused := st.session_state.get("checklist_refused", ""):
        st.error(plain(refused), icon=":material/error:")


def ask_answers(checklist: Checklist, current: FilledChecklist | None, claims: Sequence[str]) -> None:
    """The form, filled with the version that is shown; each version has its own widgets."""
    prefix = f"{current.checklist_id}-{current.version}" if current else "new-0"
    carried = {item.id for item in checklist.items}
    if current is not None and (lost := [one.item_id for one in current.answers if one.item_id not in carried]):
        st.warning(
            f"Kept in version {current.version} only, because their questions were removed: {counted(len(lost), 'answer')}.",
            icon=":material/history:",
        )
    with st.form(f"form-{prefix}", border=False):
        left, right = st.columns(2)
        _text(left, "Vendor and system", f"{prefix}-about", current.about if current else "", 200)
        if (person := services.person()).is_local:
            _text(right, "Who answers", f"{prefix}-by", "", 80)
        else:
            right.markdown(f"Who answers: **{plain(person.name)}**, as signed in")
        for number, section in enumerate(checklist.sections):
            with st.expander(section.title, expanded=number == 0):
                for item in section.items:
                    _ask_item(prefix, item, current, claims)
        st.form_submit_button(
            "Save as a new version", icon=":material/save:", on_click=_save, args=(checklist, current, prefix)
        )


def _ask_item(prefix: str, item: ChecklistItem, current: FilledChecklist | None, claims: Sequence[str]) -> None:
    before = (current.find(item.id) if current else None) or Answer(item.id, AnswerWord.UNANSWERED)
    key = f"{prefix}-{item.id}"
    with st.container(border=True):
        st.markdown(f"**{plain(item.question)}**")
        st.markdown(f"A good answer: {plain(item.good)}")
        st.markdown(f"Evidence here: {plain(item.where)}")
        answer, text, linked, packs = st.columns([2, 5, 3, 3])
        st.session_state.setdefault(f"{key}-answer", before.answer)
        answer.selectbox("Answer", list(AnswerWord), key=f"{key}-answer", format_func=lambda word: word.value)
        st.session_state.setdefault(f"{key}-text", before.text)
        text.text_area("Explanation", key=f"{key}-text", height=80, max_chars=4000)
        st.session_state.setdefault(f"{key}-claims", [one for one in before.claims if one in claims])
        linked.multiselect("Claims in this data directory", claims, key=f"{key}-claims", placeholder="none")
        _text(packs, "Digests of packs", f"{key}-packs", " ".join(before.packs), 4000)


def _text(place: st.delta_generator.DeltaGenerator, label: str, key: str, default: str, most: int) -> None:
    st.session_state.setdefault(key, default)
    place.text_input(label, key=key, max_chars=most)


def _save(checklist: Checklist, current: FilledChecklist | None, prefix: str) -> None:
    """Save in a callback, before the page is drawn again, so that a slow page cannot lose the answers."""
    asked = st.session_state
    answers = tuple(
        Answer(
            item.id,
            AnswerWord(asked[f"{prefix}-{item.id}-answer"]),
            asked[f"{prefix}-{item.id}-text"].strip(),
            tuple(asked[f"{prefix}-{item.id}-claims"]),
            tuple(re.split(r"[\s,;]+", asked[f"{prefix}-{item.id}-packs"].strip())) if asked[f"{prefix}-{item.id}-packs"].strip() else (),
        )
        for item in checklist.items
    )  # fmt: skip
    draft = ChecklistDraft(
        asked[f"{prefix}-about"],
        answers,
        current.checklist_id if current else "",
        current.version if current else 0,
    )
    try:
        made = actions.save_checklist(checklist, draft, asked.get(f"{prefix}-by", ""))
    except AuditError as error:
        asked.checklist_refused = str(error)
        return
    asked.checklist_refused = ""
    asked.checklist_saved = f"{made.checklist_id} is saved as version {made.version}."
    asked.checklist = made.checklist_id
    for key in [key for key in asked if str(key).startswith(f"{prefix}-")]:
        del asked[key]
