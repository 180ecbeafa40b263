"""From the choice of a tool to the parts of the model that carry it: pairs of prompts for the sweep."""

from __future__ import annotations

import shlex

import streamlit as st

from audit_core import AuditError, Subject
from audit_core.tools import AT_CHANCE, VARIES, Factor, Toolbox, ToolsResult, write_pairs
from ui.flow import actions
from ui.parts.header import plain
from ui.shell import link

_OPENING = "tools-opening"


def show_inside(subject: Subject, model: str, result: ToolsResult) -> None:
    """Offer pairs of prompts that differ in one factor of the choice, and the sweep over them.

    Args:
        model: its name on the command line.
    """
    st.markdown(
        "Which attention heads carry the choice? The two texts of a pair differ in the request, or in two descriptions. "
        "The sweep replaces each head's output by that of the other side. Circuits and claims read the same pairs."
    )
    if AT_CHANCE in result.choice_reason:
        st.warning(
            f"{plain(AT_CHANCE.capitalize())}. Effects on a choice that the model does not make say nothing of tool use. The sweep gives no fraction "
            "and a claim no verdict unless the model prefers the right one of two tools in these pairs.",
            icon=":material/warning:",
        )
    chosen = st.selectbox(
        "Other side", list(Factor), format_func=lambda one: f"{one.value}: {VARIES[one]}", key="tools-factor"
    )
    if st.button("Which heads carry this choice?", key="tools-heads", icon=":material/grid_on:"):
        try:
            _open(subject, result, Factor(chosen or Factor.REQUEST))
        except AuditError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return
        st.rerun()
    words = ["python", "-m", "audit_core", "prompts", "tools", "--vary", str(chosen or Factor.REQUEST.value)]
    words += ["--model", model, "--out", "pairs.jsonl"]
    for option, texts, own in (
        ("--names", result.names, Toolbox().names),
        ("--descriptions", result.descriptions, Toolbox().descriptions),
    ):
        words += [option, " | ".join(texts)] if texts != own else []
    st.markdown("The same as a file, with `--file` for requests of your own:")
    st.code(shlex.join(words), language=None, wrap_lines=True)


def is_opening() -> bool:
    """Whether the pairs were written, so that the sweep is to be shown; true once."""
    return bool(st.session_state.pop(_OPENING, False))


def _open(subject: Subject, result: ToolsResult, factor: Factor) -> None:
    """Keep pairs of the measured requests as the user's own prompt set, and choose it.

    Raises:
        AuditError: no pair can be written, or the set cannot be kept.
    """
    rows = [(row.id, row.request) for row in result.requests]
    tools = Toolbox(result.names, result.descriptions)
    found = write_pairs(rows, result.prompts, subject, factor=factor, toolbox=tools)
    key = st.session_state["own_set"] = actions.keep_own(found.prompts)
    # On arrival at another page only what is kept counts, not the values of this one.
    link.keep({"set": key, "prompt": "", "form": "written"})
    st.session_state[_OPENING] = True
