"""The verdict on the chosen circuit, from the live audit."""

from __future__ import annotations

import streamlit as st

from audit_core import Auditor
from ui.flow import answers, services
from ui.flow.choice import WHEN_JUDGED, Choice
from ui.parts import verdict_card


def ask_verdict(auditor: Auditor, choice: Choice) -> None:
    """Run and show the verdict, or state what it needs."""
    if not choice.can_be_judged:
        st.info(WHEN_JUDGED, icon=":material/gavel:")
        return
    title, asked = f"Judge it on {choice.size}, three ablations", choice.ask_verdict()
    judged = answers.answer_by_job(auditor, "claim_test", title, asked, at_once=False)
    if judged is not None:
        verdict_card.show_verdict(judged, asked.claim, services.read_multiplicity_ledger(auditor))
