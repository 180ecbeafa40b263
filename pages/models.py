"""Model cards: identity of a model, what attention can and cannot show, its claims, and their status."""

import streamlit as st

from audit_core import AuditError
from audit_core.home import list_model_names, read_claim_statuses, read_home
from audit_core.store import list_card_claims
from ui.cards import form, show
from ui.flow import sample
from ui.overview import portfolio
from ui.parts.refusal import show_refusal
from ui.shell import link

# 1. ask

link.seed((link.Field("model", "default"), link.Field("around", "")))
st.title("Model cards", anchor=False)
st.markdown("Facts about each model, the claims about how it works, and which of them are tested.")
home = sample.open_records()
try:
    facts = read_home(home)
    summaries = read_claim_statuses(home, facts.list_triggers())
    sentences = list_card_claims(home)
except AuditError as error:
    show_refusal(error)
    st.stop()
left, right = st.columns(2)
with left:
    name = form.ask_model(list_model_names([*(one.model for one in summaries), *(one.model for one in sentences)]))
with right:
    around = form.ask_system()
link.publish({"model": name, "around": ",".join(around)}, is_shared=False)

# 2. compute

sheet = show.read(name)
digest = "" if sheet.identity is None else sheet.identity.short
own = [one for one in summaries if one.model == name or (digest and one.model_digest == digest)]
try:
    cases = [case for case in portfolio.open_cases() if {one.claim_id for one in own} & set(case.case.pack.claim_ids)]
except AuditError as error:
    show_refusal(error)
    cases = []

# 3. show

show.show_claims(own)
card = [one for one in sentences if one.model == name]
attention, packs, audits, written, identity = st.tabs(
    ["What attention can and cannot show", "Evidence packs", "Audits and evidence", "Card sentences", "Identity"]
)
with attention:
    show.show_attention(sheet, around)
with packs:
    show.show_packs(cases)
    show.show_figures(cases)
with audits:
    show.show_capabilities(sheet, around, facts)
with written:
    show.show_sentences(card, own)
    form.ask_card(name)
    form.ask_link(card, own)
with identity:
    show.show_identity(sheet, facts)
