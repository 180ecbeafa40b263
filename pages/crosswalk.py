"""Crosswalk: which evidence supports which clause, how far, and which rows were checked against the source."""

import streamlit as st

from audit_core import AuditError, audit_home
from audit_core.home import list_evidence_counts
from audit_core.references import load_crosswalk
from ui.crosswalk import show
from ui.parts.refusal import show_refusal
from ui.shell import link

# 1. ask

crosswalk = load_crosswalk()
frameworks = {"": "every framework"} | {row.id: row.title for row in crosswalk.frameworks}
evidence = {"": "every item of evidence"} | {row.id: row.title for row in crosswalk.evidence}
link.seed((link.Field("framework", ""), link.Field("evidence", "")))
link.repair("framework", tuple(frameworks))
link.repair("evidence", tuple(evidence))
st.title("Crosswalk", anchor=False)
show.show_notice(crosswalk)
left, right = st.columns(2)
left.selectbox("Framework", list(frameworks), key="framework", format_func=lambda key: frameworks[key])
right.selectbox("Evidence", list(evidence), key="evidence", format_func=lambda key: evidence[key])
link.publish({"framework": st.session_state.framework, "evidence": st.session_state.evidence})

# 2. compute

rows = crosswalk.choose(framework=st.session_state.framework, evidence=st.session_state.evidence)
counts = crosswalk.count(rows)
try:
    evidence_counts = list_evidence_counts(audit_home(), crosswalk)
except AuditError as error:
    show_refusal(error)
    evidence_counts = ()

# 3. show

show.show_counts(counts, rows)
show.show_rows(crosswalk, rows)
show.show_acts(crosswalk, rows)
show.show_evidence_counts(evidence_counts)
show.show_readings(crosswalk)
