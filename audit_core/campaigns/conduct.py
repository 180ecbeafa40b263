"""Run a campaign: hand its tasks to an engine, and record each answer in the run log, once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

from audit_core.campaigns.engines import Engine
from audit_core.campaigns.folder import CampaignFolder, Spent, read_now
from audit_core.campaigns.question import Question
from audit_core.campaigns.worker import Task, execute_task
from audit_core.run import Actor, Ending, end_run
from audit_core.store import RunLog, RunStart

ENGINE_FAILED = "worker_lost"
CANCELLED = "cancelled"
Execute = Callable[[Task], None]


def run_campaign(
    folder: CampaignFolder,
    engine: Engine,
    *,
    actor: Actor,
    on_ended: Callable[[Question, Ending], None] | None = None,
    execute: Execute = execute_task,
) -> None:
    """Answer what is not answered yet, and record every answer in the log of the folder's data directory.

    This process alone writes to the log. Killed at any moment and run again, it computes no answer twice and records each once.

    Args:
        on_ended: called after each recorded answer.
        execute: what workers run; another function only in tests.

    Raises:
        Refused: another process runs it, or the engine cannot be reached.
        StoreRefused: log or folder cannot be written.
    """
    with folder.hold():
        folder.clear_stop()
        recorder = _Recorder(folder, actor, on_ended)
        recorder.catch_up()
        if engine.outlives_workers:
            # An earlier process was ended with all its workers, as at the time limit of a job: no question is at fault.
            folder.forget_attempts()
        todo = recorder.list_unanswered()
        while todo and not folder.is_stopping():
            before = _count_progress(folder)
            failures: dict[int, str] = {}
            tasks = [Task(str(folder.home), folder.campaign_id, group, recorder.plan.threads) for group in todo]
            for ended in engine.run(tasks, execute, on_submit=recorder.begin, is_stopping=folder.is_stopping):
                recorder.record(ended.task.questions)
                failures |= {question.number: ended.failure for question in ended.task.questions if ended.failure}
            if not folder.is_stopping() and _count_progress(folder) == before:
                # No worker so much as began a question, so no question is at fault, and asking again would not end.
                recorder.give_up(failures)
            todo = recorder.list_unanswered()
        if (stop := folder.find_stop()) is not None:
            recorder.cancel(f"cancelled by {stop.by}")


def retry_failed(folder: CampaignFolder) -> int:
    """Forget answers that are failures, so that the next run asks these questions again; returns how many.

    The log keeps the failed runs; the new ones are further runs.
    """
    with folder.hold():
        ended = folder.list_ended()
        keys = [question.key for question in folder.read_plan().questions if question.key in ended]
        failed = [key for key in keys if folder.read_ending(key).outcome == "failed"]
        for key in failed:
            folder.forget(key)
        return len(failed)


def name_run(campaign_id: str, key: str, number: int) -> str:
    """Id of a question's run, the same whenever it is asked, so that the log can tell whether it has it."""
    return hashlib.sha256(f"{campaign_id} {key} {number}".encode()).hexdigest()[:32]


def _count_progress(folder: CampaignFolder) -> tuple[int, int]:
    return len(folder.list_ended()), sum(folder.count_attempts().values())


class _Recorder:
    """The one writer of the log for a campaign."""

    def __init__(
        self, folder: CampaignFolder, actor: Actor, on_ended: Callable[[Question, Ending], None] | None
    ) -> None:
        self.folder, self.plan = folder, folder.read_plan()
        self._actor, self._on_ended = actor, on_ended
        self._log = RunLog(folder.home)
        self._starts = {key: rows[-1] for key, rows in folder.read_starts().items()}
        self._numbers = {key: len(rows) for key, rows in folder.read_starts().items()}
        self._outcomes = self._log.find_outcomes([start.run_id for start in self._starts.values()])

    def catch_up(self) -> None:
        """Record what workers answered after the last process that recorded was killed, and reuse what the log has."""
        for question in self.plan.questions:
            if question.refused[0] and question.key not in self.folder.list_ended():
                self.folder.write_ending(question.key, Ending("refused", *question.refused), _spend_nothing())
        ended = self.folder.list_ended()
        for question in self.plan.questions:
            if question.key not in ended and question.key not in self._starts:
                self._reuse(question)
        self.record(self.plan.questions)

    def list_unanswered(self) -> list[tuple[Question, ...]]:
        """Questions without an answer, in the plan's tasks."""
        ended, questions = self.folder.list_ended(), {one.number: one for one in self.plan.questions}
        groups = [
            [questions[number] for number in task if questions[number].key not in ended] for task in self.plan.tasks
        ]
        return [tuple(group) for group in groups if group]

    def begin(self, task: Task) -> None:
        """Log the start of each question of a task before a worker can have its answer."""
        for question in task.questions:
            self._begin(question)

    def record(self, questions: tuple[Question, ...]) -> None:
        """Log the end of each of these questions that has an answer and no end in the log."""
        ended = self.folder.list_ended()
        for question in questions:
            if question.key in ended and not self._has_end(question):
                ending, spent = self.folder.read_ending(question.key), self.folder.read_spent(question.key)
                if not spent.is_reused:
                    start = self._begin(question, is_refused=bool(question.refused[0]))
                    self._end(question, start, ending, spent)
                if self._on_ended is not None:
                    self._on_ended(question, ending)

    def give_up(self, failures: dict[int, str]) -> None:
        """Store a failure for the questions of tasks that no worker could begin."""
        for question in (one for group in self.list_unanswered() for one in group):
            detail = failures.get(question.number, "its worker ended without an answer")
            self.folder.write_ending(question.key, Ending("failed", ENGINE_FAILED, detail), _spend_nothing())
        self.record(self.plan.questions)

    def cancel(self, detail: str) -> None:
        """Log the end of runs that began and that a person cancelled."""
        self.record(self.plan.questions)
        for question in self.plan.questions:
            start = self._starts.get(question.key)
            if start is not None and self._outcomes.get(start.run_id) == "":
                self._end(question, start, Ending(CANCELLED, CANCELLED, detail), _spend_nothing())

    def _reuse(self, question: Question) -> None:
        # The log is asked for the result itself, so that the folder has every answer of the campaign.
        text = self._log.find_result_text(question.key)
        if text is not None:
            self.folder.write_ending(question.key, Ending("done", text=text), replace(_spend_nothing(), is_reused=True))

    def _has_end(self, question: Question) -> bool:
        start = self._starts.get(question.key)
        if start is None:
            return False
        outcome = self._outcomes.get(start.run_id, "")
        is_over = bool(outcome) and outcome != CANCELLED
        # A failure that was forgotten and asked again, and a cancelled run, are followed by another run.
        return (
            is_over
            and question.key in self.folder.list_ended()
            and outcome == self.folder.read_ending(question.key).outcome
        )

    def _begin(self, question: Question, *, is_refused: bool = False) -> RunStart:
        start = self._starts.get(question.key)
        if start is None or self._outcomes.get(start.run_id, ""):
            number = self._numbers.get(question.key, 0) + 1
            run_id = name_run(self.folder.campaign_id, question.key, number)
            session = f"campaign {self.folder.campaign_id}"
            start = replace(
                question.start, run_id=run_id, started_at=read_now(), actor=self._actor.name, session=session
            )
            self.folder.write_start(question.key, number, start)
            self._starts[question.key], self._numbers[question.key] = start, number
        if start.run_id not in self._outcomes and not is_refused:
            self._log.start(start)
            self._outcomes[start.run_id] = ""
        return start

    def _end(self, question: Question, start: RunStart, ending: Ending, spent: Spent) -> None:
        has_cpu = ending.outcome != CANCELLED and not question.refused[0]
        self._log.append(end_run(start, ending, spent.wall_s), cpu_s=spent.cpu_s if has_cpu else None)
        self._outcomes[start.run_id] = ending.outcome


def _spend_nothing() -> Spent:
    return Spent(read_now(), 0.0, 0.0, "")
