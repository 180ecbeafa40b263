"""Forms of the page Findings: record one, change it, close, accept or reopen it; each names who and why."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

import streamlit as st

from audit_core import AuditError
from audit_core.errors import StoreRefused
from audit_core.findings import SuggestedFinding, find_rules, list_suggestions
from audit_core.governance import FindingRules
from audit_core.store import (
    ACTIVE_STATUSES,
    FINDING_LIMITS,
    FindingDraft,
    FindingEdit,
    FindingStatus,
    RegisteredClaim,
    RegisteredFinding,
)
from ui.findings import act
from ui.flow import actions, sample, services
from ui.parts.header import plain
from ui.parts.refusal import show_refusal

_REFUSED, _DONE = "finding_refused", "finding_done"
_TEXTS = ("title", "finding", "remediation", "owner")
_OWN = "own words, no suggestion"
_STEPS = {"close": "Close it", "accept": "Accept it as it is", "reopen": "Reopen it"}


def show_outcome() -> None:
    """Show what the last press did; text of a refused form stays readable, so that nothing typed is lost."""
    if done := st.session_state.pop(_DONE, ""):
        st.success(plain(done), icon=":material/check:")
    if (refused := st.session_state.pop(_REFUSED, None)) is not None:
        error, typed = refused
        show_refusal(error)
        if typed:
            with st.expander("What you entered, not saved", icon=":material/content_copy:", expanded=True):
                for name, text in typed.items():
                    st.markdown(f"**{plain(name)}**")
                    st.code(text, language=None, wrap_lines=True)


def ask_new(claims: Mapping[str, RegisteredClaim]) -> None:
    """Form of a new finding: a suggestion fills it in, and a person sets severity and owner."""
    home, claim_id = sample.records_home(), st.session_state.about
    left, right = st.columns(2)
    left.selectbox(
        "About claim", list(claims), key="about", format_func=lambda key: f"{key}: {claims[key].plan.claim.name[:80]}"
    )
    suggested: dict[str, SuggestedFinding] = {}
    try:
        rules = find_rules(home, (claim_id,))
        suggested = {_key(one): one for one in list_suggestions(home, claim_id)}
    except StoreRefused as error:
        # A policy or prompt set that is no longer stored: a finding can still be written in own words.
        rules = find_rules(home, ())
        show_refusal(error)
    except AuditError as error:
        show_refusal(error)
        return
    labels = {key: one.text[:120] for key, one in suggested.items()} | {"": _OWN}
    if st.session_state.get("suggestion") not in labels:
        st.session_state.suggestion = next(iter(labels))
    right.selectbox("Fill in from a suggestion", list(labels), key="suggestion", format_func=lambda key: labels[key])
    chosen = suggested.get(st.session_state.suggestion)
    draft = chosen.prefill() if chosen is not None else FindingDraft("", "", "", "", "", claims=(claim_id,))
    place = f"new-{claim_id}-{st.session_state.suggestion}"
    with st.form("new-finding", border=True):
        _ask_fields(place, draft, rules, due=None)
        _ask_name(place)
        st.form_submit_button(
            "Record the finding", icon=":material/flag:", type="primary", on_click=_record, args=(place, draft)
        )


def _key(one: SuggestedFinding) -> str:
    """Short name of a suggestion for the address, the same as long as the result is."""
    return hashlib.sha256(one.text.encode()).hexdigest()[:12]


def ask_change(one: RegisteredFinding, rules: FindingRules) -> None:
    """Form that changes a finding; bound to the version on the screen."""
    place = f"edit-{one.finding_id}-{one.version}"
    draft = FindingDraft(one.severity, one.title, one.finding, one.remediation, one.owner)
    with st.form(place, border=True):
        _ask_fields(place, draft, rules, due=date.fromisoformat(one.due))
        st.session_state.setdefault(f"{place}-status", one.status)
        st.radio("Status", ACTIVE_STATUSES, key=f"{place}-status", format_func=_spell_status, horizontal=True)
        _ask_reason(place)
        st.form_submit_button("Save the change", icon=":material/save:", on_click=_change, args=(place, one))


def _spell_status(status: FindingStatus) -> str:
    return str(status).replace("_", " ")


def ask_steps(one: RegisteredFinding) -> None:
    """Close, accept or reopen the finding, each with a reason and by its roles."""
    steps = ("close", "accept") if one.is_active else ("reopen",)
    allowed = [step for step in steps if actions.may(act.STEPS[step])]
    if not allowed:
        return
    place = f"step-{one.finding_id}-{one.version}"
    with st.form(place, border=True):
        _ask_reason(place)
        with st.container(horizontal=True):
            for step in allowed:
                st.form_submit_button(_STEPS[step], key=f"{place}-{step}", on_click=_step, args=(place, step, one))


def _ask_fields(place: str, draft: FindingDraft, rules: FindingRules, *, due: date | None) -> None:
    for name in _TEXTS:
        st.session_state.setdefault(f"{place}-{name}", getattr(draft, name))
    st.text_input("Title", key=f"{place}-title", max_chars=FINDING_LIMITS["title"])
    left, right = st.columns(2)
    left.text_area("Finding", key=f"{place}-finding", max_chars=FINDING_LIMITS["finding"], height=110)
    right.text_area("Remediation", key=f"{place}-remediation", max_chars=FINDING_LIMITS["remediation"], height=110)
    names = list(dict.fromkeys((*rules.names, *((draft.severity,) if draft.severity else ()))))
    days = {one.name: one.days for one in rules.severities}
    severity, owner, until = st.columns(3)
    if draft.severity:
        st.session_state.setdefault(f"{place}-severity", draft.severity)
    severity.selectbox(
        "Severity", names, key=f"{place}-severity", index=None, placeholder="choose one",
        format_func=lambda name: f"{name}: {days[name]} days" if name in days else name,
    )  # fmt: skip
    owner.text_input("Owner", key=f"{place}-owner", max_chars=FINDING_LIMITS["owner"], placeholder="who resolves it")
    if due is not None:
        st.session_state.setdefault(f"{place}-due", due)
    until.date_input("Due date", None, key=f"{place}-due", help="Empty: the latest date that the policy allows.")


def _ask_reason(place: str) -> None:
    st.text_input(
        "Reason", key=f"{place}-reason", max_chars=FINDING_LIMITS["reason"], placeholder="recorded in the history"
    )
    _ask_name(place)


def _ask_name(place: str) -> None:
    if services.person().is_local:
        st.text_input(
            "Your name", key=f"{place}-name", max_chars=FINDING_LIMITS["owner"], placeholder="there is no sign-in here"
        )


def _read(place: str, name: str) -> str:
    found = st.session_state.get(f"{place}-{name}")
    return "" if found is None else str(found)


def _record(place: str, draft: FindingDraft) -> None:
    texts = {name: _read(place, name) for name in _TEXTS}
    try:
        filled = replace(
            draft, title=texts["title"], finding=texts["finding"], remediation=texts["remediation"], owner=texts["owner"],
            severity=_read(place, "severity"), due=_read(place, "due"),
        )  # fmt: skip
        made = act.record_finding(filled, _read(place, "name"))
    except AuditError as error:
        st.session_state[_REFUSED] = error, {}
        return
    _forget(place)
    st.session_state[_DONE] = f"{made.finding_id} is recorded and logged, due {made.due}."
    st.session_state.finding, st.session_state.view = made.finding_id, ""


def _change(place: str, one: RegisteredFinding) -> None:
    fields = {name: _read(place, name) for name in (*_TEXTS, "severity", "due")}
    status = FindingStatus(_read(place, "status"))
    changed = {name: value for name, value in fields.items() if value != str(getattr(one, name))}
    edit = FindingEdit(**changed, status=status if status != one.status else None)
    reason = _read(place, "reason")
    try:
        act.change_finding(one.finding_id, one.version, edit, reason, _read(place, "name"))
    except AuditError as error:
        typed = changed | ({"status": status.value} if edit.status else {}) | ({"reason": reason} if reason else {})
        st.session_state[_REFUSED] = error, typed
        return
    st.session_state[_DONE] = f"{one.finding_id} is changed and logged."


def _step(place: str, step: str, one: RegisteredFinding) -> None:
    reason = _read(place, "reason")
    try:
        found = act.take_step(step, one.finding_id, one.version, reason, _read(place, "name"))
    except AuditError as error:
        st.session_state[_REFUSED] = error, {"reason": reason} if reason else {}
        return
    st.session_state[_DONE] = f"{one.finding_id} is {found.status_words}. The change is logged."


def _forget(place: str) -> None:
    for key in [key for key in st.session_state if str(key).startswith(f"{place}-")]:
        del st.session_state[key]


def name_claims(claims: Sequence[RegisteredClaim]) -> dict[str, RegisteredClaim]:
    """Claims that a finding can be about, the newest first."""
    return {known.claim_id: known for known in reversed(claims)}


def open_new() -> None:
    st.session_state.view = "new"


def leave_new() -> None:
    st.session_state.view = ""
