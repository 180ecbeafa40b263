"""Probability of the answer minus probability of the foil, over the whole vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from audit_core.errors import NotMeasured
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Logits


@dataclass(frozen=True)
class AnswerProbability:
    """Closer to the model's output than logits, but misses components that only lower other tokens."""

    name: str = "answer_probability"
    question: str = "How much more probable is the answer than the foil?"
    unit: str = "probability"
    needs_vocabulary: bool = True
    reads_sequences: bool = False
    is_preference: bool = True
    min_gap: float = 0.05

    def read(self, logits: Logits, pairs: Sequence[TokenPair]) -> NDArray[np.float64]:
        if logits.vocabulary is None:
            raise NotMeasured(
                "control_failed", "probabilities need logits of the whole vocabulary, which this run did not keep."
            )
        chances = np.exp(log_softmax(logits.vocabulary.astype(float), axis=-1))
        sums = [
            chances[:, at, list(p.answer_ids)].sum(-1) - chances[:, at, list(p.foil_ids)].sum(-1)
            for at, p in enumerate(pairs)
        ]
        return np.stack(sums, axis=1)


PLUGIN = AnswerProbability()
