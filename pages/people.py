"""People: who has signed in, with which roles, and whose access is disabled."""

import streamlit as st

from audit_core import AuditError, audit_home
from audit_core.governance import Permission
from audit_core.store import PersonLog
from ui.flow import services
from ui.parts.refusal import show_refusal
from ui.people import show

# 1. ask

st.title("People", anchor=False)
st.markdown(
    "Every person who has signed in here, with the roles of their last sign-in. Roles come from the identity provider and "
    "from `people.toml` on the server. Disabling access takes effect at the person's next action, for every role."
)
try:
    me = services.authorize(Permission.MANAGE_PEOPLE, "people")
except AuditError as error:
    show_refusal(error)
    st.stop()
if me.is_local:
    st.info(
        "No sign-in is configured, so one local person has every role. `docs/how-to.md` shows how to set it up.",
        icon=":material/info:",
    )
    st.stop()

# 2. compute

people = PersonLog(audit_home()).list_known()

# 3. show

show.show_people(people)
show.ask_change([one for one in people if one.id != me.id])
