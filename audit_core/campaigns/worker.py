"""What a worker does: answer the questions of a task, from subject and request alone, and store each answer."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from audit_core.campaigns.folder import CampaignFolder, Spent, read_now
from audit_core.campaigns.question import Question, make_cell, open_auditor
from audit_core.engine import use_cores
from audit_core.errors import AuditError, Cancelled
from audit_core.run import Ending, name_failure
from audit_core.subject import Progress

MAX_ATTEMPTS = 3
"""Times that a question may take its process with it: the first, and two more in case the machine was at fault."""
PROCESS_DIED = "process_died"
OTHER_KEY = "other_content_key"
_POLL_S = 0.5


@dataclass(frozen=True)
class Task:
    """Questions of one model, answered by one worker in turn."""

    home: str
    """Data directory, under the same path on every machine."""
    campaign_id: str
    questions: tuple[Question, ...]
    threads: int
    """Cores."""


Answer = Callable[[Question, Path, Progress], Ending]


def answer_question(question: Question, home: Path, on_progress: Progress) -> Ending:
    """The ending of one question; the log is neither read nor written.

    Raises:
        Cancelled: a person stopped the campaign.
    """
    try:
        auditor = open_auditor(question.model, home)
        request = make_cell(question).make_request(auditor, home, part=question.part, parts=question.parts)
    except AuditError as error:
        return name_failure(error)
    if auditor.content_key(question.audit, request) != question.key:
        # Another version, model or prompt set than was planned: its result must not be stored under this key.
        return Ending(
            "failed", OTHER_KEY, "model, prompts or package versions of the worker are not those of the plan; install the "
            "same versions on every machine, or plan the campaign again",
        )  # fmt: skip
    return auditor.conclude(question.audit, request, on_progress=on_progress)


def execute_task(task: Task, *, answer: Answer = answer_question) -> None:
    """Answer what is not answered yet; stops early, with no answer stored, once a person has cancelled."""
    folder = CampaignFolder(Path(task.home), task.campaign_id)
    use_cores(task.threads)
    for question in task.questions:
        if folder.is_stopping():
            return
        if not folder.has_ended(question.key) and not _execute(folder, question, answer):
            return


def _execute(folder: CampaignFolder, question: Question, answer: Answer) -> bool:
    """Answer one question; False if it was cancelled."""
    begun = Spent(read_now(), 0.0, 0.0, socket.gethostname())
    if folder.count_attempts().get(question.key, 0) >= MAX_ATTEMPTS:
        detail = f"its process exited {MAX_ATTEMPTS} times while it ran; see the memory of the machine"
        folder.write_ending(question.key, Ending("failed", PROCESS_DIED, detail), begun)
        return True
    # Before the first step: a process that dies can no longer say on which question.
    attempt = folder.note_attempt(question.key)
    wall, cpu = time.monotonic(), time.process_time()
    try:
        ending = answer(question, folder.home, _watch(folder))
    except Cancelled:
        folder.withdraw_attempt(attempt)
        return False
    spent = Spent(begun.started_at, time.monotonic() - wall, time.process_time() - cpu, begun.machine)
    folder.write_ending(question.key, ending, spent)
    return True


def _watch(folder: CampaignFolder) -> Progress:
    """A progress callback that raises once a person has cancelled; the disk is asked twice a second."""
    asked = time.monotonic()

    def step(done: int, total: int) -> None:
        nonlocal asked
        if time.monotonic() - asked < _POLL_S:
            return
        asked = time.monotonic()
        if folder.is_stopping():
            raise Cancelled("the campaign was cancelled")

    return step
