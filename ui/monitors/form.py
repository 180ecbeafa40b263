"""Inputs of the page Monitors: which monitor, and a text of one's own."""

from __future__ import annotations

import streamlit as st

from audit_core import AuditError
from audit_core.monitors import SHIPPED, Monitor, load_shipped_monitor, parse_monitor
from ui.flow import answers, model_question, services
from ui.monitors import act, show
from ui.parts.header import plain
from ui.parts.refusal import show_refusal
from ui.shell import link

FIELDS = (link.Field("monitor", next(iter(SHIPPED))),)
_BROUGHT, _SCORED, _RECORDED = "your file", "monitor_scored", "monitor_recorded"
MAX_FILE_MB = 64
MAX_TEXT = 2_000


def ask_monitor() -> tuple[Monitor, str]:
    """Select a shipped monitor, or read the file of another; returns it with its name.

    Raises:
        AuditError: the file cannot be read, or is not what its digest names.
    """
    with st.popover("Your own file", icon=":material/upload_file:"):
        st.markdown("A file that `assay monitor fit` wrote. Nothing in it is executed.")
        upload = st.file_uploader("Monitor", type="safetensors", max_upload_size=MAX_FILE_MB, key="monitor_file")
    link.repair("monitor", tuple(SHIPPED))
    st.selectbox("Monitor", list(SHIPPED), key="monitor", disabled=upload is not None)
    if upload is not None:
        st.markdown(f"File: **{plain(upload.name)}**")
        return parse_monitor(upload.getvalue()), _BROUGHT
    name = str(st.session_state.monitor)
    return load_shipped_monitor(name), name


def ask_text(monitor: Monitor, name: str) -> None:
    """Ask for a text, score it with the monitor's model, and offer to record an alarm."""
    model = st.text_input(
        "Model", SHIPPED.get(name, "default"), max_chars=200, key="monitor_model",
        help="It must be the model that the monitor was calibrated on.",
    )  # fmt: skip
    text = st.text_area("Your text", key="monitor_text", max_chars=MAX_TEXT)
    st.button(
        "Score this text",
        key="monitor_score",
        icon=":material/speed:",
        type="primary",
        disabled=not text.strip(),
        on_click=_press,
        args=(model, text),
    )
    asked = st.session_state.get(_SCORED)
    if asked is None:
        st.markdown("The model loads when you score the first text.")
        return
    try:
        if services.POOL.auditor(asked[0]) is None:
            model_question.begin(asked[0])
        run = act.score_text(answers.wait_for_model(asked[0]).subject, monitor, asked[1])
    except AuditError as error:
        show_refusal(error)
        return
    found = run.texts[0]
    show.show_expiry(run.expired)
    show.show_result(found, monitor.report.found.threshold.bound)
    show.show_tokens(monitor, found.pieces, found.tokens, None, "own")
    if found.is_alarm:
        stale = st.checkbox("Mark the claims about this model as stale", key="monitor_stale")
        st.button(
            "Record this alarm in the audit log",
            key="monitor_record",
            icon=":material/flag:",
            on_click=_record,
            args=(monitor, run, asked[1], stale),
        )
    if (done := st.session_state.pop(_RECORDED, None)) is not None:
        show_refusal(done) if isinstance(done, AuditError) else st.success(plain(str(done)), icon=":material/check:")


def _press(model: str, text: str) -> None:
    model_question.press(model)
    st.session_state[_SCORED] = (model, text)


def _record(monitor: Monitor, run: act.MonitorRun, text: str, stale: bool) -> None:
    try:
        found = act.record_alarm(monitor, run, text, marks_stale=stale)
        named = f" Stale now: {', '.join(found.stale) or 'no claim'}." if stale else ""
        st.session_state[_RECORDED] = f"Recorded as event {found.seq}.{named}"
    except AuditError as error:
        st.session_state[_RECORDED] = error
