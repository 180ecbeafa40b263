"""Earlier runs of this browser: shown as recorded, without a rerun, and marked stale when model or prompts changed."""

from __future__ import annotations

import json

import streamlit as st

from audit_core import AuditError, load_prompt_set, make_table
from audit_core.prompts import CHAT_SUFFIX, take_split
from audit_core.store import RunRecord
from ui.flow.actions import load_own
from ui.flow.services import current_actor, run_log
from ui.parts.header import plain, show_table

_SHOWN = 50


def show_history(model_digest: str) -> None:
    """List this browser's runs, and show one as recorded."""
    records = run_log().list_runs(session=current_actor().session, limit=_SHOWN)
    if not records:
        st.markdown("No runs yet. Every run appears here, including refused and cancelled ones.")
        return
    rows = [
        (_when(r), r.kind, _summary(r), r.outcome, r.reason, f"{r.wall_s:.1f}", _stale(r, model_digest))
        for r in records
    ]
    show_table(
        make_table(("when (UTC)", "kind", "request", "outcome", "reason", "seconds", "stale"), rows),
        key="history",
    )
    names = {r.run_id: f"{name_run(r)} ({r.outcome})" for r in records}
    st.selectbox(
        "Restore a run", list(names), key="restored", index=None, format_func=names.get, placeholder="Choose a run"
    )
    chosen = next((r for r in records if r.run_id == st.session_state.restored), None)
    if chosen is not None:
        _show_record(chosen, _stale(chosen, model_digest))


def name_run(record: RunRecord) -> str:
    """A run in a list: when, audit, and what it was asked about."""
    return f"{_when(record)} {record.kind} {_summary(record)}"


def _when(record: RunRecord) -> str:
    return record.started_at[:19].replace("T", " ")


def _summary(record: RunRecord) -> str:
    asked = json.loads(record.request)
    parts = asked.get("components") or asked.get("claim", {}).get("components") or []
    words = [
        asked.get("prompts", ""),
        asked.get("prompt", ""),
        " ".join(parts[:4]),
        asked.get("replacement", ""),
        asked.get("source", ""),
    ]
    if "layer" in asked:
        words.append(f"L{asked['layer']}.H{asked['head']}")
    return " · ".join(word for word in words if word)


def _stale(record: RunRecord, model_digest: str) -> str:
    changed = []
    if record.model_digest and record.model_digest != model_digest:
        changed.append("another model")
    name = json.loads(record.request).get("prompts", "")
    # A set in chat form cannot be rendered without its model; a changed model is already listed.
    if record.prompts_sha256 and CHAT_SUFFIX not in name and record.prompts_sha256 != _prompts_now(name):
        changed.append("other prompts")
    return " and ".join(changed)


def _prompts_now(name: str) -> str:
    """Current hash of the prompts of that name; empty if they no longer exist."""
    key, _, split = name.partition("/")
    try:
        prompts = load_own(key) if key.startswith("own-") else load_prompt_set(key)
        return take_split(prompts, exploratory=split == "exploratory").sha256 if split else prompts.sha256
    except AuditError:
        return ""


def _show_record(record: RunRecord, stale: str) -> None:
    with st.container(border=True):
        st.markdown(f"**Recorded {plain(_when(record))} UTC, not run again.** {plain(_summary(record))}")
        if stale:
            st.warning(f"Stale: recorded with {stale}.", icon=":material/history:")
        if record.result is None:
            st.markdown(plain(f"{record.outcome}: {record.detail}"))
            return
        result = json.loads(record.result)
        for key in ("sentence", "finding"):
            if key in result:
                st.markdown(plain(str(result[key])))
        st.json(
            {"result": result, "identity": json.loads(record.identity), "request": json.loads(record.request)},
            expanded=False,
        )
