"""Choose a campaign on the page, and cancel it."""

from __future__ import annotations

import streamlit as st

from audit_core import AuditError, audit_home
from audit_core.campaigns import CampaignStatus, RecordedCampaign, list_campaigns, read_recorded_campaign
from audit_core.governance import Permission
from ui.campaigns import act
from ui.flow import actions
from ui.parts.header import plain
from ui.parts.refusal import show_refusal
from ui.shell import link

_DONE = "campaign-done"
MOST_LISTED = 200


def ask_campaign() -> str:
    """The chosen campaign of this installation; empty if there is none."""
    names = list_campaigns(audit_home())[:MOST_LISTED]
    if not names:
        return ""
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
        f"{plain(recorded.made_at[:10])}. The tab *Run one* has the command.",
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
