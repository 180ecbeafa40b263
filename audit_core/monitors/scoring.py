"""Scores of a text: which tokens count, one number a text, and the first token that raises the alarm."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from audit_core.activations import TokenReading
from audit_core.capability import ACTIVATIONS
from audit_core.errors import NotMeasured
from audit_core.monitors.texts import MonitorText
from audit_core.prompts.answers import Tokens
from audit_core.subject import Progress, Subject, no_progress

Array = NDArray[np.float64]
CHUNK = 64
"""Texts whose activations are in memory at once."""
LONGEST_REPEAT = 12
"""Tokens of a repeat beyond which a longer one says no more."""
FIRST = 1
"""The first token is left out: its activation is unlike all others, and nothing has predicted it."""


class TokenRule(StrEnum):
    """Which tokens of a text are scored; never the first."""

    EVERY = "every"
    LAST = "last"


class Aggregation(StrEnum):
    """How the scores of a text become one."""

    MAXIMUM = "maximum"
    MEAN = "mean"


@dataclass(frozen=True)
class TextRule:
    """From scores of tokens to the score of a text, which alone is calibrated."""

    tokens: TokenRule = TokenRule.EVERY
    aggregation: Aggregation = Aggregation.MAXIMUM

    @property
    def has_time(self) -> bool:
        """Whether an alarm has a token: a maximum over tokens is passed while the text is read."""
        return self.tokens is TokenRule.EVERY and self.aggregation is Aggregation.MAXIMUM

    def score(self, tokens: Array) -> float:
        """Score of a text from those of all its tokens, shape (pos,)."""
        if self.tokens is TokenRule.LAST:
            return float(tokens[-1])
        counted = tokens[FIRST:]
        return float(counted.max() if self.aggregation is Aggregation.MAXIMUM else counted.mean())

    def find_alarm(self, tokens: Array, threshold: float, *, since: int = FIRST) -> int | None:
        """Token of the first alarm at or after `since`, from 0; the last one where an alarm has no token of its own."""
        if not self.has_time:
            return len(tokens) - 1 if self.score(tokens) > threshold else None
        over = np.flatnonzero(tokens[max(since, FIRST) :] > threshold)
        return int(over[0]) + max(since, FIRST) if over.size else None


class OutputSignal(StrEnum):
    """What the output alone says about a token; the baselines of every monitor."""

    ENTROPY_HIGH = "entropy_high"
    ENTROPY_LOW = "entropy_low"
    MARGIN_HIGH = "margin_high"
    MARGIN_LOW = "margin_low"
    SURPRISE_HIGH = "surprise_high"
    SURPRISE_LOW = "surprise_low"
    REPEATS_HIGH = "repeats_high"


BASELINES: tuple[tuple[OutputSignal, ...], ...] = (
    (OutputSignal.ENTROPY_HIGH, OutputSignal.ENTROPY_LOW), (OutputSignal.MARGIN_LOW, OutputSignal.MARGIN_HIGH),
    (OutputSignal.SURPRISE_HIGH, OutputSignal.SURPRISE_LOW), (OutputSignal.REPEATS_HIGH,),
)  # fmt: skip
"""Token entropy, top-1 margin, perplexity and repeated tokens; of each pair the first without cases, else the one that finds more of the cases
that the monitor is fitted on."""


def score_output(reading: TokenReading, ids: Tokens, signal: OutputSignal) -> Array:
    """Score of every token, in nats; NaN for the surprise of the first. Of repeats: in tokens."""
    if signal is OutputSignal.REPEATS_HIGH:
        return count_repeated(ids)
    name, _, end = signal.value.partition("_")
    found: Array = np.asarray(getattr(reading, name), float) * (1 if end == "high" else -1)
    return found


def count_repeated(ids: Tokens) -> Array:
    """Tokens up to and with each one that stood earlier in the same order, at most `LONGEST_REPEAT`; shape (pos,).

    Example:
        >>> count_repeated((5, 6, 7, 5, 6, 8)).tolist()
        [0.0, 0.0, 0.0, 1.0, 2.0, 0.0]
    """
    found, before = np.zeros(len(ids)), np.zeros(len(ids), int)
    for at in range(1, len(ids)):
        # Length of the common end of the text up to here and up to each earlier token.
        now = np.array(
            [before[end - 1] + 1 if end and ids[end] == ids[at] else int(ids[end] == ids[at]) for end in range(at)]
        )
        before = np.concatenate([now, np.zeros(len(ids) - at, int)])
        found[at] = min(int(now.max()), LONGEST_REPEAT)
    return found


def find_collapse(ids: Tokens, *, longest: int = LONGEST_REPEAT, least: int = 6) -> int | None:
    """Token at which a text begins to repeat itself; None if it does not.

    From there on it repeats the tokens just before, at least twice over and for at least `least` tokens; a period has at most
    `longest` tokens. The rule reads nothing but tokens, so that it can label the cases of a monitor.

    Example:
        >>> find_collapse((0, 4, 7, 8, 7, 8, 7, 8, 7, 8)), find_collapse((0, 4, 7, 8, 7, 8, 5, 6, 9, 1))
        (4, None)
    """
    found = []
    for period in range(1, longest + 1):
        length, run = max(2 * period, least), 0
        for at in range(period, len(ids)):
            run = run + 1 if ids[at] == ids[at - period] else 0
            if run == length:
                found.append(at - length + 1)
                break
    return min(found, default=None)


def read_chunks(
    subject: Subject, texts: Sequence[MonitorText], layer: int, on_progress: Progress = no_progress
) -> Iterator[tuple[MonitorText, TokenReading]]:
    """Texts with their readings, in order; `CHUNK` of them are in memory at once.

    Raises:
        CapabilityRefused: the residual stream of this model cannot be read.
        NotMeasured: a number that is not finite.
    """
    read = ACTIVATIONS.of(subject)
    for start in range(0, len(texts), CHUNK):
        part = texts[start : start + CHUNK]

        def advance(done: int, _total: int, start: int = start) -> None:
            on_progress(start + done, len(texts))

        for text, one in zip(part, read.read_tokens([t.ids for t in part], layer, on_progress=advance), strict=True):
            if not all(
                np.isfinite(array).all() for array in (one.stream, one.entropy, one.margin, one.surprise[FIRST:])
            ):
                raise NotMeasured("control_failed", f"an activation or output of {text.id[:60]!r} is not finite.")
            yield text, one
