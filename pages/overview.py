"""Overview: for those who decide. A guided story from recorded results, and what it cost to find out."""

import streamlit as st

from ui import link, overview_cost, overview_story

# 1. ask

link.seed(overview_story.FIELDS)
st.title("Overview", anchor=False)
st.markdown(
    "Three minutes: what a picture suggests, what was measured, what that does not show, and what finding out costs."
)

# 2. compute: nothing but reading what is recorded

story, costs = overview_story.read(), overview_cost.read()

# 3. show

if story is not None:
    overview_story.show_story(story)
    link.publish({field.key: st.session_state[field.key] for field in overview_story.FIELDS})
if costs is not None:
    overview_cost.show_costs(costs)
