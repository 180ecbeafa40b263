"""What a campaign has done: progress, cost predicted and spent, and failures with their reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from audit_core.campaigns.folder import CampaignFolder, Plan
from audit_core.campaigns.question import Question


class QuestionState(StrEnum):
    """State of one question of a campaign."""

    WAITING = "waiting"
    BEGUN = "begun"
    """A worker began it, and it has no answer yet."""
    DONE = "done"
    REUSED = "reused"
    """The run log had its result before the campaign, so nothing was computed."""
    NOT_MEASURED = "not_measured"
    REFUSED = "refused"
    FAILED = "failed"


ANSWERED = frozenset(QuestionState) - {QuestionState.WAITING, QuestionState.BEGUN}
WITHOUT_RESULT = (QuestionState.FAILED, QuestionState.REFUSED, QuestionState.NOT_MEASURED)


@dataclass(frozen=True)
class QuestionLine:
    """One question, without its result."""

    number: int
    model: str
    prompts: str
    audit: str
    options: str
    """Its answers, as options of the command `audit`."""
    half: str
    part: str
    """Such as 2/3, if the prompts are asked in parts; else empty."""
    n_prompts: int
    state: QuestionState
    reason: str
    """Machine-readable code of a state without a result; else empty."""
    detail: str
    predicted_s: float | None
    """Seconds; None without a prediction."""
    spent_s: float | None
    """Wall seconds; None before the answer, and where nothing was computed."""
    cpu_s: float | None
    machine: str


@dataclass(frozen=True)
class CostLine:
    """Cost of the questions of one audit with one model."""

    model: str
    audit: str
    n: int
    n_answered: int
    predicted_s: float | None
    """Seconds of all its questions; None if one has no prediction."""
    predicted_of_computed_s: float | None
    """Seconds predicted for those that were computed, to compare with `spent_s`; None if one has no prediction."""
    spent_s: float
    """Wall seconds, added over workers."""


@dataclass(frozen=True)
class CampaignStatus:
    """A campaign at one moment."""

    campaign_id: str
    name: str
    made_at: str
    """When it was planned; ISO 8601, UTC."""
    is_running: bool
    """Whether a process of this machine runs it."""
    stopped_by: str
    """Who asked to cancel it, if it was not run since; else empty."""
    threads: int
    n_tasks: int
    lines: tuple[QuestionLine, ...]

    @property
    def counts(self) -> Mapping[QuestionState, int]:
        """Questions in each state."""
        found = Counter(line.state for line in self.lines)
        return {state: found[state] for state in QuestionState}

    @property
    def n_answered(self) -> int:
        """Questions that have ended: with a result, refused or failed."""
        return sum(line.state in ANSWERED for line in self.lines)

    @property
    def failures(self) -> tuple[QuestionLine, ...]:
        """Questions that have an answer and no result, the failures first."""
        return tuple(line for state in WITHOUT_RESULT for line in self.lines if line.state is state)

    @property
    def remaining_s(self) -> float | None:
        """Predicted seconds of the questions without an answer, on one worker; None if one has no prediction."""
        return add_seconds([line.predicted_s for line in self.lines if line.state not in ANSWERED])

    @property
    def spent_s(self) -> float:
        """Wall seconds of all answers, added over workers."""
        return sum(line.spent_s or 0.0 for line in self.lines)

    @property
    def costs(self) -> tuple[CostLine, ...]:
        """Cost by model and audit, in the order of the plan."""
        groups: dict[tuple[str, str], list[QuestionLine]] = {}
        for line in self.lines:
            groups.setdefault((line.model, line.audit), []).append(line)
        return tuple(_add_cost(model, audit, rows) for (model, audit), rows in groups.items())


def read_status(home: Path, campaign_id: str) -> CampaignStatus:
    """The state of a campaign; its log and its results are not opened.

    Raises:
        IntegrityError: a file cannot be read.
    """
    folder = CampaignFolder(home, campaign_id)
    plan, stop, is_running = folder.read_plan(), folder.find_stop(), folder.is_held()
    attempts = folder.count_attempts()
    lines = tuple(_describe(folder, question, attempts.get(question.key, 0)) for question in plan.questions)
    return CampaignStatus(
        campaign_id, plan.name, plan.made_at, is_running, "" if stop is None else stop.by, plan.threads, len(plan.tasks), lines
    )  # fmt: skip


def describe_plan(plan: Plan) -> tuple[tuple[int, str, int, float | None], ...]:
    """Each task: number, model, questions, and predicted seconds."""
    known = {question.number: question for question in plan.questions}
    return tuple(
        (at, known[task[0]].model, len(task), add_seconds([known[number].predicted_s for number in task]))
        for at, task in enumerate(plan.tasks, 1)
    )


def add_seconds(each: list[float | None]) -> float | None:
    """The sum; None if one is not known."""
    known = [one for one in each if one is not None]
    return sum(known) if len(known) == len(each) else None


def _describe(folder: CampaignFolder, question: Question, attempts: int) -> QuestionLine:
    state, reason, detail = QuestionState.BEGUN if attempts else QuestionState.WAITING, "", ""
    spent_s = cpu_s = None
    machine = ""
    if question.refused[0]:
        state, reason, detail = QuestionState.REFUSED, *question.refused
    elif folder.has_ended(question.key):
        outcome, spent = folder.read_outcome(question.key), folder.read_spent(question.key)
        state = QuestionState.REUSED if spent.is_reused else QuestionState(outcome.outcome)
        reason, detail = outcome.reason, outcome.detail
        if not spent.is_reused and spent.machine:
            spent_s, cpu_s, machine = spent.wall_s, spent.cpu_s, spent.machine
    part = f"{question.part}/{question.parts}" if question.parts > 1 else ""
    return QuestionLine(
        question.number, Path(question.model).name, question.source.label, question.audit, question.options, question.half, part,
        question.n_prompts, state, reason, detail, question.predicted_s, spent_s, cpu_s, machine,
    )  # fmt: skip


def _add_cost(model: str, audit: str, rows: list[QuestionLine]) -> CostLine:
    computed = [row for row in rows if row.spent_s is not None]
    return CostLine(
        model, audit, len(rows), sum(row.state in ANSWERED for row in rows), add_seconds([row.predicted_s for row in rows]),
        add_seconds([row.predicted_s for row in computed]), sum(row.spent_s or 0.0 for row in computed),
    )  # fmt: skip
