"""Probability that sampling at temperature 0.7 gives the answer, minus that it gives the foil."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from audit_core.errors import NotMeasured
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Logits

TEMPERATURE = 0.7


@dataclass(frozen=True)
class TemperatureAnswer:
    """Computed from the logits, so it has no error of sampling. Reads one token."""

    name: str = "temperature_answer"
    question: str = "How much more often does sampling at temperature 0.7 give the answer than the foil?"
    unit: str = "probability"
    needs_vocabulary: bool = True
    reads_sequences: bool = False
    is_preference: bool = True
    min_gap: float = 0.05

    def read(self, logits: Logits, pairs: Sequence[TokenPair]) -> NDArray[np.float64]:
        if logits.vocabulary is None:
            raise NotMeasured("control_failed", "sampling needs logits of the whole vocabulary, which were not kept.")
        chances = softmax(logits.vocabulary.astype(float) / TEMPERATURE, axis=-1)
        columns = [
            chances[:, at, list(pair.answer_ids)].sum(-1) - chances[:, at, list(pair.foil_ids)].sum(-1)
            for at, pair in enumerate(pairs)
        ]
        return np.stack(columns, axis=1)


PLUGIN = TemperatureAnswer()
