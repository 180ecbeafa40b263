"""Changes: two versions of a model compared by weights and by component effects, and the claims that became stale."""

import streamlit as st

from audit_core import AuditError, list_prompt_sets
from audit_core.governance import Permission
from audit_core.store import list_stale
from ui.changes import show
from ui.flow import actions, sample
from ui.flow.job_panel import job_panel
from ui.parts.refusal import show_refusal
from ui.shell import link

# 1. ask

link.seed((link.Field("before", ""), link.Field("after", ""), link.Field("prompts", "")))
st.title("Changes", anchor=False)
st.markdown("Compare two versions of a model, and see which tested claims need another test.")
home = sample.open_records()
left, right, on, press = st.columns([6, 6, 6, 3], vertical_alignment="bottom")
left.text_input("Before", key="before", placeholder="a name, a folder, or a hub id", max_chars=300)
right.text_input("After", key="after", placeholder="the later version", max_chars=300)
link.repair("prompts", ("", *list_prompt_sets()))
on.selectbox(
    "Measure both on", ("", *list_prompt_sets()), key="prompts", format_func=lambda name: name or "no prompts: files only",
    help="Each head is ablated alone in both versions, on the exploratory split.",
)  # fmt: skip
asked = (st.session_state.before.strip(), st.session_state.after.strip(), st.session_state.prompts)
link.publish(dict(zip(("before", "after", "prompts"), asked, strict=True)))

# 2. compute

mine = st.session_state.setdefault("jobs", {})
key = f"changes {asked}"
if actions.may(Permission.RUN) and press.button(
    "Compare", icon=":material/difference:", key="compare", disabled=not all(asked[:2])
):
    try:
        mine[key] = actions.compare(*asked)
    except AuditError as error:
        show_refusal(error)
snapshot = job_panel(mine[key], place="changes") if key in mine else None

# 3. show

if snapshot is not None and not snapshot.is_active:
    show.show_end(snapshot)
try:
    show.show_log(list_stale(home))
    show.show_recorded(home)
except AuditError as error:
    show_refusal(error)
show.ask_incident()
