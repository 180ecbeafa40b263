"""Sentences of the documents: random sets of them are replaced, and a linear fit must predict sets that it has not seen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray

from audit_core.capability import DOCUMENTS
from audit_core.documents.fillers import choose_filler, list_content
from audit_core.documents.question import Encoded, Question, encode_body, encode_values
from audit_core.documents.question_runs import UNIT, QuestionRuns, VariantRuns, average_of
from audit_core.documents.results import DocumentsRequest, HeldOutSet, SentenceReading, SentenceRow
from audit_core.documents.runs import read_values
from audit_core.errors import ControlFailed, NotMeasured
from audit_core.prompts.answers import Tokens
from audit_core.stats.bootstrap import correlate_ranks
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.stats.linear_fit import fit_linear, spearman_interval
from audit_core.subject import Subject

LEAST, MOST = 5, 30
"""Sentences of a question: fewer have too few sets for a test, more have too many for the fit."""
FIT, HELD_OUT = 64, 32
"""Sets of kept sentences, at most: as many as ContextCite fits on, and half as many to test it."""
LEAST_LDS, LEAST_LOW = 0.8, 0.5
"""Below either, nothing is said of single sentences."""
_SHOWN = 160
_LDS_UNIT = "Spearman ρ over held-out sets"

Masks = NDArray[np.bool_]


@dataclass(frozen=True)
class Sentence:
    """A sentence of a document."""

    document: int
    """Index of its document."""
    place: int
    """Index in its document."""
    text: str


@dataclass(frozen=True)
class Parts:
    """The sentences of a question in tokens; those of a document put together are its body."""

    sentences: tuple[Sentence, ...]
    ids: tuple[Tokens, ...]
    encoded: Encoded

    def join(self, ids: Sequence[Tokens]) -> Tokens:
        """Input with these sentences."""
        bodies: list[Tokens] = [()] * len(self.encoded.bodies)
        for sentence, own in zip(self.sentences, ids, strict=True):
            bodies[sentence.document] = (*bodies[sentence.document], *own)
        return self.encoded.join(bodies)


def split_sentences(text: str) -> tuple[str, ...]:
    """A text after each full stop, question mark or exclamation mark that a space follows.

    Example:
        >>> split_sentences("Anna lives in Paris. It rained.")
        ('Anna lives in Paris.', 'It rained.')
    """
    return tuple(part for part in re.split(r"(?<=[.!?])\s+", text) if part)


def count_sentences(question: Question) -> int:
    """Sentences of all documents."""
    return sum(len(split_sentences(text)) for text in question.documents)


def count_sentence_runs(question: Question, request: DocumentsRequest) -> int:
    """Runs for the sentences of a question, at most."""
    n = count_sentences(question)
    return (sum(_count_sets(n)) + n * request.fillers) if LEAST <= n <= MOST else 0


def read_sentences(subject: Subject, runs: QuestionRuns, request: DocumentsRequest) -> SentenceReading:
    """Measure random sets of sentences, fit on some, test on the others; then each sentence alone if the test is passed.

    Args:
        runs: of the question, for its answer and the smallest effect that matters.

    Raises:
        ControlFailed: keeping every sentence changes the answer's lead.
        NotMeasured: no filler fits.
    """
    question = runs.question
    n = count_sentences(question)
    if not LEAST <= n <= MOST:
        return _refuse(n, f"{n} sentences: {LEAST} to {MOST} are needed, so that sets of them can test the fit")
    parts = _encode_parts(question, runs.encoded, subject)
    if parts is None:
        return _refuse(n, "the sentences have other tokens alone than in their document")
    fillers = _choose_fillers(question, parts, subject, request)
    masks, n_fit = draw_masks(n, Random(f"sentences {request.seed} {question.id}"))
    # Each set has one filler for all its sentences, in turn, so that the fit is over fillers too.
    rows = [_replace(parts, fillers, mask, at % request.fillers) for at, mask in enumerate(masks)]
    measured = _read_leads(subject, parts, rows, question, runs)
    fit = fit_linear(masks[:n_fit].astype(float), measured[:n_fit])
    predicted = fit.predict(masks[n_fit:].astype(float))
    held = tuple(
        HeldOutSet(kept=tuple(int(at) + 1 for at in np.flatnonzero(mask)), measured=float(own), predicted=float(fitted))
        for mask, own, fitted in zip(masks[n_fit:], measured[n_fit:], predicted, strict=True)
    )  # fmt: skip
    lds, refused = _test(measured, predicted, n_fit, runs, subject.tolerance)
    if refused:
        return SentenceReading(
            n=n, n_fit=n_fit, n_held_out=len(held), lds=lds, refused=refused, sets=held, sentences=()
        )
    alone = _leave_out(subject, parts, fillers, question, runs)
    found = tuple(
        SentenceRow(
            document=one.document + 1, place=one.place + 1, text=one.text[:_SHOWN], weight=fit.estimate(at, UNIT), replaced=alone[at]
        )
        for at, one in enumerate(parts.sentences)
    )  # fmt: skip
    return SentenceReading(n=n, n_fit=n_fit, n_held_out=len(held), lds=lds, refused="", sets=held, sentences=found)


def draw_masks(n: int, draw: Random) -> tuple[Masks, int]:
    """Sets of kept sentences, all different, in a random order: first those of the fit, then those held out.

    Returns:
        Shape (set, sentence), and how many are of the fit.
    """
    n_fit, n_held_out = _count_sets(n)
    total = n_fit + n_held_out
    chosen = draw.sample(range(1 << n), total)
    return np.array([[one >> at & 1 == 1 for at in range(n)] for one in chosen]), n_fit


def _count_sets(n: int) -> tuple[int, int]:
    """Sets of the fit, and held out: a third of all sets where there are few."""
    held_out = min(HELD_OUT, (1 << n) // 3)
    return min(FIT, (1 << n) - held_out), held_out


def _encode_parts(question: Question, encoded: Encoded, subject: Subject) -> Parts | None:
    """The sentences in tokens; None where a sentence alone has other tokens than in its document."""
    reader, tokenizer = DOCUMENTS.of(subject), subject.tokenizer
    found, ids = [], []
    for at, text in enumerate(question.documents):
        for place, one in enumerate(split_sentences(text)):
            found.append(Sentence(at, place, one))
            ids.append(encode_body(one, reader, tokenizer))
    parts = Parts(tuple(found), tuple(ids), encoded)
    return parts if parts.join(ids) == encoded.join(encoded.bodies) else None


def _choose_fillers(
    question: Question, parts: Parts, subject: Subject, request: DocumentsRequest
) -> tuple[tuple[Tokens, ...], ...]:
    """Fillers of every sentence, each of its length; shape (sentence, filler)."""
    banned, n = list_content(" ".join((question.text, *question.answers, *question.others))), len(parts.ids)
    return tuple(
        tuple(
            choose_filler(len(ids), banned, subject.tokenizer, number=filler * n + at, seed=request.seed)
            for filler in range(request.fillers)
        )
        for at, ids in enumerate(parts.ids)
    )


def _replace(parts: Parts, fillers: Sequence[Sequence[Tokens]], kept: Sequence[bool], which: int) -> Tokens:
    """Input with a filler in place of each sentence that is not kept."""
    return parts.join(
        [own if is_kept else fillers[at][which] for at, (own, is_kept) in enumerate(zip(parts.ids, kept))]
    )


def _read_leads(
    subject: Subject, parts: Parts, rows: Sequence[Tokens], question: Question, runs: VariantRuns
) -> NDArray[np.float64]:
    """Lead of the given answer after each input; the first input that is run has every sentence, and checks the others."""
    values = encode_values(question, DOCUMENTS.of(subject), subject.tokenizer)
    logits, _ = read_values(subject, [parts.join(parts.ids), *rows], (values[runs.given], values[runs.foil]))
    lead = logits[:, 0] - logits[:, 1]
    if abs(lead[0] - runs.lead) > 10 * subject.tolerance:
        raise ControlFailed(
            f"The sentences put together again changed the lead by {abs(lead[0] - runs.lead):.3g} logits."
        )
    return lead[1:]


def _test(
    measured: NDArray[np.float64], predicted: NDArray[np.float64], n_fit: int, runs: VariantRuns, tolerance: float
) -> tuple[Estimate | None, str]:
    """Rank correlation on the held-out sets, and why nothing is said of single sentences; empty if it is."""
    if float(np.abs(measured - runs.lead).max()) <= runs.delta:
        return (
            None,
            f"no set of sentences moves the answer's lead by {runs.delta:.2f} {UNIT}, the smallest effect that matters",
        )
    # Numerical noise has no rank.
    own, fitted = (np.round(values / (10 * tolerance)) for values in (measured[n_fit:], predicted))
    try:
        lds = spearman_interval(correlate_ranks(own, fitted), len(own), _LDS_UNIT)
    except NotMeasured as error:
        return None, f"the fit cannot be tested: {error.detail}"
    if lds.value < LEAST_LDS or lds.low is None or lds.low < LEAST_LOW:
        return lds, (
            f"the fit ranks sets that it has not seen with {format_estimate(lds)}: {LEAST_LDS} is needed, with an interval "
            f"above {LEAST_LOW}"
        )
    return lds, ""


def _leave_out(
    subject: Subject, parts: Parts, fillers: Sequence[Sequence[Tokens]], question: Question, runs: VariantRuns
) -> list[Estimate]:
    """Loss when one sentence alone is replaced, over its fillers."""
    n, per = len(parts.ids), len(fillers[0])
    rows = [
        _replace(parts, fillers, [other != at for other in range(n)], filler)
        for at in range(n)
        for filler in range(per)
    ]
    lost = runs.lead - _read_leads(subject, parts, rows, question, runs)
    return [average_of(own, UNIT) for own in lost.reshape(n, per)]


def _refuse(n: int, why: str) -> SentenceReading:
    return SentenceReading(n=n, n_fit=0, n_held_out=0, lds=None, refused=why, sets=(), sentences=())
