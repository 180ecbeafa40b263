"""Calibration: error rates of the verdict rule on models with known wiring."""

import streamlit as st

from ui.calibration import show

# 1. ask

st.title("Calibration", anchor=False)
st.markdown(
    "How often is the verdict right? In planted models, whether a claim is true follows from weights set by hand. "
    "The code that judges these claims is the code that judges yours."
)
found = show.read()

# 2. compute: nothing; `python -m audit_core calibrate --write` recorded these results

# 3. show

if found is not None:
    show.show_shares(found)
    show.show_details(found)
