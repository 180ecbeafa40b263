"""Calibration: how often this instrument is right, on models whose wiring is known."""

import streamlit as st

from ui import calibration_show

# 1. ask

st.title("Calibration", anchor=False)
st.markdown(
    "How often is the verdict right? Models whose weights are set by hand carry claims whose truth follows from the wiring. "
    "Each was judged by the same code that judges every claim here."
)
found = calibration_show.read()

# 2. compute: nothing; `python -m audit_core calibrate --write` measured what is shown

# 3. show

if found is not None:
    calibration_show.show_shares(found)
    calibration_show.show_confusion(found)
    calibration_show.show_fooled(found)
    calibration_show.show_models()
