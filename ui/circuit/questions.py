"""The questions about a circuit in their full and quick form: known answers, predicted time, progress and cancel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from audit_core import Auditor, Role, RunOutcome, get_plugin
from audit_core.assessment import QUICK_METHOD, QUICK_PROMPTS, ask_quickly, has_quick_form
from audit_core.circuits import Search, get_check, list_checks
from audit_core.jobs import JobState
from ui.circuit.form import MAX_CONNECTED, CircuitChoice
from ui.circuit.known import ROLES, Known, KnownAnswers
from ui.flow import answers, services
from ui.flow.job_panel import job_strip
from ui.parts.header import plain
from ui.parts.refusal import show_refusal


@dataclass(frozen=True)
class Question:
    """One question in its two forms."""

    key: str
    """Role of a verdict, else the audit's name."""
    audit: str
    title: str
    full: Any
    quick: Any | None
    """None if it has no quick form, as no verdict has."""

    @property
    def forms(self) -> tuple[tuple[bool, Any], ...]:
        """Is it quick → request; the full form first."""
        return ((False, self.full), *(((True, self.quick),) if self.quick is not None else ()))


def list_questions(auditor: Auditor, choice: CircuitChoice) -> tuple[Question, ...]:
    """All questions about the chosen circuit, those of the first screen first."""
    assessment, found = choice.assessment, []
    method = assessment.method if auditor.subject.fallback else QUICK_METHOD
    is_quick_shorter = has_quick_form(assessment)
    checks = list_checks()
    drawn, weighed = (
        [check.name for check in checks if check.is_weighed is is_weighed] for is_weighed in (False, True)
    )
    for key in (*drawn, *ROLES, *weighed):
        if key == "paths" and not 2 <= len(choice.components) <= MAX_CONNECTED:
            continue
        audit = "claim_test" if key in ROLES else key
        quick = None
        if is_quick_shorter and key not in ROLES and get_check(key).has_quick_form:
            quick = ask_quickly(assessment, key, method=method)
        found.append(Question(key, audit, _name(key), _ask(choice, key), quick))
    return tuple(found)


def _ask(choice: CircuitChoice, key: str) -> Any:
    return choice.assessment.ask_verdict(Role(key)) if key in ROLES else choice.assessment.ask(key)


def _name(key: str) -> str:
    return f"Is it {key}?" if key in ROLES else str(get_plugin("audits", key).question)


def find_known(auditor: Auditor, questions: Sequence[Question]) -> KnownAnswers:
    """Live answers: of this page's runs, and of equal runs in the log."""
    found: dict[str, Known] = {}
    for question in questions:
        for is_quick, request in question.forms:
            answer = services.find_answer(auditor, question.audit, request) or _find_done(auditor, question, request)
            if answer is not None:
                found[question.key] = Known(answer.result, len(request.prompts), is_quick)
                break
    return KnownAnswers(found)


def _find_done(auditor: Auditor, question: Question, request: Any) -> RunOutcome[Any] | None:
    """The outcome of this page's own job, if it is done."""
    job = st.session_state.get("jobs", {}).get(auditor.content_key(question.audit, request))
    snapshot = services.jobs().get(job, owner=services.current_actor().session)
    return snapshot.result if snapshot is not None and snapshot.state is JobState.DONE else None


def offer_all(auditor: Auditor, questions: Sequence[Question], known: KnownAnswers) -> None:
    """Show the two buttons that ask everything that is not known, the progress of what runs, and its end."""
    mine = st.session_state.setdefault("jobs", {})
    requests = {
        f"{question.title}{' (quick)' if is_quick else ''}": (question.audit, request)
        for question in questions
        for is_quick, request in question.forms
    }
    jobs = {
        title: mine[content] for title, asked in requests.items() if (content := auditor.content_key(*asked)) in mine
    }
    if job_strip(jobs, key="circuit"):
        return
    if any(
        known.find(question.key) is None and _find_done(auditor, question, request) is not None
        for question in questions
        for _, request in question.forms
    ):
        # It ended after the answers were read, and no strip is left that would notice it.
        st.rerun()
    quick = [(q.audit, q.title, q.quick) for q in questions if q.quick is not None and known.find(q.key) is None]
    full = [(q.audit, q.title, q.full) for q in questions if known.find(q.key, is_quick=False) is None]
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if quick:
            words = f"Answer {len(quick)} questions quickly, {QUICK_PROMPTS} prompts{_predict(auditor, quick)}"
            st.button(words, key="start-quick", icon=":material/bolt:", on_click=_start, args=(auditor, quick))
        if full:
            words = f"Answer {len(full)} in full, {len(full[0][2].prompts)} prompts{_predict(auditor, full)}"
            st.button(words, key="start-all", icon=":material/playlist_play:", on_click=_start, args=(auditor, full))
        if _was_cancelled(jobs):
            st.markdown(":material/stop_circle: Cancelled. Its results are discarded.")


def show_question(auditor: Auditor, question: Question, known: KnownAnswers) -> Known | None:
    """Show badges and the buttons of what is not known yet; returns the answer to draw, or None."""
    found = known.find(question.key)
    if found is not None:
        found.show_badges()
    if found is not None and not found.is_quick:
        return found
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for is_quick, request in question.forms:
            if not (is_quick and found is not None):
                _offer(auditor, question, request, is_quick=is_quick)
    return found


def _offer(auditor: Auditor, question: Question, request: Any, *, is_quick: bool) -> None:
    mine, content = st.session_state.setdefault("jobs", {}), auditor.content_key(question.audit, request)
    snapshot = services.jobs().get(mine.get(content), owner=services.current_actor().session)
    if snapshot is not None and snapshot.is_active:
        st.markdown("Running. Its progress is shown above.")
        return
    refused = st.session_state.setdefault("refused", {})
    if content in refused:
        show_refusal(refused[content])
        return
    if snapshot is not None and snapshot.state is JobState.FAILED:
        st.error(plain(snapshot.error), icon=":material/error:")
    asked = [(question.audit, question.title, request)]
    words = f"{'Quick' if is_quick else 'Full'} form: {len(request.prompts)} prompts{_predict(auditor, asked)}"
    st.button(
        words, key=f"start-{question.key}-{'quick' if is_quick else 'full'}", on_click=_start, args=(auditor, asked),
        icon=":material/bolt:" if is_quick else ":material/play_arrow:",
    )  # fmt: skip


def _predict(auditor: Auditor, asked: Sequence[tuple[str, str, Any]]) -> str:
    """Predicted time in words; empty before this machine was timed."""
    times = [(audit, max(0.0, answers.predict(auditor, audit, request))) for audit, _, request in asked]
    # Checks share one search, which is all that some consist of: it is counted once.
    kinds = {check.name: check.search for check in list_checks()}
    search = sum(seconds for audit, seconds in times if kinds.get(audit) is Search.ALONE)
    seconds = sum(seconds for _, seconds in times) - search * sum(
        kinds.get(audit) is Search.FIRST for audit, _ in times
    )
    if seconds <= 0:
        return ""
    return f" (about {seconds / 60:.0f} min)" if seconds > 90 else f" (about {max(seconds, 1):.0f} s)"


def _start(auditor: Auditor, asked: Sequence[tuple[str, str, Any]]) -> None:
    for audit, title, request in asked:
        answers.start(auditor, audit, title, request)


def _was_cancelled(jobs: Mapping[str, str]) -> bool:
    owner = services.current_actor().session
    seen = [services.jobs().get(job, owner=owner) for job in jobs.values()]
    return any(one is not None and one.state is JobState.CANCELLED for one in seen)
