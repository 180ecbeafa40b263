"""Which of the values of a question a reply gives: by its first word, or by the probabilities of its first tokens."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit_core.documents.form import flatten
from audit_core.endpoints import Reply

MAX_OWN = 40
"""Characters of a reply's own first word."""
_TIE = 1e-6
_ARTICLES = ("a", "an", "the")
_OPENING = " \t\n\"'`*_([“‘"


@dataclass(frozen=True)
class Reading:
    """The probability of each value after one text."""

    probability: Mapping[str, float]
    """Of values that a listed token begins; the others have 0 here and at most `error`."""
    error: float
    """What a value may have beyond this: the probability of the last token of the list, and of tokens that begin it and others."""

    @property
    def preferred(self) -> str:
        """The most probable value; empty where none is listed, or two are equal."""
        ranked = sorted(self.probability.items(), key=lambda one: -one[1])
        if not ranked or ranked[0][1] <= _TIE or (len(ranked) > 1 and ranked[0][1] - ranked[1][1] <= _TIE):
            return ""
        return ranked[0][0]


def read_scores(reply: Reply, values: Sequence[str]) -> Reading:
    """Probabilities of values from the first tokens of a reply.

    A token counts for the one value that it begins, with two letters at least. An article is a word of its own.

    Example:
        >>> read_scores(Reply(" Paris", ((" Paris", -0.1), (" Rome", -2.5))), ["Paris", "Rome"]).preferred
        'Paris'
    """
    found = dict.fromkeys(values, 0.0)
    unclear = dict.fromkeys(values, 0.0)
    # Where words have their space in their own token, a bare space begins none of them.
    has_joined = any(token[:1].isspace() and token.strip() for token, _ in reply.first)
    for token, value in reply.first:
        text, mass = token.strip(), math.exp(min(value, 0.0))
        matches = [one for one in values if text and one.startswith(text)]
        if text in _ARTICLES or (not text and has_joined):
            continue
        if len(matches) == 1 and (len(text) > 1 or text == matches[0]):
            found[matches[0]] += mass
        else:
            for one in matches if text else values:
                unclear[one] += mass
    listed = [math.exp(min(value, 0.0)) for _, value in reply.first]
    outside = min(listed[-1], max(0.0, 1 - sum(listed))) if listed else 1.0
    return Reading(found, outside + max(unclear.values(), default=0.0))


def read_word(text: str, values: Sequence[str], question: str) -> str:
    """The value that a reply begins with, else its own first word; empty for an empty reply.

    The beginning of the sentence, an article and quotation marks may come before it.

    Example:
        >>> read_word("**Paris**.", ["Paris", "Rome"], "Anna lives in")
        'Paris'
    """
    said = flatten(text).lstrip(_OPENING)
    if said.casefold().startswith(question.casefold()):
        said = said[len(question) :].lstrip(_OPENING)
    said = re.sub(rf"^(?:{'|'.join(_ARTICLES)})\s+", "", said, flags=re.IGNORECASE)
    for value in sorted(values, key=len, reverse=True):
        if re.match(rf"{re.escape(value)}(?!\w)", said, flags=re.IGNORECASE):
            return value
    own = re.match(r"\w[\w'-]*", said)
    return own[0][:MAX_OWN] if own else ""
