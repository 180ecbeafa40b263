"""Overview: for those who decide. What may ship, what is left to do, a guided story, and what it cost to find out."""

import streamlit as st

from audit_core import AuditError, audit_home, list_models, read_home, read_standings
from ui import link, live_steps, overview_cost, overview_portfolio, overview_story

# 1. ask

link.seed(overview_story.FIELDS)
st.title("Overview", anchor=False)
st.markdown(
    "Which models meet their policy, what is untested or stale, and in three minutes what a measurement shows that a picture does not."
)

# 2. compute: nothing but reading what is recorded

try:
    facts = read_home(audit_home())
    standings = read_standings(audit_home(), facts.list_triggers())
    lines = list_models(standings, overview_portfolio.open_cases())
except AuditError as error:
    live_steps.show_refusal(error)
    st.stop()
story, costs = overview_story.read(), overview_cost.read()

# 3. show

st.header("Portfolio", anchor=False)
overview_portfolio.show_portfolio(lines, standings, facts)
overview_portfolio.show_open(standings)
if story is not None:
    overview_story.show_story(story)
    link.publish({field.key: st.session_state[field.key] for field in overview_story.FIELDS})
st.header("Key figures", anchor=False)
overview_portfolio.show_figures(overview_portfolio.read_trends(facts))
if costs is not None:
    overview_cost.show_costs(costs)
