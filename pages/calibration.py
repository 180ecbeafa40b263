"""Calibration: how often this instrument is right, on models whose wiring is known."""

import streamlit as st

from ui.calibration import show

# 1. ask

st.title("Calibration", anchor=False)
st.markdown(
    "How often is the verdict right? Models whose weights are set by hand carry claims whose truth follows from the wiring. "
    "Each was judged by the same code that judges every claim here."
)
found = show.read()

# 2. compute: nothing; `python -m audit_core calibrate --write` measured what is shown

# 3. show

if found is not None:
    show.show_shares(found)
    show.show_confusion(found)
    show.show_fooled(found)
    show.show_models()
