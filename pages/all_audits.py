"""All audits: what each of them asks, and the way to every page."""

import streamlit as st

from ui.audits import index
from ui.flow import services
from ui.shell import navigation

# 1. ask

st.title("All audits", anchor=False)
st.markdown(
    "Every audit changes one part and measures what follows. A **cross** marks what is replaced, **purple** what is measured. The drawings are "
    "schematic: no result is shown here."
)

# 2. compute: nothing

# 3. show

places = navigation.list_open_to(services.person())
index.show_index(places)
index.show_others(places)
