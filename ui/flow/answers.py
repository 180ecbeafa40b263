"""Results for the pages: computed at once if that takes under a second, else by a job with progress and cancel."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from audit_core import AttentionRequest, AuditError, Auditor, Intervention, TokenisedPrompts, get_plugin
from audit_core.component import Component
from audit_core.errors import AccessRefused, QueueFull
from audit_core.jobs import JobState
from audit_core.prompts import TokenPair
from ui.flow import model_question, services
from ui.flow.choice import Choice
from ui.flow.freeze import offer_freeze, show_frozen
from ui.flow.job_panel import job_panel
from ui.parts.header import plain
from ui.parts.refusal import show_refusal
from ui.shell import auth

POLL_S = 0.5
LONG_TOKENS = 256
"""Shorter prompts are answered as their page says, whatever the load of the machine makes of a prediction."""
AT_ONCE_S = 2.0
"""What is predicted to take longer is a job, with its time, progress and cancel: an answer at once shows nothing until it is there."""
AT_ONCE_WORK = 20_000
"""The same in units of work, while the pace of the machine is not known; 20 tokens of the default model take 1,200."""
UNASKED_S = 20.0
"""What is predicted to take longer begins when a person asks for it."""
_STAGES = {
    "queued": "Waiting for its turn: models are loaded one at a time", "cancelling": "Stopping", "starting": "Starting", "wait": "Another process is fetching the model", "download": "Downloading the model",
    "unpack": "Unpacking", "convert": "Converting to float32", "write": "Writing", "loading": "Loading the model",
}  # fmt: skip


def wait_for_model(name: str) -> Auditor:
    """Return the loaded model; until then, show loading progress and stop the page."""
    auditor = services.POOL.auditor(name)
    if auditor is not None:
        return auditor

    @st.fragment(run_every=POLL_S)
    def waiting() -> None:
        seen = services.POOL.look(name)
        if not seen.is_under_way or model_question.is_cancelled(name) or auth.has_changed():
            st.rerun()
        share = seen.done / seen.total if seen.total else 0.0
        where = f", {seen.detail}" if seen.stage == "queued" else f" {share:.0%}" if seen.total else ""
        bar, button = st.columns([5, 1], vertical_alignment="center")
        bar.progress(share, text=plain(f"{_STAGES.get(seen.stage, seen.stage)} …{where}"))
        button.button(
            "Cancel",
            key=f"cancel-load-{name}",
            icon=":material/stop_circle:",
            on_click=model_question.cancel,
            args=(name,),
        )

    seen = services.POOL.look(name)
    if seen.has_failed:
        st.error(f"**The model cannot be used.** {plain(seen.detail)}", icon=":material/error:")
        st.button("Try again", key="load-again", icon=":material/refresh:", on_click=model_question.press, args=(name,))
    else:
        st.markdown("The model is loading. The page continues automatically.")
        # Alone in a container: see `job_panel`.
        with st.container():
            waiting()
    st.stop()


def answer_now(auditor: Auditor, audit: str, title: str, request: Any) -> Any | None:
    """Return the result, or None after showing the refusal; a refused question is not run and logged again.

    An answer that takes more than a moment, as on a long prompt, is a job with the title.
    """
    refused = st.session_state.setdefault("refused", {})
    key = auditor.content_key(audit, request)
    if key not in refused:
        if key in st.session_state.get("jobs", {}) or not _is_quick(auditor, audit, request):
            return answer_by_job(auditor, audit, title, request, at_once=True)
        try:
            return services.answer(auditor, audit, request).result
        except AuditError as error:
            refused[key] = error
    _show_kept(refused, key)
    return None


def _is_long(request: Any) -> bool:
    return any(len(pair.clean_ids) > LONG_TOKENS for pair in request.prompts.pairs)


def _is_quick(auditor: Auditor, audit: str, request: Any) -> bool:
    """Whether it takes a moment; a request that is refused does."""
    if not _is_long(request):
        return True
    try:
        seconds = auditor.predict_s(audit, request)
        return auditor.count_work(audit, request) <= AT_ONCE_WORK if seconds is None else seconds <= AT_ONCE_S
    except AuditError:
        return True


def _show_kept(refused: dict[str, AuditError], key: str) -> None:
    """Show a stored refusal; refusals for access or a full queue are forgotten, because they can end."""
    show_refusal(refused[key])
    if isinstance(refused[key], AccessRefused | QueueFull):
        del refused[key]


def answer(auditor: Auditor, audit: str, title: str, request: Any, *, at_once: bool) -> Any | None:
    """Answer at once, or offer a button that starts a job."""
    if at_once:
        return answer_now(auditor, audit, title, request)
    return answer_by_job(auditor, audit, title, request, at_once=False)


def answer_by_job(
    auditor: Auditor,
    audit: str,
    title: str,
    request: Any,
    *,
    at_once: bool,
    show_partial: Callable[[Any], None] | None = None,
    place: str = "",
    can_freeze: bool = False,
) -> Any | None:
    """Return the result if known; else start a job, at once or by a button with the predicted time.

    Args:
        at_once: whether a job starts by itself, if it is short, or predicted to take at most `UNASKED_S`.
        show_partial: draws the partial result of a running job.
        place: key suffix, if the page uses an audit more than once.
        can_freeze: whether the question can be frozen under a policy before it runs.
    """
    found = services.find_answer(auditor, audit, request)
    key = f"job-{audit}{place}"
    if can_freeze:
        show_frozen(key)
    if found is not None:
        return found.result
    mine = st.session_state.setdefault("jobs", {})
    content = auditor.content_key(audit, request)
    if content not in mine and at_once and (not _is_long(request) or predict(auditor, audit, request) <= UNASKED_S):
        start(auditor, audit, title, request)
    if content not in mine:
        _offer_start(auditor, audit, title, request, key, can_freeze=can_freeze)
        return None
    snapshot = job_panel(mine[content], show_partial, place=key)
    if snapshot is None:
        del mine[content]
        st.info("That run is no longer in memory. Start it again.", icon=":material/info:")
    elif snapshot.state is JobState.DONE:
        return snapshot.result.result
    elif not snapshot.is_active:
        _show_end(snapshot.state, snapshot.error, keeps_parts=get_plugin("audits", audit).keeps_parts)
        st.button("Run again", key=f"again-{key}", icon=":material/refresh:", on_click=lambda: mine.pop(content, None))
    return None


def start(auditor: Auditor, audit: str, title: str, request: Any) -> None:
    """Queue the job; a refusal stays on the page until the request changes."""
    content = auditor.content_key(audit, request)
    refused = st.session_state.setdefault("refused", {})
    if content not in refused:
        try:
            st.session_state.setdefault("jobs", {})[content] = services.submit(auditor, audit, title, request)
        except AuditError as error:
            refused[content] = error


def _offer_start(auditor: Auditor, audit: str, title: str, request: Any, key: str, *, can_freeze: bool) -> None:
    refused = st.session_state.setdefault("refused", {})
    content = auditor.content_key(audit, request)
    try:
        label = promise(auditor, audit, title, request)
    except AuditError as error:
        # Most invalid requests are refused while their work is counted.
        refused[content] = error
    if content in refused:
        _show_kept(refused, content)
        return
    # A callback runs before the rest of the page, so a second click during drawing cannot lose the first.
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    row.button(
        label, key=f"start-{key}", icon=":material/play_arrow:", on_click=start, args=(auditor, audit, title, request)
    )
    if can_freeze:
        with row:
            offer_freeze(auditor, audit, request, key, partial(start, auditor, audit, title, request))


def start_all(auditor: Auditor, asked: Mapping[str, tuple[str, Any]], words: str = "") -> None:
    """Show a button that queues every unanswered question, with the total time.

    Args:
        asked: title → audit and request.
        words: label of the button; by default it counts the questions.
    """
    mine = st.session_state.setdefault("jobs", {})
    new = {
        title: (audit, request)
        for title, (audit, request) in asked.items()
        if auditor.content_key(audit, request) not in mine and services.find_answer(auditor, audit, request) is None
    }
    times = {title: predict(auditor, *question) for title, question in new.items()}
    new = {title: question for title, question in new.items() if times[title] >= 0}
    total = sum(seconds for seconds in times.values() if seconds > 0)
    about = f" ({_about(total)})" if total else ""
    label = f"{words or f'Run all {len(new)} open questions'}{about}"
    if new:
        st.button(label, key="start-all", icon=":material/playlist_play:", on_click=_start_each, args=(auditor, new))


def _start_each(auditor: Auditor, asked: Mapping[str, tuple[str, Any]]) -> None:
    for title, (audit, request) in asked.items():
        start(auditor, audit, title, request)


def predict(auditor: Auditor, audit: str, request: Any) -> float:
    """Predicted seconds; 0 if the pace is unknown, −1 if the request is refused, which its own panel shows."""
    try:
        return auditor.predict_s(audit, request) or 0.0
    except AuditError:
        return -1.0


def _show_end(state: JobState, error: str, *, keeps_parts: bool) -> None:
    if state is JobState.CANCELLED:
        kept = (
            "What it measured is kept: the next run goes on from there."
            if keeps_parts
            else "Its results are discarded."
        )
        st.info(f"Cancelled. {plain(kept)}", icon=":material/stop_circle:")
    else:
        st.error(plain(error), icon=":material/error:")


def promise(auditor: Auditor, audit: str, title: str, request: Any) -> str:
    """Label of a button: the title with the predicted time."""
    seconds = auditor.predict_s(audit, request)
    if seconds is None:
        return title
    return f"{title} ({_about(seconds)})"


def _about(seconds: float) -> str:
    return f"about {seconds / 60:.0f} min" if seconds > 90 else f"about {max(seconds, 1):.0f} s"


# Of all heads at once, of short prompts.
@st.cache_data(max_entries=8, show_spinner=False)
def _pattern(
    _auditor: Auditor, model: str, _pair: TokenPair, ids: tuple[int, ...], _intervention: Intervention, key: str,
    _reference: TokenisedPrompts, reference_key: str,
) -> np.ndarray:  # fmt: skip
    return services.POOL.answer(lambda: _auditor.draw_patterns(_pair, _intervention, _reference))


# Of one head, of prompts for which patterns of all heads are too large to keep.
@st.cache_data(max_entries=8, show_spinner=False)
def _pattern_of(
    _auditor: Auditor, about: str, _pair: TokenPair, _intervention: Intervention, _reference: TokenisedPrompts, _head: Component
) -> np.ndarray:  # fmt: skip
    return services.POOL.answer(lambda: _auditor.draw_pattern_of(_pair, _intervention, _reference, _head))


def read_pattern(auditor: Auditor, choice: Choice, intervention: Intervention) -> np.ndarray | None:
    """Attention pattern of the head in focus on the drawn prompt under an intervention; shape (query, key)."""
    pair, reference = choice.shown.pairs[0], choice.reference
    ids = (*pair.clean_ids, -1, *pair.corrupted_ids)
    reference_key = f"{reference.sha256} {[p.prompt.id for p in reference.pairs]}"
    asked = AttentionRequest(choice.shown, choice.source)
    about = f"{auditor.subject.identity.short} {ids} {intervention} {reference_key} {choice.head}"
    if not _is_quick(auditor, "attention", asked):
        seconds = auditor.predict_s("attention", asked)
        return _read_pattern_by_job(auditor, choice, intervention, hashlib.sha256(about.encode()).hexdigest(), seconds)
    try:
        if _is_long(asked):
            return _pattern_of(auditor, about, pair, intervention, reference, choice.head)
        found = _pattern(
            auditor,
            auditor.subject.identity.short,
            pair,
            ids,
            intervention,
            str(intervention),
            reference,
            reference_key,
        )
    except AuditError as error:
        show_refusal(error)
        return None
    return found[choice.head.layer, choice.head.index]


def _read_pattern_by_job(
    auditor: Auditor, choice: Choice, intervention: Intervention, key: str, seconds: float | None
) -> np.ndarray | None:
    """The pattern of a long prompt: of the head in focus alone, because patterns of all heads do not fit."""
    head, pair, reference = choice.head, choice.shown.pairs[0], choice.reference
    mine, refused = st.session_state.setdefault("jobs", {}), st.session_state.setdefault("refused", {})

    def work(_report: Any) -> np.ndarray:
        return auditor.draw_pattern_of(pair, intervention, reference, head)

    if key not in mine and key not in refused:
        try:
            title = f"Read the attention pattern of {head}{' under intervention' if intervention.edits else ''}"
            mine[key] = services.submit_work(f"{title} {key}", title, work, predicted_s=seconds)
        except AuditError as error:
            refused[key] = error
    if key in refused:
        _show_kept(refused, key)
        return None
    snapshot = job_panel(mine[key], place="pattern")
    if snapshot is None or snapshot.state is JobState.CANCELLED:
        st.button(
            "Read the pattern", key=f"again-{key}", icon=":material/refresh:", on_click=lambda: mine.pop(key, None)
        )
        return None
    if snapshot.state is JobState.DONE:
        return np.asarray(snapshot.result)
    if not snapshot.is_active:
        st.error(plain(snapshot.error), icon=":material/error:")
    return None
