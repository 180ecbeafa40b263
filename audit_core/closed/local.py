"""Open models asked as closed ones: text in, reply out, so that both ways to ask can be compared on one model."""

from __future__ import annotations

import numpy as np

from audit_core.capability import REPLIES
from audit_core.endpoints import TOP, Reply
from audit_core.errors import NotMeasured
from audit_core.prompts.answers import Tokens
from audit_core.subject import Inputs, Replies, Subject

_END = "\n"
_MOST_KEPT = 20_000
"""Replies that are remembered."""


class LocalReplies:
    """Implements `Replies` for a subject that reads plain inputs."""

    def __init__(self, subject: Subject, inputs: Inputs) -> None:
        self.subject, self._inputs = subject, inputs
        self._is_subword = len(subject.tokenizer.encode(" door.")) > 1
        self._kept: dict[tuple[str, int, bool, int], Reply] = {}

    def require_calls(self, predicted: int) -> None:
        """Any number: nothing is sent."""

    def reply(self, text: str, *, n_tokens: int, scored: bool, again: int = 0) -> Reply:
        key = (text, n_tokens, scored, again)
        if key not in self._kept:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = self._continue(text, 1 if scored else n_tokens, scored=scored)
        return self._kept[key]

    def _continue(self, text: str, n_tokens: int, *, scored: bool) -> Reply:
        tokenizer = self.subject.tokenizer
        ids: Tokens = tuple(tokenizer.encode(text))
        ids = ids if tokenizer.bos_id is None or ids[:1] == (tokenizer.bos_id,) else (tokenizer.bos_id, *ids)
        said: list[str] = []
        first: tuple[tuple[str, float], ...] = ()
        for _ in range(n_tokens):
            logits = self._inputs.read_inputs([ids])[0].astype(np.float64)
            if not np.isfinite(logits).all():
                raise NotMeasured("control_failed", "the model produced NaN.")
            best = np.argsort(-logits, kind="stable")[:TOP]
            if scored:
                total = float(logits.max() + np.log(np.exp(logits - logits.max()).sum()))
                first = tuple((self._write(int(one)), min(0.0, float(logits[one] - total))) for one in best)
            piece = self._write(int(best[0]))
            if _END in piece:
                said.append(piece.partition(_END)[0])
                break
            said.append(piece)
            ids = (*ids, int(best[0]))
        return Reply("".join(said), first)

    def _write(self, token: int) -> str:
        piece = self.subject.tokenizer.piece(token)
        return piece if self._is_subword else f" {piece}"


def open_replies(subject: Subject) -> Replies:
    """A subject as what replies to texts.

    Raises:
        CapabilityRefused: it cannot.
    """
    found = REPLIES.of(subject)
    return LocalReplies(subject, found) if isinstance(found, Inputs) else found
