"""All variants of one question, asked as texts: what the replies depend on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from audit_core.closed.asking import MOST_CHANGE, Caller
from audit_core.closed.results import ClosedDocumentsRequest
from audit_core.closed.values import Reading, read_scores, read_word
from audit_core.documents.fillers import choose_text_filler, list_content
from audit_core.documents.form import write_documents
from audit_core.documents.question import Question, replace_word
from audit_core.documents.question_runs import Array, VariantRuns
from audit_core.documents.variants import (
    Variants,
    count_variants,
    find_editable,
    list_other_values,
    plan_variants,
)
from audit_core.endpoints import Reply
from audit_core.errors import NotMeasured
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import wilson

UNREADABLE = "its values do not differ in the first token of a reply"
REPLY_TOKENS = 12
"""Of a reply that is read by its words."""


@dataclass(frozen=True, eq=False)
class ProbabilityRuns(VariantRuns):
    """Read from log-probabilities: the probability that the reply begins with the given value."""

    unit: ClassVar[str] = "probability"


@dataclass(frozen=True, eq=False)
class MatchRuns(VariantRuns):
    """Read by words: 1 where the reply begins with the given value, else 0; effects are shares of the fillers."""

    unit: ClassVar[str] = "share of fillers"

    def lose(self, *gone: int) -> Estimate:
        kept = (1 << self.n) - 1 - sum(1 << at for at in gone)
        return self._share((self.lattice[-1] == 1) & (self.lattice[kept] == 0))

    def restore(self, *kept: int) -> Estimate:
        return self._share((self.lattice[sum(1 << at for at in kept)] == 1) & (self.lattice[0] == 0))

    def interact(self, first: int, second: int) -> Estimate:
        both, neither = self.lattice[1 << first | 1 << second], self.lattice[0]
        alone = np.maximum(self.lattice[1 << first], self.lattice[1 << second])
        return self._share((both == 1) & (neither == 0) & (alone == 0))

    def _share(self, hits: np.ndarray) -> Estimate:
        return wilson(int(hits.sum()), len(hits), self.unit)


@dataclass(frozen=True)
class AskedQuestion:
    """What was measured of a question, or why nothing."""

    question: Question
    runs: VariantRuns | None
    why: str
    error: float
    """Largest probability that a value may have beyond what was read."""
    answers: tuple[str, str, str]
    """Answers with all documents, with all replaced by the first filler, and without documents."""


def count_calls(question: Question, request: ClosedDocumentsRequest) -> int:
    """Calls of a question, at most."""
    n = len(question.documents)
    editable = sum(question.find_stated(at) is not None for at in range(n)) or 1
    return count_variants(n, request.fillers, has_next=bool(question.next_hit)) + editable * request.edits


def write_text(documents: Sequence[str], question: str) -> str:
    """The text that is sent."""
    return "".join(write_documents(documents, question))


def plan_question(question: Question, request: ClosedDocumentsRequest) -> Variants[str]:
    """Texts of all variants.

    Raises:
        NotMeasured: no filler is free of the question's words.
    """
    banned = list_content(" ".join((question.text, *question.answers, *question.others)))
    n = len(question.documents)
    fillers = [
        [choose_text_filler(len(text.split()), banned, number=filler * n + at, seed=request.seed) for filler in range(request.fillers)]
        for at, text in enumerate(question.documents)
    ]  # fmt: skip
    return plan_variants(
        question.documents, fillers, lambda documents: write_text(documents, question.text), question.next_hit or None
    )


def ask_question(caller: Caller, question: Question, request: ClosedDocumentsRequest) -> AskedQuestion:
    """Ask every variant of a question.

    Raises:
        NotMeasured: the endpoint stopped to give log-probabilities, or gives no reply.
    """
    variants = plan_question(question, request)
    replies = [caller.ask(text) for text in variants.inputs]
    values = tuple(dict.fromkeys((*question.answers, *question.others)))
    said = read_word(replies[variants.full].text, values, question.text)
    is_scored = _is_scored(replies)
    if is_scored:
        readings = [read_scores(reply, values) for reply in replies]
        given = readings[variants.full].preferred
        answers = [one.preferred for one in readings]
    else:
        given = said
        answers = [read_word(reply.text, values, question.text) for reply in replies]
        readings = [Reading({value: float(value == answer) for value in (*values, given)}, 0.0) for answer in answers]
    error = max(one.error for one in readings)
    ends = tuple(answers[at] for at in (variants.full, int(variants.lattice[0, 0]), variants.closed_book))
    why = "" if given else "no value is among the most probable first tokens" if is_scored else "an empty reply"
    if error > MOST_CHANGE:
        why = UNREADABLE
    if why:
        return AskedQuestion(question, None, why, error, ends)  # type: ignore[arg-type]
    score = np.array([one.probability[given] for one in readings])
    rest = {value: p for value, p in readings[variants.full].probability.items() if value != given}
    foil = max(rest, key=lambda value: rest[value]) if any(rest.values()) else ""
    runs = _lay_out(variants, score, answers, (given, foil), ProbabilityRuns if is_scored else MatchRuns, question)
    runs = replace(runs, is_first=bool(said) and (given == said or given.startswith(said)))
    followed, more = _ask_edits(caller, question, values, runs, request)
    error = max(error, more)
    if error > MOST_CHANGE:
        return AskedQuestion(question, None, UNREADABLE, error, ends)  # type: ignore[arg-type]
    return AskedQuestion(question, replace(runs, followed=followed), "", error, ends)  # type: ignore[arg-type]


def _is_scored(replies: Sequence[Reply]) -> bool:
    """Whether replies have log-probabilities: all or none."""
    found = {bool(reply.first) for reply in replies}
    if len(found) > 1:
        raise NotMeasured("control_failed", "the endpoint gave log-probabilities for some texts only.")
    return found.pop()


def _lay_out(
    variants: Variants[str], score: Array, answers: Sequence[str], names: tuple[str, str], kind: type[VariantRuns], question: Question
) -> VariantRuns:  # fmt: skip
    given, foil = names
    return kind(
        question=question,
        given=given,
        foil=foil,
        is_first=False,
        closed_book=answers[variants.closed_book],
        lattice=score[variants.lattice],
        deleted=score[variants.deleted],
        orders=score[variants.orders],
        order_flips=sum(answers[at] != given for at in variants.orders),
        doubled=score[variants.doubled],
        followed=(),
        swapped=score[variants.swapped],
        swapped_to=tuple(answers[at] for at in variants.swapped),
    )


def _ask_edits(
    caller: Caller, question: Question, values: Sequence[str], runs: VariantRuns, request: ClosedDocumentsRequest
) -> tuple[tuple[tuple[int, int] | None, ...], float]:
    """Put other values into each document that has one; followed edits and edits per document, and the error of reading."""
    found: list[tuple[int, int] | None] = []
    error = 0.0
    for at, text in enumerate(question.documents):
        old = find_editable(question, at, runs.given)
        counts = (0, 0)
        others = [] if old is None else list_other_values(question, values, runs.given, old, seed=request.seed)
        fitting = [value for value in others if len(value.split()) == len((old or "").split())]
        for value in fitting[: request.edits]:
            assert old is not None
            edited = [*question.documents[:at], replace_word(text, old, value), *question.documents[at + 1 :]]
            reply = caller.ask(write_text(edited, question.text))
            if reply.first:
                reading = read_scores(reply, values)
                error = max(error, reading.error)
                answer = reading.preferred
            else:
                answer = read_word(reply.text, values, question.text)
            counts = counts[0] + (answer == value), counts[1] + 1
        found.append(counts if counts[1] else None)
    return tuple(found), error
