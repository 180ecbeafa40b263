"""The runs of a question as a kept part of an audit: its numbers, beside which the question gives texts and tokens again."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from audit_core.capability import DOCUMENTS
from audit_core.documents.measurement import choose_fillers
from audit_core.documents.question import Question, encode_question
from audit_core.documents.question_runs import QuestionRuns
from audit_core.documents.results import FORM_VERSION, DocumentsRequest
from audit_core.subject import Subject

Floats = tuple[float, ...]


@dataclass(frozen=True)
class KeptRuns:
    """Fields as in `QuestionRuns`."""

    given: str
    foil: str
    is_first: bool
    closed_book: str
    lattice: tuple[Floats, ...]
    deleted: Floats
    orders: Floats
    order_flips: int
    doubled: Floats
    followed: tuple[tuple[int, int] | None, ...]
    swapped: Floats
    swapped_to: tuple[str, ...]


def name_runs(question: Question, request: DocumentsRequest) -> list[Any]:
    """All that the runs of a question depend on beside the model, as plain values."""
    return ["question", FORM_VERSION, asdict(question), request.fillers, request.edits, request.seed]


def keep_runs(runs: QuestionRuns) -> KeptRuns:
    """The numbers of a question's runs."""
    return KeptRuns(
        runs.given, runs.foil, runs.is_first, runs.closed_book, tuple(map(_plain, runs.lattice)), _plain(runs.deleted),
        _plain(runs.orders), runs.order_flips, _plain(runs.doubled), runs.followed, _plain(runs.swapped), runs.swapped_to,
    )  # fmt: skip


def restore_runs(kept: KeptRuns, subject: Subject, question: Question, request: DocumentsRequest) -> QuestionRuns:
    """The runs of a question from their numbers."""
    encoded = encode_question(question, DOCUMENTS.of(subject), subject.tokenizer)
    return QuestionRuns(
        question, kept.given, kept.foil, kept.is_first, kept.closed_book, np.array(kept.lattice), np.array(kept.deleted),
        np.array(kept.orders), kept.order_flips, np.array(kept.doubled), kept.followed, encoded,
        choose_fillers(question, encoded, subject, request), swapped=np.array(kept.swapped), swapped_to=kept.swapped_to,
    )  # fmt: skip


def _plain(values: np.ndarray) -> Floats:
    return tuple(map(float, values))
