"""Services shared by all pages: model pool, jobs, run log, current user, and cached results."""

from __future__ import annotations

import uuid
from collections import OrderedDict
from collections.abc import Callable
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
from ui.parts.sample_mark import find_shown
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
    """Results by content key; shared by sessions, because equal requests give equal numbers and results contain no text."""
    return OrderedDict()


def person() -> Person:
    """The signed-in user.

    Raises:
        AccessRefused: no user is signed in, or the user cannot be identified.
    """
    found = auth.who()
    if found is None:
        raise AccessRefused("No user is signed in.", wanted="a signed-in user.", remedy="sign in.", why="not_signed_in")
    return found


def name_author(author: Person, typed: str) -> str:
    """Name that a record keeps of its author: with sign-in the person's id, else what was typed."""
    return (typed.strip() or author.id) if author.is_local else author.id


def current_actor() -> Actor:
    """The current actor, and the session that owns their runs: the person's with sign-in, else the browser's."""
    known = person()
    if not known.is_local:
        return Actor(known.id, auth.name_owner(known))
    if "session" not in st.session_state:
        st.session_state.session = browser_key() or uuid.uuid4().hex
    return Actor(known.id, st.session_state.session)


def authorize(permission: Permission, about: str, *, max_age_s: float | None = None) -> Person:
    """Check a permission of the signed-in user; every action that writes calls this, because hiding a button is no protection.

    Args:
        about: id of the object of the action.
        max_age_s: maximum age of the sign-in in seconds.

    Raises:
        AccessRefused: the user lacks the permission; the refusal is logged.
    """
    return PersonLog(audit_home()).authorize(person(), permission, about=about, max_age_s=max_age_s)


def open_model(name: str, *, is_asked: bool) -> None:
    """Start loading a model for the signed-in user.

    Args:
        is_asked: whether the user pressed a button for it; opening a page sends no request to the hub.

    Raises:
        AccessRefused: the user may not run audits.
        QueueFull: too many models are queued.
    """
    if is_asked:
        authorize(Permission.RUN, f"model {name}")
    if not POOL.look(name).has_failed:
        POOL.open(name, owner=current_actor().session, access=PAGE if is_asked else LINK)
    elif is_asked:
        POOL.retry(name, owner=current_actor().session, access=PAGE)


def cancel_model(name: str) -> None:
    """Cancel the current user's request for a model."""
    if (who := find_active_actor()) is not None:
        POOL.cancel(name, owner=who.session)


def cancel_job(job: str) -> None:
    """Cancel a run of the current user; no effect if they are signed out."""
    if (who := find_active_actor()) is not None:
        jobs().cancel(job, owner=who.session)


def find_active_actor() -> Actor | None:
    """The current actor, or None if signed out; for page fragments, which run without the page's own access check."""
    refusal = PersonLog(audit_home()).find_refusal(auth.who(), Permission.LOOK)
    return None if refusal is not None else current_actor()


def read_multiplicity_ledger(auditor: Auditor) -> Ledger:
    """Counts of all tests on this model in the run log."""
    return read_multiplicity_ledger_of(auditor.subject.identity.short)


def read_multiplicity_ledger_of(model_digest: str) -> Ledger:
    """Counts of all tests on a model by digest, without loading it."""
    # A claim of the sample is counted among the runs of the sample.
    return read_ledger(RunLog(find_shown() or audit_home()).export(), model_digest)


def find_answer(auditor: Auditor, audit: str, request: Any) -> RunOutcome[Any] | None:
    """Find the result of an equal run in memory or in the log, without a new run."""
    key = auditor.content_key(audit, request)
    found = _answers().get(key) or auditor.find_earlier(audit, request)
    if found is not None:
        _keep(key, found)
    return found


def answer(auditor: Auditor, audit: str, request: Any) -> RunOutcome[Any]:
    """Return the known result, or run the audit at once; only for audits that take under a second.

    Raises:
        AccessRefused: there is no known result, and the user may not run audits.
    """
    found = find_answer(auditor, audit, request)
    if found is None:
        authorize(Permission.RUN, audit)
        who = current_actor()
        found = POOL.answer(lambda: auditor.run(audit, request, actor=who))
        _keep(auditor.content_key(audit, request), found)
    return found


def submit(auditor: Auditor, audit: str, title: str, request: Any) -> str:
    """Run an audit in the background; returns the job's id.

    Raises:
        AccessRefused: the user may not run audits.
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


def submit_work(about: str, title: str, work: Callable[[Report], Any], *, predicted_s: float | None) -> str:
    """Do work that is no audit in the background; returns the job's id.

    Args:
        about: what it makes: equal work of one person is done once.

    Raises:
        AccessRefused: the user may not run audits.
    """
    authorize(Permission.RUN, about)
    who = current_actor()

    def start(report: Report) -> Any:
        use_all_cores()
        return work(report)

    return jobs().submit(f"{who.session} {about} {title}", title, start, owner=who.session, predicted_s=predicted_s)


@st.cache_resource(max_entries=16, show_spinner=False)
def _tokenised(_auditor: Auditor, model: str, _prompts: PromptSet, sha256: str) -> TokenisedPrompts:
    return tokenise(_prompts, _auditor.subject.tokenizer)


def tokenised(auditor: Auditor, prompts: PromptSet) -> TokenisedPrompts:
    """Tokenise and align the set, cached.

    Raises:
        PromptRefused: rows that do not align.
    """
    return _tokenised(auditor, f"{auditor.subject.identity.short} {prompts.name}", prompts, prompts.sha256)


@st.cache_resource(max_entries=16, show_spinner=False)
def _rendered(_auditor: Auditor, model: str, _prompts: PromptSet, sha256: str) -> PromptSet:
    return render_chat(_prompts, _auditor.subject.tokenizer)


def rendered(auditor: Auditor, prompts: PromptSet) -> PromptSet:
    """Render the set in the model's chat template, cached.

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
    "submit_work",
    "tokenised",
]
