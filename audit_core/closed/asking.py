"""Asks texts one after the other: progress and cancellation between calls, and the checks of an instrument that only sends text."""

from __future__ import annotations

from math import exp

from audit_core.controls import Controls
from audit_core.endpoints import ROUTES, Reply
from audit_core.errors import ControlFailed
from audit_core.subject import Progress, Replies

REPEATS = 3
"""Texts that are asked twice."""
EXTRA_CALLS = REPEATS + 1 + len(ROUTES)
"""Calls beside the variants: repeats, another text, and finding the way to ask."""
MOST_CHANGE = 0.05
"""Largest change of a probability by asking again: half of the smallest effect that matters."""
_TOLERANCE = 1e-3
_OTHER = "Summary: The weather was"
"""Another text, whose reply must differ."""


class Caller:
    """Counts calls against their predicted number."""

    def __init__(self, replies: Replies, predicted: int, on_progress: Progress, *, n_tokens: int, scored: bool) -> None:
        """Raises `Refused` where the endpoint allows fewer calls than are predicted."""
        replies.require_calls(predicted)
        self._replies, self._predicted, self._on_progress = replies, predicted, on_progress
        self._n_tokens, self._scored, self.n = n_tokens, scored, 0

    def ask(self, text: str, *, again: int = 0) -> Reply:
        """One call; raises `Cancelled` before it where a person stopped the run."""
        self._on_progress(min(self.n, self._predicted - 1), self._predicted)
        self.n += 1
        return self._replies.reply(text, n_tokens=self._n_tokens, scored=self._scored, again=again)

    def finish(self) -> None:
        """Report that all is done."""
        self._on_progress(self._predicted, self._predicted)

    def check(self, texts: list[str]) -> Controls:
        """Ask some texts again, and one other text.

        Raises:
            ControlFailed: the same text has another reply, or another text the same: nothing measured would mean anything.
        """
        few = texts[:REPEATS]
        firsts = [self.ask(text) for text in few]
        change = max(compare_replies(one, self.ask(text, again=1)) for one, text in zip(firsts, few, strict=True))
        if change > MOST_CHANGE:
            raise ControlFailed(
                f"the same text got another reply at temperature 0 (changed by {change:.2f}, {MOST_CHANGE} allowed): "
                "differences between texts would mean nothing."
            )
        other = compare_replies(firsts[0], self.ask(_OTHER))
        if other <= 2 * MOST_CHANGE:
            raise ControlFailed("another text got the same reply: the model may not receive the text.")
        return Controls(change, other, max(_TOLERANCE, change), self.n)


def compare_replies(one: Reply, other: Reply) -> float:
    """Change of the probability of the first reply's most probable token; by words, 0 for the same reply and 1 for another."""
    if not one.first or not other.first:
        return float(one.text != other.text)
    token, value = one.first[0]
    return abs(exp(value) - exp(dict(other.first).get(token, -50.0)))
