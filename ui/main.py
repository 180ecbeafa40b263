"""The router. It must not stand beside `pages/`: Streamlit would then serve those without it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

import streamlit as st  # noqa: E402

from ui.places import menu  # noqa: E402

LOOPBACK = ("127.0.0.1", "localhost", "::1")

st.set_page_config(page_title="Assay", page_icon=str(ROOT / "ui/static/favicon.png"), layout="wide")
if st.get_option("server.address") not in LOOPBACK:
    st.error(
        f"The server listens on {st.get_option('server.address') or 'every address'} and there is no sign-in. "
        "Wanted: a loopback address. What to do: start it with --server.address 127.0.0.1.",
        icon=":material/lock:",
    )
    st.stop()
page = st.navigation(menu())
with st.sidebar:
    st.badge("no sign-in: one local person", icon=":material/person_off:", color="gray")
page.run()
