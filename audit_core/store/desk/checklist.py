"""Filled checklists: every version is a new row, logged in the same transaction."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.references.procurement import (
    MAX_ABOUT,
    MAX_NAME_LETTERS,
    Answer,
    AnswerWord,
    Checklist,
    FilledChecklist,
    Question,
    complete_answers,
    parse_answers,
)
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event, list_events, read_clock

if TYPE_CHECKING:
    import duckdb

_VERSIONS = "SELECT version, body FROM checklist WHERE checklist_id = ? ORDER BY version"


@dataclass(frozen=True)
class ChecklistDraft:
    """Answers to save as the next version."""

    about: str
    answers: tuple[Answer, ...]
    checklist_id: str = ""
    """Empty for a new checklist."""
    based_on: int = 0
    """The version that the user edited."""


class Checklists:
    """Save and find filled checklists of one data directory."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def save(self, checklist: Checklist, draft: ChecklistDraft, *, by: str) -> FilledChecklist:
        """Save the next version. An unchanged answer keeps its author and time.

        Raises:
            Refused: no name, an invalid answer, an unregistered claim, no change, or a newer version was saved in
                the meantime.
        """
        _check_names(draft.about, by)
        answers = complete_answers(checklist, draft.answers)
        with open_database(self.home) as connection:
            now = read_clock()
            earlier = self._read_earlier(connection, draft)
            _check_claims(connection, answers)
            stamped = tuple(_stamp(answer, earlier, by, now) for answer in answers)
            questions = tuple(
                Question(section.title, item.id, item.question)
                for section in checklist.sections
                for item in section.items
            )
            checklist_id = draft.checklist_id or f"Q-{len(_list_ids(connection)) + 1:04d}"
            made = FilledChecklist(
                checklist_id, draft.based_on + 1, draft.about.strip(), checklist.sha256, questions, stamped, by.strip(), now
            )  # fmt: skip
            if earlier is not None and _is_same(earlier, made):
                raise Refused("No answer changed.", wanted="a changed answer.", remedy="nothing was saved.")
            connection.execute(
                "INSERT INTO checklist VALUES (?, ?, ?, ?)",
                [checklist_id, made.version, made.digest, dump_canonical(made.to_json()).decode()],
            )
            append_event(
                connection, actor=made.saved_by, action=Action.CHECKLIST_SAVED, object_id=checklist_id, payload=_describe_version(made)
            )  # fmt: skip
        return made

    def find(self, checklist_id: str) -> tuple[FilledChecklist, ...]:
        """Every version, oldest first.

        Raises:
            Refused: no checklist with that id.
            IntegrityError: a version differs from its event in the audit log.
        """
        with open_database(self.home) as connection:
            versions = _read_versions(connection, checklist_id)
        if not versions:
            raise _refuse_unknown(checklist_id)
        return versions

    def list_latest(self) -> tuple[FilledChecklist, ...]:
        """The latest version of each checklist, oldest checklist first."""
        with open_database(self.home) as connection:
            return tuple(_read_versions(connection, one)[-1] for one in _list_ids(connection))

    def _read_earlier(self, connection: duckdb.DuckDBPyConnection, draft: ChecklistDraft) -> FilledChecklist | None:
        if not draft.checklist_id:
            return None
        versions = _read_versions(connection, draft.checklist_id)
        if not versions:
            raise _refuse_unknown(draft.checklist_id)
        if versions[-1].version != draft.based_on:
            raise Refused(
                f"{draft.checklist_id} is at version {versions[-1].version}, saved by {versions[-1].saved_by}; yours is based on {draft.based_on}.",
                wanted="answers based on the latest version.",
                remedy="reload it and enter your answers there; nothing was saved.",
            )
        return versions[-1]


def _check_names(about: str, by: str) -> None:
    for text, most, what in (
        (about, MAX_ABOUT, "the vendor and system"),
        (by, MAX_NAME_LETTERS, "the person who answers"),
    ):
        if not 0 < len(text.strip()) <= most:
            raise Refused(
                f"{len(text.strip())} characters for {what}.",
                wanted=f"1 to {most} characters.",
                remedy="fill in the field; nothing was saved.",
            )


def _check_claims(connection: duckdb.DuckDBPyConnection, answers: Iterable[Answer]) -> None:
    known = {str(row[0]) for row in connection.execute("SELECT claim_id FROM claim").fetchall()}
    for answer in answers:
        if unknown := [one for one in answer.claims if one not in known]:
            raise Refused(
                f"{answer.item_id} names claim {unknown[0]}, which is not in this register.",
                wanted="claims of this data directory.",
                remedy="choose a claim from the list, or link a pack by its digest; nothing was saved.",
            )


def _stamp(answer: Answer, earlier: FilledChecklist | None, by: str, now: str) -> Answer:
    before = earlier.find(answer.item_id) if earlier is not None else None
    if before is not None and before.content == answer.content:
        return before
    if before is None and answer.content == Answer(answer.item_id, AnswerWord.UNANSWERED).content:
        return replace(answer, by="", at="")
    return replace(answer, by=by.strip(), at=now)


def _is_same(earlier: FilledChecklist, made: FilledChecklist) -> bool:
    return (earlier.about, earlier.checklist_sha256, earlier.answers) == (
        made.about,
        made.checklist_sha256,
        made.answers,
    )


def _describe_version(made: FilledChecklist) -> dict[str, object]:
    return {
        "version": made.version,
        "digest": made.digest,
        "checklist_sha256": made.checklist_sha256,
        "claim_ids": sorted({one for answer in made.answers for one in answer.claims}),
    }


def _read_versions(connection: duckdb.DuckDBPyConnection, checklist_id: str) -> tuple[FilledChecklist, ...]:
    """Read all versions, which must match the log's events exactly."""
    rows = connection.execute(_VERSIONS, [checklist_id]).fetchall()
    reported = [
        (event.payload["version"], event.payload["digest"])
        for event in list_events(connection, object_id=checklist_id, action=Action.CHECKLIST_SAVED)
    ]
    found = [(version, hashlib.sha256(body.encode()).hexdigest()) for version, body in rows]
    if found != reported:
        raise IntegrityError(
            f"The {len(rows)} stored versions of {checklist_id} differ from the {len(reported)} in the audit log. Run `log verify`."
        )
    return tuple(_parse(body) for _, body in rows)


def _list_ids(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Ids from the rows and from the log, so that a checklist with deleted rows stays in the list."""
    kept = {str(row[0]) for row in connection.execute("SELECT checklist_id FROM checklist").fetchall()}
    return sorted(kept | {event.object_id for event in list_events(connection, action=Action.CHECKLIST_SAVED)})


def _parse(body: str) -> FilledChecklist:
    fields = json.loads(body)
    fields.pop("schema")
    questions = tuple(Question(**row) for row in fields["questions"])
    return FilledChecklist(**fields | {"questions": questions, "answers": parse_answers(fields["answers"])})


def _refuse_unknown(checklist_id: str) -> Refused:
    return Refused(
        f"No checklist {checklist_id[:40]!r} here.", wanted="an id such as Q-0001.", remedy="choose one from the list."
    )
