"""Texts for the planted model `planted-strict`, whose cases begin at a token that is known exactly."""

from __future__ import annotations

from random import Random

from audit_core.monitors.texts import MonitorText
from audit_core.subjects.planted.weights import NOUNS, WORDS, A

MODEL, LAYER, LENGTH = "planted-strict", 1, 16
UNREAD = NOUNS[-1]


def make_planted_texts(case: str, n_normal: int, n_cases: int, *, seed: int) -> tuple[MonitorText, ...]:
    """Texts of distinct words; in a case one of them, at a random place, is a word that normal texts do not have.

    Args:
        case: `vote`, the letter A: from its token on a head adds 33 / (number of tokens) to the logit of A, so the output shows it.
            `unread`, the word w28: from the next token on a head writes 15 where nothing reads it, so the output does not.
    """
    trigger = A if case == "vote" else UNREAD
    draw = Random(f"{case} {seed}")
    found = []
    for number in range(n_normal + n_cases):
        is_case = number >= n_normal
        words = draw.sample(NOUNS[:-1], LENGTH)
        at = draw.randrange(4, LENGTH - 4)
        if is_case:
            words[at] = trigger
        # The first token is the beginning of the text, so word `at` is token `at` + 1.
        onset = at + 1 if case == "vote" else at + 2
        ids = (0, *(WORDS.index(word) for word in words))
        found.append(MonitorText(f"{case} {number}", ids, is_case, onset if is_case else None))
    return tuple(found)
