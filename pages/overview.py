"""Overview: for those who decide. What may ship, what is left to do, a guided story, and what it cost to find out."""

import streamlit as st

from audit_core import AuditError, audit_home
from audit_core.home import list_models, read_claim_statuses, read_home
from ui.flow import answers
from ui.overview import cost, portfolio, story
from ui.shell import link

# 1. ask

link.seed(story.FIELDS)
st.title("Overview", anchor=False)
st.markdown(
    "Which models meet their policy, what is untested or stale, and in three minutes what a measurement shows that a picture does not."
)

# 2. compute: nothing but reading what is recorded

try:
    facts = read_home(audit_home())
    standings = read_claim_statuses(audit_home(), facts.list_triggers())
    lines = list_models(standings, portfolio.open_cases())
except AuditError as error:
    answers.show_refusal(error)
    st.stop()
story, costs = story.read(), cost.read()

# 3. show

st.header("Portfolio", anchor=False)
portfolio.show_portfolio(lines, standings, facts)
portfolio.show_open(standings)
if story is not None:
    story.show_story(story)
    link.publish({field.key: st.session_state[field.key] for field in story.FIELDS})
st.header("Key figures", anchor=False)
portfolio.show_figures(portfolio.read_trends(facts))
if costs is not None:
    cost.show_costs(costs)
