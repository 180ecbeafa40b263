"""Plan a campaign: open each model, predict what each question costs, and cut the questions into tasks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from audit_core.campaigns.campaign_file import AuditAsked, CampaignFile
from audit_core.campaigns.folder import SCHEMA, CampaignFolder, Plan, divide_tasks, read_now
from audit_core.campaigns.question import Cell, Question, Source, find_source, open_auditor
from audit_core.errors import AuditError, Refused
from audit_core.run import Actor, Auditor
from audit_core.store import RunStart
from audit_core.store.prompt_split import read_split_salt

LEAST_S, MOST_S = 10.0, 60.0
"""Predicted seconds of a task: scheduling costs more than shorter ones, and longer ones lose more when a worker dies."""
_NO_ACTOR = Actor("", "")


@dataclass(frozen=True)
class _Place:
    """What every question of a campaign shares."""

    file: CampaignFile
    home: Path
    salt: str


def plan_campaign(file: CampaignFile, home: Path, *, on_model: Callable[[str], None] | None = None) -> CampaignFolder:
    """Write the plan of a campaign, or find the one that was written for an equal file; nothing is measured.

    Args:
        on_model: called with the name of each model before it is opened.

    Raises:
        Refused: no question of the file can be asked.
        StoreRefused: the plan cannot be written.
    """
    sources = tuple(find_source(label, file.folder, home) for label in file.prompts)
    models = tuple(
        str((file.folder / name).resolve()) if (file.folder / name).is_dir() else name for name in file.models
    )
    folder = CampaignFolder(home, _name_campaign(file, models, sources))
    if (folder.path / "plan.json").exists():
        return folder
    place = _Place(file, home, read_split_salt(home))
    found: list[Question] = []
    for model in models:
        if on_model is not None:
            on_model(model)
        found.extend(_plan_model(place, model, sources))
    questions = tuple(replace(question, number=at) for at, question in enumerate(_drop_equal(found), 1))
    if all(question.refused[0] for question in questions):
        raise Refused(
            f"None of {len(questions)} questions can be asked. The first: {questions[0].refused[1]}",
            wanted="models that can answer the audits on these prompts.", remedy="change the campaign's file.",
        )  # fmt: skip
    open_to = [question for question in questions if not question.refused[0]]
    tasks = divide_tasks(open_to, LEAST_S, MOST_S)
    folder.write_plan(Plan(SCHEMA, folder.campaign_id, file.name, read_now(), file.threads, questions, tasks))
    return folder


def _name_campaign(file: CampaignFile, models: tuple[str, ...], sources: tuple[Source, ...]) -> str:
    """An id from everything that the file asks, so that an equal file finds the campaign that it began."""
    asked = [
        SCHEMA, models, [[one.label, one.kept] for one in sources], [[a.audit, a.half, a.answers] for a in file.audits], file.seed,
        file.threads, file.prompts_per_run, file.is_chat,
    ]  # fmt: skip
    return f"{file.name}-{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]}"


def _plan_model(place: _Place, model: str, sources: tuple[Source, ...]) -> Iterator[Question]:
    cells = [(source, asked) for source in sources for asked in place.file.audits]
    try:
        auditor = open_auditor(model, place.home)
        if not auditor.is_calibrated:
            auditor.calibrate()
    except AuditError as error:
        yield from (_refuse(_make_cell(place, model, source, asked), error) for source, asked in cells)
        return
    for source, asked in cells:
        yield from _plan_cell(place, auditor, _make_cell(place, model, source, asked))


def _make_cell(place: _Place, model: str, source: Source, asked: AuditAsked) -> Cell:
    file = place.file
    return Cell(model, source, asked.audit, dict(asked.answers), asked.half, file.seed, file.is_chat, place.salt)


def _plan_cell(place: _Place, auditor: Auditor, cell: Cell) -> Iterator[Question]:
    try:
        most, parts = place.file.prompts_per_run, 1
        if most:
            parts = -(-len(cell.tokenise(auditor, place.home)[0]) // most)
        for part in range(1, parts + 1):
            request = cell.make_request(auditor, place.home, part=part, parts=parts)
            start = auditor.describe_start(cell.audit, request, _NO_ACTOR)
            work, predicted = auditor.count_work(cell.audit, request), auditor.predict_s(cell.audit, request)
            yield _make_question(cell, part, parts, start, len(request.prompts), work, predicted)
    except AuditError as error:
        yield _refuse(cell, error)


def _make_question(
    cell: Cell, part: int, parts: int, start: RunStart, n_prompts: int, work: int, predicted_s: float | None
) -> Question:
    return Question(
        0, cell.model, cell.source, cell.audit, tuple(cell.answers.items()), cell.half, part, parts, cell.seed, cell.is_chat,
        cell.salt, start.content_key, start, n_prompts, work, predicted_s,
    )  # fmt: skip


def _refuse(cell: Cell, error: AuditError) -> Question:
    asked = {"model": cell.model, "prompts": cell.source.label, "half": cell.half, "answers": dict(cell.answers)}
    text = json.dumps([cell.audit, cell.source.kept, cell.seed, cell.is_chat, asked])
    start = RunStart("", "", "", "", cell.audit, "", "", "", "{}", json.dumps(asked))
    question = _make_question(cell, 1, 1, start, 0, 0, None)
    key = hashlib.sha256(f"refused {text}".encode()).hexdigest()
    return replace(question, key=key, refused=(type(error).__name__, str(error)[:2000]))


def _drop_equal(questions: list[Question]) -> list[Question]:
    """Equal content keys have equal results, so the first of equal questions answers all."""
    found: dict[str, Question] = {}
    for question in questions:
        found.setdefault(question.key, question)
    return list(found.values())
