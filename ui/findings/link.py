"""Link from other pages to the form that records a finding about one claim."""

from __future__ import annotations

import streamlit as st

from audit_core.governance import Permission
from audit_core.store import FindingRegister, Register
from ui.flow import actions, sample
from ui.parts.header import counted, plain
from ui.shell import navigation


def offer_findings(claim_id: str) -> None:
    """Link to the claim's findings, and for those who may record one, to the form with its suggestions."""
    if claim_id not in {known.claim_id for known in Register(sample.records_home()).list_claims()}:
        # A pack from elsewhere: its claims are in another register.
        return
    known = [one for one in FindingRegister(sample.records_home()).list_findings() if claim_id in one.claims]
    if known:
        active = sum(one.is_active for one in known)
        st.page_link(
            navigation.findings(), label=f"{plain(counted(len(known), 'finding'))}, {active} to resolve", icon=":material/flag:",
            query_params={"finding": known[-1].finding_id},
        )  # fmt: skip
    if actions.may(Permission.RECORD_FINDING):
        st.page_link(
            navigation.findings(), label="Record a finding", icon=":material/add:",
            query_params={"view": "new", "about": claim_id},
        )  # fmt: skip
