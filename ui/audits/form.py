"""Inputs of the page of all audits: which audit, and a form made from the fields of its request."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import streamlit as st

from audit_core import Kind, Subject, TokenisedPrompts, get_plugin, list_plugins
from audit_core.audit import Audit
from audit_core.prompts import PromptSet, take_tokenised_split
from audit_core.request import Request
from audit_core.request_form import FormField, Shape, explain_unasked, list_form_fields, make_request
from ui.flow import choice
from ui.flow.choice import pick_one, pick_reference
from ui.parts.header import plain
from ui.shell import link

FIRST = "sweep"
"""Audit of a page opened without a link."""
IN_ROW = 2
"""Questions beside the audit; the others are in the popover."""
WIDTH = 380
"""Pixels of the box that names the audit, so that its question can be read; on a narrow screen it is the screen's."""
FIELDS = (
    link.Field("model", "default"), link.Field("set", "indirect_object"), link.Field("form", "written"), link.Field("scope", "one"),
    link.Field("prompt", ""), link.Field("audit", FIRST), link.Field("c", ""),
)  # fmt: skip


def first_visit() -> tuple[link.Field, ...]:
    """State of a page opened without a link: prompts of the live audit's example."""
    shared = {field.key: field for field in choice.first_visit()}
    return tuple(shared.get(field.key, field) for field in FIELDS)


def explain_not_offered(audit: Audit, subject: Subject) -> str:
    """Why the page cannot ask an audit about this model; empty if it can."""
    return explain_unasked(audit.request) or audit.explain_missing(subject)


def ask_audit(subject: Subject) -> Audit:
    """Choose one of the audits that this model can answer."""
    audits: dict[str, Audit] = dict(list_plugins("audits"))
    offered = tuple(name for name, audit in audits.items() if not explain_not_offered(audit, subject))
    link.repair("audit", offered)
    st.selectbox("Audit", offered, key="audit", format_func=lambda name: audits[name].question, width=WIDTH)
    chosen: Audit = get_plugin("audits", st.session_state.audit)
    return chosen


def ask_request(
    audit: Audit, subject: Subject, whole: TokenisedPrompts, measured: PromptSet, prompt_id: str, more: Any
) -> Request:
    """Read the answers of the audit's form.

    Raises:
        Refused: an answer is missing or not valid.
    """
    kept = {prompt.id for prompt in measured.prompts}
    split = replace(whole, pairs=tuple(p for p in whole.pairs if p.prompt.id in kept))
    prompts = pick_one(whole, prompt_id) if st.session_state.scope == "one" else split
    answers = {}
    for number, field in enumerate(list_form_fields(audit.request)):
        place = st.container(width="content") if number < IN_ROW else more
        with place:
            answers[field.name] = _ask(field, f"{audit.name}-{field.name}", subject)
    return make_request(
        audit.request, answers, subject=subject, prompts=prompts, reference=pick_reference(prompts, whole),
        explored=take_tokenised_split(whole, exploratory=True),
    )  # fmt: skip


def _ask(field: FormField, key: str, subject: Subject) -> str:
    """Ask one question; the answer as text."""
    label, words, key = plain(field.ask.label), plain(field.ask.help) or None, f"ask-{key}"
    if field.shape is Shape.CHOICE:
        at = field.choices.index(field.default) if field.default is not None else 0
        return str(
            st.selectbox(label, field.choices, at, key=key, help=words, format_func=lambda one: _name(one) or "none")
        )
    if field.shape is Shape.SWITCH:
        return str(st.checkbox(label, field.default == "True", key=key, help=words))
    if field.shape is Shape.WHOLE:
        return str(st.number_input(label, value=int(field.default or 0), step=1, key=key, help=words))
    if field.shape is Shape.NUMBER:
        return str(st.number_input(label, value=float(field.default or 0), step=0.5, key=key, help=words))
    # A required list of components begins with one that exists, so that the first run is one click away.
    first = "" if field.default is not None else str(next(iter(subject.components(Kind.HEAD)), ""))
    default = first if field.shape is Shape.COMPONENTS else field.default or ""
    return str(st.text_input(label, default, key=key, help=words, max_chars=2000))


def _name(choice_name: str) -> str:
    return choice_name.replace("_", " ")
