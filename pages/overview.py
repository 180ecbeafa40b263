"""Overview for decision makers: policy status of each model, open work, a guided story, and audit costs."""

import streamlit as st

from audit_core import AuditError
from audit_core.home import list_models, read_claim_statuses, read_home
from ui.flow import answers, sample
from ui.overview import cost, portfolio, story
from ui.shell import link

# 1. ask

link.seed(story.FIELDS)
st.title("Overview", anchor=False)
st.markdown(
    "Which models meet their policy, which claims are untested or stale, and a three-minute story of one audit."
)

# 2. compute: nothing; read what is recorded

home = sample.open_records()
try:
    facts = read_home(home)
    summaries = read_claim_statuses(home, facts.list_triggers())
    lines = list_models(summaries, portfolio.open_cases())
except AuditError as error:
    answers.show_refusal(error)
    st.stop()
recorded, costs = story.read(), cost.read()

# 3. show

st.header("Portfolio", anchor=False)
portfolio.show_portfolio(lines, summaries, facts)
portfolio.show_open(summaries)
if recorded is not None:
    story.show_story(recorded)
    link.publish({field.key: st.session_state[field.key] for field in story.FIELDS})
st.header("Key figures", anchor=False)
portfolio.show_figures(portfolio.read_trends(facts))
if costs is not None:
    cost.show_costs(costs)
