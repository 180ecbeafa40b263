"""Overview for decision makers: claims of each model by state, a three-minute story of one audit, open work, and costs."""

import streamlit as st

from audit_core import AuditError
from audit_core.home import list_models, read_claim_statuses, read_home
from ui.flow import sample
from ui.overview import cost, page_print, portfolio, story
from ui.parts.refusal import show_refusal
from ui.shell import link

# 1. ask

link.seed(story.FIELDS)
with st.container(key="bench-title", horizontal=True, vertical_alignment="center"):
    st.title("Overview", anchor=False, width="content")
    st.space("stretch")
    actions = st.container(horizontal=True, width="content")

# 2. compute: nothing; read what is recorded

home = sample.open_records()
try:
    facts = read_home(home)
    summaries = read_claim_statuses(home, facts.list_triggers())
    lines = list_models(summaries, portfolio.open_cases())
except AuditError as error:
    show_refusal(error)
    st.stop()
recorded, costs, trends = story.read(), cost.read(), portfolio.read_trends(facts)

# 3. show

with actions:
    page_print.offer(lines, summaries, facts)
portfolio.show_portfolio(lines, summaries, facts)
if recorded is not None:
    story.show_story(recorded)
    link.publish({field.key: st.session_state[field.key] for field in story.FIELDS})
for title, show in (
    ("Open work", lambda: portfolio.show_open(summaries)),
    ("Key figures", lambda: portfolio.show_figures(trends)),
    ("Audit costs and settled claims", lambda: None if costs is None else cost.show_costs(costs)),
):
    box = st.expander(title, key=f"open-{title}", on_change="rerun")
    if box.open:
        with box:
            show()
