"""Freeze a question under a policy, then run it: only then can its result meet the policy's thresholds."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from audit_core import Auditor, audit_home
from audit_core.errors import AuditError
from audit_core.governance import parse_policy
from audit_core.policy_choice import list_policy_choices, load_policy_choice
from audit_core.request import Request
from ui.flow import actions
from ui.parts.header import plain


def offer_freeze(auditor: Auditor, audit: str, request: Request, key: str, start: Callable[[], None]) -> None:
    """Show a popover with a policy file; its button freezes the question and starts the run.

    Args:
        start: queues the run.
    """
    with st.popover("Freeze it under a policy first"):
        st.markdown(
            "Logs this question with your policy before it runs. Only then can its result meet the policy's thresholds in an "
            "evidence pack; the reference of policies describes the tables `[answers.NAME]`."
        )
        saved = {one.key: one.label for one in list_policy_choices(audit_home()) if one.saved is not None}
        if saved:
            st.selectbox(
                "Policy of this installation", list(saved), index=None, key=f"saved-policy-{key}", format_func=lambda one: saved[one],
                placeholder="choose one, or bring a file",
            )  # fmt: skip
        kept = st.file_uploader("Policy, as TOML", type="toml", key=f"policy-{key}", max_upload_size=1)
        st.checkbox("Results of this model on these texts were seen elsewhere before.", key=f"seen-{key}")
        st.button(
            "Freeze and run", key=f"freeze-{key}", icon=":material/lock:", disabled=kept is None and not st.session_state.get(f"saved-policy-{key}"), on_click=_freeze,
            args=(auditor, audit, request, key, start),
        )  # fmt: skip


def show_frozen(key: str) -> None:
    """Show what the last freeze of this place did."""
    said = st.session_state.pop(f"frozen-{key}", None)
    if said is not None:
        kind, words = said
        {"error": st.error, "warning": st.warning, "info": st.info}[kind](words)


def _freeze(auditor: Auditor, audit: str, request: Request, key: str, start: Callable[[], None]) -> None:
    kept, saved = st.session_state.get(f"policy-{key}"), st.session_state.get(f"saved-policy-{key}")
    if kept is None and not saved:
        return
    try:
        policy = (
            load_policy_choice(audit_home(), saved) if kept is None else parse_policy(kept.getvalue(), plain(kept.name))
        )
        seen = bool(st.session_state.get(f"seen-{key}"))
        frozen = actions.freeze_question(auditor, audit, request, policy, is_seen=seen)
    except AuditError as error:
        st.session_state[f"frozen-{key}"] = ("error", plain(str(error)))
        return
    named = f"Frozen as {frozen.question.question_id}."
    if frozen.is_exploratory:
        words = f"{named} It is exploratory: results of this model on these texts were seen before, so the answer meets no threshold."
        st.session_state[f"frozen-{key}"] = ("warning", words)
    else:
        st.session_state[f"frozen-{key}"] = ("info", f"{named} Its result can meet the policy.")
    start()
