"""Scores of an unedited model: log-probabilities of options, and answers that it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from audit_core.benchmarks.exact_match import is_match
from audit_core.benchmarks.item import MatchRule
from audit_core.intervention import CLEAN_RUN
from audit_core.prompts.answers import Contrast, Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.prompts.sequences import list_beginnings, list_places
from audit_core.subject import Logits, Progress, Subject

Floats = NDArray[np.float64]
MAX_WRITTEN = 12
"""Tokens of a written answer; it also ends at a line break."""
_MAX_FLOATS = 40_000_000
UNREAD = Contrast((), ((0,),), ((1,),))
"""Placeholder ids: the whole vocabulary is read."""


@dataclass(frozen=True)
class Margin:
    """By how much the right answer is preferred to the next best one; a metric as those on the shelf, for items.

    Options: log P(right option) − log P(the best other option), each the sum over its tokens.
    Written answers: the smallest lead, over its tokens, of the written token over the next best token of the vocabulary.
    """

    name: str = "margin"
    question: str = "By how much is the right answer preferred to the next best one?"
    unit: str = "nats"
    needs_vocabulary: bool = True
    reads_sequences: bool = True
    is_preference: bool = True
    min_gap: float = 0.0

    def read(self, logits: Logits, pairs: Sequence[TokenPair]) -> Floats:
        assert logits.vocabulary is not None
        return np.stack([_read_margin(rows, pair) for rows, pair in split_places(logits.vocabulary, pairs)], axis=1)


def split_places(
    vocabulary: NDArray[np.float32], pairs: Sequence[TokenPair]
) -> Iterator[tuple[dict[Tokens, NDArray[np.float32]], TokenPair]]:
    """Logits after each prefix of each pair's answers; shape (run, vocabulary)."""
    at = 0
    for pair in pairs:
        beginnings = list_beginnings(pair)
        yield {start: vocabulary[:, at + n] for n, start in enumerate(beginnings)}, pair
        at += len(beginnings)


def score_options(rows: dict[Tokens, NDArray[np.float32]], sequences: Sequence[Tokens]) -> Floats:
    """Log-probability of each sequence in nats; shape (run, sequence)."""
    needed = {s[:n] for s in sequences for n in range(len(s))}
    logs = {start: log_softmax(rows[start].astype(float), axis=-1) for start in needed}
    return np.stack([np.sum([logs[s[:n]][:, s[n]] for n in range(len(s))], axis=0) for s in sequences], axis=1)


def _read_margin(rows: dict[Tokens, NDArray[np.float32]], pair: TokenPair) -> Floats:
    if pair.contrast.foils:
        right = score_options(rows, pair.contrast.answers).max(axis=1)
        best: Floats = score_options(rows, pair.contrast.foils).max(axis=1)
        return right - best
    (written,) = pair.contrast.answers
    leads = []
    for n, token in enumerate(written):
        logits = rows[written[:n]].astype(float)
        others = np.delete(logits, token, axis=-1)
        leads.append(logits[:, token] - others.max(axis=-1))
    found: Floats = np.min(leads, axis=0)
    return found


@dataclass(frozen=True)
class Scored:
    """An item as the unedited model answers it."""

    is_right: bool
    answer: str
    """The chosen option, or the text that was written."""
    pair: TokenPair
    """With the answer whose margin is measured: the right option, or what was written."""


def score_items(
    subject: Subject, prompts: TokenisedPrompts, rule: MatchRule, on_work: Callable[[float], None]
) -> tuple[Scored, ...]:
    """Answer every item without an intervention.

    Args:
        on_work: called with the share that is done.
    """
    found: dict[int, Scored] = {}
    for rows in _chunk([at for at, pair in enumerate(prompts.pairs) if pair.contrast.foils], prompts, subject):
        done = len(found) / len(prompts)

        def advance(part: int, whole: int, before: float = done, n: int = len(rows)) -> None:
            on_work(before + n / len(prompts) * part / max(1, whole))

        found |= dict(zip(rows, _choose(subject, prompts.take(rows), advance), strict=True))
        on_work(len(found) / len(prompts))
    for at, pair in enumerate(prompts.pairs):
        if not pair.contrast.foils:
            found[at] = _write(subject, prompts.take([at]), rule)
            on_work(len(found) / len(prompts))
    return tuple(found[at] for at in range(len(prompts)))


def _chunk(rows: Sequence[int], prompts: TokenisedPrompts, subject: Subject) -> Iterator[list[int]]:
    """Items whose logits fit in memory together: answers of one length are then read in one batch."""
    room, part = _MAX_FLOATS // subject.geometry.n_vocabulary, list[int]()
    size = 0
    for at in rows:
        n = len(list_beginnings(prompts.pairs[at]))
        if part and size + n > room:
            yield part
            part, size = [], 0
        part.append(at)
        size += n
    if part:
        yield part


def _choose(subject: Subject, prompts: TokenisedPrompts, on_progress: Progress) -> list[Scored]:
    places = list_places(prompts).prompts
    logits = subject.run(places, (CLEAN_RUN,), vocabulary=True, on_progress=on_progress)
    assert logits.vocabulary is not None
    return [_pick(rows, pair) for rows, pair in split_places(logits.vocabulary, prompts.pairs)]


def _pick(rows: dict[Tokens, NDArray[np.float32]], pair: TokenPair) -> Scored:
    texts = (*pair.prompt.answers, *pair.prompt.foils)
    sequences = (*pair.contrast.answers, *pair.contrast.foils)
    scores = score_options(rows, sequences)[0]
    # A tie is no choice: it counts as wrong.
    n_right = len(pair.contrast.answers)
    is_right = bool(scores[:n_right].max() > scores[n_right:].max())
    best = int(scores.argmax()) if is_right else n_right + int(scores[n_right:].argmax())
    return Scored(is_right, texts[best] if len(texts) == len(sequences) else "", pair)


def _write(subject: Subject, prompts: TokenisedPrompts, rule: MatchRule) -> Scored:
    """Greedy: the most probable token each time, to a line break or `MAX_WRITTEN` tokens."""
    pair, ids = prompts.pairs[0], list[int]()
    tokenizer = subject.tokenizer
    pieces: list[str] = []
    while len(ids) < MAX_WRITTEN:
        row = replace(
            pair, clean_ids=(*pair.clean_ids, *ids), corrupted_ids=(*pair.corrupted_ids, *ids), contrast=UNREAD
        )
        logits = subject.run(replace(prompts, pairs=(row,)), (CLEAN_RUN,), vocabulary=True)
        assert logits.vocabulary is not None
        token = int(logits.vocabulary[0, 0].argmax())
        piece = tokenizer.piece(token)
        if token == tokenizer.bos_id or "\n" in piece:
            break
        ids.append(token)
        pieces.append(piece)
    text = "".join(pieces)
    is_right = bool(ids) and is_match(text, pair.prompt.answers, rule)
    return Scored(is_right, text, replace(pair, contrast=Contrast((), (tuple(ids) or (0,),), ())))
