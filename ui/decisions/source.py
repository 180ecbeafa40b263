"""What decides on the page Decisions: a language model that reads a prompt, or a model of tables."""

from __future__ import annotations

import streamlit as st

from ui.shell import link

LANGUAGE, TABLE = "Language model", "Tabular model"
FIELD = link.Field("decider", LANGUAGE)


def ask_source() -> str:
    """Select what decides; the rest of the page follows from it."""
    link.repair(FIELD.key, (LANGUAGE, TABLE))
    st.segmented_control("What decides", (LANGUAGE, TABLE), key=FIELD.key, required=True)
    return str(st.session_state[FIELD.key])
