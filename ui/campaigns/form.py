"""Choose a campaign on the page, and cancel it."""

from __future__ import annotations

import streamlit as st

from audit_core import AuditError, audit_home
from audit_core.campaigns import (
    EXAMPLE_FILE,
    CampaignStatus,
    RecordedCampaign,
    list_campaigns,
    read_recorded_campaign,
)
from audit_core.governance import Permission
from audit_core.jobs import JobState
from ui.campaigns import act
from ui.flow import actions
from ui.flow.job_panel import job_panel
from ui.parts.header import plain
from ui.parts.refusal import show_refusal
from ui.shell import link

_DONE, _REFUSED, _JOB, _OPEN = "campaign-done", "campaign-refused", "campaign-job", "campaign-open"
MOST_CHARACTERS = 100_000
MOST_LISTED = 200


def ask_campaign() -> str:
    """The chosen campaign of this installation; empty if there is none."""
    names = list_campaigns(audit_home())[:MOST_LISTED]
    if not names:
        return ""
    if (planned := st.session_state.pop(_OPEN, "")) in names:
        st.session_state.campaign = planned
    link.repair("campaign", names)
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    left.selectbox("Campaign", names, key="campaign")
    right.button("Read again", icon=":material/refresh:", width="stretch")
    link.publish({"campaign": st.session_state.campaign}, is_shared=False)
    return str(st.session_state.campaign)


def show_recorded_note() -> RecordedCampaign:
    """Say that no campaign was planned here, and show the recorded one with the next step."""
    recorded = read_recorded_campaign()
    st.info(
        "No campaign was planned here. Below is the example of this project, recorded on "
        f"{plain(recorded.made_at[:10])}. The tab *Run one* plans and starts one.",
        icon=":material/info:",
    )
    return recorded


def offer_cancel(status: CampaignStatus) -> None:
    """Show what the last press did, and the button to cancel a running campaign."""
    if done := st.session_state.pop(_DONE, ""):
        st.success(plain(done), icon=":material/check:")
    if status.is_running and not status.stopped_by and actions.may(Permission.RUN):
        st.button("Cancel this campaign", icon=":material/cancel:", on_click=_cancel, args=(status.campaign_id,))


def _cancel(campaign_id: str) -> None:
    try:
        is_running = act.cancel_campaign(campaign_id)
    except AuditError as error:
        show_refusal(error)
        return
    there = (
        "The running process stops at its next step." if is_running else "No process of this machine runs it any more."
    )
    st.session_state[_DONE] = f"{there} Answers stay, and the command goes on with the rest."


def offer_start(status: CampaignStatus, seconds: str) -> None:
    """Show why the last start failed, and the button that runs what is not answered yet, with its predicted time."""
    if failure := act.read_failure(status.campaign_id):
        st.error(plain(failure), icon=":material/error:")
    if len(status.lines) == status.n_answered or not actions.may(Permission.RUN):
        return
    word = "Go on with this campaign" if status.spent_s else "Start this campaign"
    label = f"{word} (predicted: {seconds})"
    st.button(
        plain(label), icon=":material/play_arrow:", key="start-campaign", on_click=_start, args=(status.campaign_id,)
    )


def _start(campaign_id: str) -> None:
    try:
        act.start_campaign(campaign_id)
    except AuditError as error:
        st.session_state[_REFUSED] = str(error)


def show_refused() -> None:
    """Show why the last press was refused."""
    if refused := st.session_state.pop(_REFUSED, ""):
        st.error(plain(refused), icon=":material/error:")


def ask_new() -> None:
    """Ask for a campaign as TOML, plan it in a process of its own, and open it: then its predicted cost is known."""
    if not actions.may(Permission.RUN):
        st.markdown("Your role is read-only.")
        return
    st.markdown("Write a campaign, or upload one. It may name listed models, shipped prompt sets and planted tasks.")
    upload = st.file_uploader("Campaign as TOML", type="toml", max_upload_size=1, key="campaign-file")
    st.session_state.setdefault("campaign-text", EXAMPLE_FILE.read_text(encoding="utf-8"))
    text = st.text_area(
        "Campaign", key="campaign-text", height=320, max_chars=MOST_CHARACTERS, disabled=upload is not None
    )
    raw = text.encode("utf-8", "replace") if upload is None else upload.getvalue()
    st.button(
        "Plan it and predict its cost", icon=":material/calculate:", key="plan-campaign", on_click=_plan, args=(raw,)
    )
    if job := st.session_state.get(_JOB):
        _show_planning(job)


def _plan(raw: bytes) -> None:
    try:
        st.session_state[_JOB] = act.plan_sent(raw)
    except AuditError as error:
        st.session_state[_REFUSED] = str(error)


def _show_planning(job: str) -> None:
    snapshot = job_panel(job, place="campaign")
    if snapshot is not None and snapshot.is_active:
        return
    del st.session_state[_JOB]
    if snapshot is None or snapshot.state is JobState.CANCELLED:
        st.info("Cancelled. Nothing was planned.", icon=":material/stop_circle:")
    elif snapshot.state is JobState.DONE:
        st.session_state[_OPEN] = str(snapshot.result)
        st.rerun()
    else:
        st.error(plain(snapshot.error), icon=":material/error:")
