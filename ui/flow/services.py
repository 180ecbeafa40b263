"""What all pages share: the model room, the jobs, the run log, who is asking, and answers already known."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from typing import Any

import streamlit as st

from audit_core import Actor, Auditor, PromptSet, RunLog, RunOutcome, TokenisedPrompts, audit_home, tokenise
from audit_core.engine import use_all_cores
from audit_core.errors import AccessRefused
from audit_core.governance import Permission, Person
from audit_core.jobs import JobManager, Report
from audit_core.ledger import Ledger, read_ledger
from audit_core.models import LINK, PAGE
from audit_core.prompts import render_chat
from audit_core.store import PersonLog
from ui.flow.model_pool import NOT_ASKED_FOR, POOL
from ui.shell import auth
from ui.shell.browser import browser_key

_ANSWERS_KEPT = 256


@st.cache_resource(show_spinner=False, on_release=lambda manager: manager.shut_down())
def jobs() -> JobManager:
    return JobManager()


def run_log() -> RunLog:
    return RunLog(audit_home())


@st.cache_resource(show_spinner=False)
def _answers() -> OrderedDict[str, RunOutcome[Any]]:
    """Results by content key. They hold numbers only, and equal content gives equal numbers, so sessions may share them."""
    return OrderedDict()


def person() -> Person:
    """Who is asking.

    Raises:
        AccessRefused: nobody is signed in, or it cannot be known who.
    """
    found = auth.who()
    if found is None:
        raise AccessRefused("Nobody is signed in.", wanted="a person.", remedy="sign in.", why="not_signed_in")
    return found


def current_actor() -> Actor:
    """Who is asking, and whose runs are theirs: a person's, in whichever browser; without sign-in, a browser's."""
    known = person()
    if not known.is_local:
        return Actor(known.id, auth.name_owner(known))
    if "session" not in st.session_state:
        st.session_state.session = browser_key() or uuid.uuid4().hex
    return Actor(known.id, st.session_state.session)


def authorize(permission: Permission, about: str, *, max_age_s: float | None = None) -> Person:
    """Let whoever asks do it now; everything that writes begins here, as a hidden button hides nothing from a replayed one.

    Args:
        about: id of what the deed is done to.
        max_age_s: seconds within which they must have shown the provider who they are.

    Raises:
        AccessRefused: they may not; it is in the log.
    """
    return PersonLog(audit_home()).authorize(person(), permission, about=about, max_age_s=max_age_s)


def open_model(name: str, *, is_asked: bool) -> None:
    """Begin to load a model for whoever asks.

    Args:
        is_asked: whether they pressed a button for it; a page that opens by itself sends no request.

    Raises:
        AccessRefused: whoever asks may not run.
        QueueFull: too many models wait to be loaded.
    """
    if is_asked:
        authorize(Permission.RUN, f"model {name}")
    if not POOL.look(name).has_failed:
        POOL.open(name, owner=current_actor().session, access=PAGE if is_asked else LINK)
    elif is_asked:
        POOL.retry(name, owner=current_actor().session, access=PAGE)


def cancel_model(name: str) -> None:
    """Whoever asks no longer waits for a model."""
    if (who := _find_active_actor()) is not None:
        POOL.cancel(name, owner=who.session)


def cancel_job(job: str) -> None:
    """Whoever asks no longer wants a run of theirs; nothing happens if they are signed out, as the page that follows says."""
    if (who := _find_active_actor()) is not None:
        jobs().cancel(job, owner=who.session)


def _find_active_actor() -> Actor | None:
    """Who is asking, from a part of a page that runs by itself, where the log was not asked whether they are still signed in."""
    refusal = PersonLog(audit_home()).find_refusal(auth.who(), Permission.LOOK)
    return None if refusal is not None else current_actor()


def read_multiplicity_ledger(auditor: Auditor) -> Ledger:
    """How much was looked at on this model, by everyone whose runs are in the log."""
    return read_multiplicity_ledger_of(auditor.subject.identity.short)


def read_multiplicity_ledger_of(model_digest: str) -> Ledger:
    """The same of a model that need not be loaded."""
    return read_ledger(run_log().export(), model_digest)


def find_answer(auditor: Auditor, audit: str, request: Any) -> RunOutcome[Any] | None:
    """An equal run's result, from memory or from the log; nothing is run."""
    key = auditor.content_key(audit, request)
    found = _answers().get(key) or auditor.find_earlier(audit, request)
    if found is not None:
        _keep(key, found)
    return found


def answer(auditor: Auditor, audit: str, request: Any) -> RunOutcome[Any]:
    """Known result, or a run here and now: only for what takes under a second.

    Raises:
        AccessRefused: it is not known, and whoever asks may not run.
    """
    found = find_answer(auditor, audit, request)
    if found is None:
        authorize(Permission.RUN, audit)
        who = current_actor()
        found = POOL.answer(lambda: auditor.run(audit, request, actor=who))
        _keep(auditor.content_key(audit, request), found)
    return found


def submit(auditor: Auditor, audit: str, title: str, request: Any) -> str:
    """Run in the background; returns the job's id.

    Raises:
        AccessRefused: whoever asks may not run.
    """
    authorize(Permission.RUN, audit)
    who = current_actor()

    def work(report: Report) -> Any:
        use_all_cores()
        return auditor.run(audit, request, actor=who, on_progress=report, on_partial=report.show)

    return jobs().submit(
        auditor.content_key(audit, request),
        title,
        work,
        owner=who.session,
        predicted_s=auditor.predict_s(audit, request),
        on_drop=lambda: auditor.record_dropped(audit, request, actor=who),
    )


@st.cache_resource(max_entries=16, show_spinner=False)
def _tokenised(_auditor: Auditor, model: str, _prompts: PromptSet, sha256: str) -> TokenisedPrompts:
    return tokenise(_prompts, _auditor.subject.tokenizer)


def tokenised(auditor: Auditor, prompts: PromptSet) -> TokenisedPrompts:
    """The set under the model's tokenizer, aligned once.

    Raises:
        PromptRefused: rows that do not align.
    """
    return _tokenised(auditor, f"{auditor.subject.identity.short} {prompts.name}", prompts, prompts.sha256)


@st.cache_resource(max_entries=16, show_spinner=False)
def _rendered(_auditor: Auditor, model: str, _prompts: PromptSet, sha256: str) -> PromptSet:
    return render_chat(_prompts, _auditor.subject.tokenizer)


def rendered(auditor: Auditor, prompts: PromptSet) -> PromptSet:
    """The set in the model's chat template, rendered once.

    Raises:
        ModelRefused: the model has no template that can be rendered.
    """
    return _rendered(auditor, f"{auditor.subject.identity.short} {prompts.name}", prompts, prompts.sha256)


def _keep(key: str, found: RunOutcome[Any]) -> None:
    answers = _answers()
    answers[key] = found
    while len(answers) > _ANSWERS_KEPT:
        answers.popitem(last=False)


__all__ = [
    "NOT_ASKED_FOR",
    "POOL",
    "answer",
    "authorize",
    "cancel_job",
    "cancel_model",
    "current_actor",
    "find_answer",
    "jobs",
    "open_model",
    "person",
    "read_multiplicity_ledger",
    "read_multiplicity_ledger_of",
    "rendered",
    "run_log",
    "submit",
    "tokenised",
]
