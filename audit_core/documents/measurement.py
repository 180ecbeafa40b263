"""All runs of one question: the lattice, deletions, orders, repeats and edits of values."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from audit_core.capability import DOCUMENTS
from audit_core.documents.fillers import choose_filler, list_content
from audit_core.documents.labels import DELTA, Measured
from audit_core.documents.lattice import find_interaction, find_shapley
from audit_core.documents.question import (
    Encoded,
    Question,
    encode_body,
    encode_question,
    encode_values,
    has_word,
    replace_word,
)
from audit_core.documents.results import DocumentsRequest
from audit_core.documents.runs import read_values
from audit_core.prompts.answers import Tokens
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.stats.shares import share_of
from audit_core.subject import Subject

Array = NDArray[np.float64]
UNIT = "logits"
LEAST_LEAD = 0.5
"""Smallest lead, in logits, of which a fraction is meaningful."""


@dataclass(frozen=True, eq=False)
class QuestionRuns:
    """Everything measured of one question."""

    question: Question
    encoded: Encoded
    fillers: tuple[tuple[Tokens, ...], ...]
    """Per document, then per filler."""
    given: str
    foil: str
    is_first: bool
    closed_book: str
    """Preferred value without documents; empty without a preference."""
    lattice: Array
    """Lead of the given value by kept documents and filler; shape (2ⁿ, filler)."""
    deleted: Array
    """The same with the other documents deleted; shape (2ⁿ,)."""
    orders: Array
    """Lead under every other order; shape (order,)."""
    order_flips: int
    doubled: Array
    """Lead with one document repeated; shape (n,)."""
    followed: tuple[tuple[int, int] | None, ...]
    """Followed edits and edits, per document."""

    @property
    def n(self) -> int:
        return len(self.question.documents)

    @property
    def lead(self) -> float:
        return float(self.lattice[-1, 0])

    @property
    def delta(self) -> float:
        """Smallest effect that matters, in logits."""
        mean = self.lattice.mean(axis=1)
        return DELTA * max(abs(self.lead), abs(float(mean[-1] - mean[0])), LEAST_LEAD)

    def lose(self, *gone: int) -> Estimate:
        """Loss when these documents are replaced."""
        kept = (1 << self.n) - 1 - sum(1 << at for at in gone)
        return average_fillers(self.lattice[-1] - self.lattice[kept])

    def restore(self, *kept: int) -> Estimate:
        """Gain when only these are kept."""
        return average_fillers(self.lattice[sum(1 << at for at in kept)] - self.lattice[0])

    def interact(self, first: int, second: int) -> Estimate:
        return average_fillers(find_interaction(self.lattice, first, second))

    @property
    def shapley(self) -> Array:
        return find_shapley(self.lattice.mean(axis=1))

    @property
    def efficiency_error(self) -> float:
        """Distance of the Shapley values' sum from the effect of all documents, in logits."""
        mean = self.lattice.mean(axis=1)
        return float(abs(self.shapley.sum() - (mean[-1] - mean[0])))

    @property
    def order_effect(self) -> float:
        return float(np.abs(self.orders - self.lead).mean()) if len(self.orders) else 0.0

    def find_follow(self, number: int) -> Estimate | None:
        found = self.followed[number]
        return None if found is None else share_of(*found, "of the edits")

    def as_measured(self) -> Measured:
        """What the label is made from."""
        documents = range(self.n)
        pairs = tuple(itertools.combinations(documents, 2))
        return Measured(
            self.delta, self.given, self.closed_book, tuple(map(self.question.find_stated, documents)),
            tuple(self.lose(at) for at in documents), tuple(map(self.find_follow, documents)),
            tuple(self.restore(at) for at in documents), {pair: self.lose(*pair) for pair in pairs},
            {pair: self.interact(*pair) for pair in pairs}, {pair: self.restore(*pair) for pair in pairs}, self.order_effect, self.order_flips, self.question.cited,
        )  # fmt: skip


def average_fillers(values: Array) -> Estimate:
    """Mean over fillers with Student's interval."""
    n, mean = len(values), float(values.mean())
    if n < 2:
        return Estimate(mean, None, None, n, UNIT, None)
    half = float(-stdtrit(n - 1, (1 - LEVEL) / 2) * values.std(ddof=1) / np.sqrt(n))
    return Estimate(mean, mean - half, mean + half, n, UNIT, LEVEL)


def count_runs(question: Question, request: DocumentsRequest) -> int:
    """Runs of a question, at most."""
    n = len(question.documents)
    editable = sum(question.find_stated(at) is not None for at in range(n)) or 1
    return 1 + ((1 << n) - 1) * (request.fillers + 1) + len(_list_orders(n)) + n + editable * request.edits


def measure_question(subject: Subject, question: Question, request: DocumentsRequest) -> QuestionRuns:
    """Run every variant of a question.

    Raises:
        PromptRefused: a value cannot be read.
        NotMeasured: no filler fits.
    """
    values = encode_values(question, DOCUMENTS.of(subject), subject.tokenizer)
    encoded = encode_question(question, DOCUMENTS.of(subject), subject.tokenizer)
    fillers = choose_fillers(question, encoded, subject, request)
    rows, n = _Rows(), len(question.documents)
    full = rows.add(encoded.join(encoded.bodies))
    lattice = [
        [full if kept + 1 == 1 << n else rows.add(encoded.join(_replace(encoded, fillers, kept, at)))
         for at in range(request.fillers)]
        for kept in range(1 << n)
    ]  # fmt: skip
    deleted = [
        rows.add(encoded.join([encoded.bodies[at] for at in range(n) if kept >> at & 1])) for kept in range(1 << n)
    ]
    orders = [rows.add(encoded.join([encoded.bodies[at] for at in order])) for order in _list_orders(n)]
    doubled = [rows.add(encoded.join([*encoded.bodies, body])) for body in encoded.bodies]
    names = tuple(values)
    logits, top = read_values(subject, rows.ids, tuple(values.values()))
    best = choose_values(logits, subject.tolerance)
    given = int(logits[full].argmax())
    foil = int(np.where(np.arange(len(names)) == given, -np.inf, logits[full]).argmax())
    lead = logits[:, given] - logits[:, foil]
    found = QuestionRuns(
        question, encoded, fillers, names[given], names[foil], bool(top[full] == values[names[given]]),
        names[best[deleted[0]]] if best[deleted[0]] >= 0 else "", lead[np.array(lattice)], lead[deleted], lead[orders],
        int((best[orders] != given).sum()), lead[doubled], (),
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


class _Rows:
    """Inputs to run, each once."""

    def __init__(self) -> None:
        self.ids: list[Tokens] = []
        self._places: dict[Tokens, int] = {}

    def add(self, ids: Tokens) -> int:
        """Row of an input."""
        if ids not in self._places:
            self._places[ids] = len(self.ids)
            self.ids.append(ids)
        return self._places[ids]


def _replace(encoded: Encoded, fillers: Sequence[Sequence[Tokens]], kept: int, which: int) -> list[Tokens]:
    return [body if kept >> at & 1 else fillers[at][which] for at, body in enumerate(encoded.bodies)]


def _list_orders(n: int) -> list[tuple[int, ...]]:
    """Every other order of up to three documents; of more, every rotation and the reverse."""
    first = tuple(range(n))
    if n <= 3:
        return [order for order in itertools.permutations(first) if order != first]
    turns = [(*first[at:], *first[:at]) for at in range(1, n)]
    return list(dict.fromkeys([*turns, first[::-1]]))


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
        for value in _list_other_values(question, values, found.given, old, seed=request.seed):
            body = encode_body(replace_word(text, old, value), DOCUMENTS.of(subject), subject.tokenizer)
            if len(body) == len(encoded.bodies[at]) and sum(number == at for number, _ in wanted) < request.edits:
                rows.append(encoded.join([*encoded.bodies[:at], body, *encoded.bodies[at + 1 :]]))
                wanted.append((at, value))
    counts: list[tuple[int, int] | None] = [None] * len(question.documents)
    if rows:
        names = list(values)
        # The input that the edits change is the first row, so that what they share with it is computed once.
        logits, _ = read_values(subject, [encoded.join(encoded.bodies), *rows], tuple(values.values()))
        best = choose_values(logits[1:], subject.tolerance)
        for (at, value), row in zip(wanted, best, strict=True):
            hits, n = counts[at] or (0, 0)
            counts[at] = hits + (bool(row >= 0) and names[row] == value), n + 1
    return replace(found, followed=tuple(counts))


def find_editable(question: Question, number: int, given: str) -> str | None:
    """The value of a document that is edited: the one that it states, else the given answer if it occurs there."""
    stated = question.find_stated(number)
    if stated is not None:
        return stated
    return given if has_word(question.documents[number], given) else None


def _list_other_values(question: Question, values: Mapping[str, int], given: str, old: str, *, seed: int) -> list[str]:
    """Values that no document has, in a random order."""
    text = " ".join(question.documents)
    free = [value for value in values if value not in (given, old) and not has_word(text, value)]
    Random(f"edits {seed} {question.id}").shuffle(free)
    return free
