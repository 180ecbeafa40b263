"""All runs of one question: the lattice, deletions, orders, repeats and edits of values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit_core.capability import DOCUMENTS
from audit_core.documents.fillers import choose_filler, list_content
from audit_core.documents.question import Encoded, Question, encode_body, encode_question, encode_values, replace_word
from audit_core.documents.question_runs import QuestionRuns
from audit_core.documents.results import DocumentsRequest
from audit_core.documents.runs import read_values
from audit_core.documents.variants import count_variants, find_editable, list_other_values, plan_variants
from audit_core.prompts.answers import Tokens
from audit_core.subject import Subject

Array = NDArray[np.float64]


def count_runs(question: Question, request: DocumentsRequest) -> int:
    """Runs of a question, at most."""
    n = len(question.documents)
    editable = sum(question.find_stated(at) is not None for at in range(n)) or 1
    return count_variants(n, request.fillers, has_next=bool(question.next_hit)) + editable * request.edits


def measure_question(subject: Subject, question: Question, request: DocumentsRequest) -> QuestionRuns:
    """Run every variant of a question.

    Raises:
        PromptRefused: a value cannot be read.
        NotMeasured: no filler fits.
    """
    values = encode_values(question, DOCUMENTS.of(subject), subject.tokenizer)
    encoded = encode_question(question, DOCUMENTS.of(subject), subject.tokenizer)
    fillers = choose_fillers(question, encoded, subject, request)
    reader, next_hit = DOCUMENTS.of(subject), question.next_hit
    other = encode_body(next_hit, reader, subject.tokenizer) if next_hit else None
    variants = plan_variants(encoded.bodies, fillers, encoded.join, other)
    names = tuple(values)
    logits, top = read_values(subject, variants.inputs, tuple(values.values()))
    best = choose_values(logits, subject.tolerance)
    full, closed = variants.full, best[variants.closed_book]
    given = int(logits[full].argmax())
    foil = int(np.where(np.arange(len(names)) == given, -np.inf, logits[full]).argmax())
    lead = logits[:, given] - logits[:, foil]
    found = QuestionRuns(
        question, names[given], names[foil], bool(top[full] == values[names[given]]), names[closed] if closed >= 0 else "",
        lead[variants.lattice], lead[variants.deleted], lead[variants.orders],
        int((best[variants.orders] != given).sum()), lead[variants.doubled], (), encoded, fillers,
        swapped=lead[variants.swapped], swapped_to=tuple(names[at] if at >= 0 else "" for at in best[variants.swapped]),
    )  # fmt: skip
    return _add_edits(subject, found, values, request)


def choose_fillers(
    question: Question, encoded: Encoded, subject: Subject, request: DocumentsRequest
) -> tuple[tuple[Tokens, ...], ...]:
    """Fillers of every document, each of its length.

    Raises:
        NotMeasured: none fits.
    """
    banned = list_content(" ".join((question.text, *question.answers, *question.others)))
    return tuple(
        tuple(
            choose_filler(
                len(body), banned, subject.tokenizer, number=filler * len(encoded.bodies) + at, seed=request.seed
            )
            for filler in range(request.fillers)
        )
        for at, body in enumerate(encoded.bodies)
    )


def choose_values(logits: Array, tolerance: float) -> NDArray[np.int64]:
    """Index of the preferred value of each row; −1 where two are equal up to numerical noise, which is no preference.

    Args:
        logits: shape (row, value).
    """
    second, first = np.sort(logits, axis=1)[:, -2:].T
    return np.where(first - second > tolerance, logits.argmax(axis=1), -1)


def _add_edits(
    subject: Subject, found: QuestionRuns, values: Mapping[str, int], request: DocumentsRequest
) -> QuestionRuns:
    """Put other values into each document that has one, and count the answers that become them."""
    question, encoded = found.question, found.encoded
    rows: list[Tokens] = []
    wanted: list[tuple[int, str]] = []
    for at, text in enumerate(question.documents):
        old = find_editable(question, at, found.given)
        if old is None:
            continue
        for value in list_other_values(question, values, found.given, old, seed=request.seed):
            body = encode_body(replace_word(text, old, value), DOCUMENTS.of(subject), subject.tokenizer)
            if len(body) == len(encoded.bodies[at]) and sum(number == at for number, _ in wanted) < request.edits:
                rows.append(encoded.join([*encoded.bodies[:at], body, *encoded.bodies[at + 1 :]]))
                wanted.append((at, value))
    counts: list[tuple[int, int] | None] = [None] * len(question.documents)
    if rows:
        names = list(values)
        logits, _ = read_values(subject, rows, tuple(values.values()))
        best = choose_values(logits, subject.tolerance)
        for (at, value), row in zip(wanted, best, strict=True):
            hits, n = counts[at] or (0, 0)
            counts[at] = hits + (bool(row >= 0) and names[row] == value), n + 1
    return replace(found, followed=tuple(counts))
