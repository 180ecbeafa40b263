"""Divergence from the clean run: a metric of another kind, as an installation may add it, one file that nothing else names."""

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
class PlantedDivergence:
    """KL(clean ‖ run) over the vocabulary, negative, so that a loss counts as support; says nothing about the foil."""

    name: str = "planted_divergence"
    question: str = "How far are the next-token probabilities from those of the clean run?"
    unit: str = "nats"
    needs_vocabulary: bool = True
    reads_sequences: bool = False
    is_preference: bool = False
    min_gap: float = 0.05

    def read(self, logits: Logits, pairs: Sequence[TokenPair]) -> NDArray[np.float64]:
        if logits.vocabulary is None:
            raise NotMeasured("control_failed", "a divergence needs logits of the whole vocabulary.")
        runs = log_softmax(logits.vocabulary.astype(float), axis=-1)
        divergence: NDArray[np.float64] = (np.exp(runs[0]) * (runs[0] - runs)).sum(-1)
        return -divergence


PLUGIN = PlantedDivergence()
