"""Exact match: a metric of another kind, as an installation may add it, one file that nothing else names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import NotMeasured
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Logits


@dataclass(frozen=True)
class PlantedMatch:
    """1 where the most probable token is the answer, else 0."""

    name: str = "planted_match"
    question: str = "Is the answer the most probable token?"
    unit: str = "share of prompts"
    needs_vocabulary: bool = True
    reads_sequences: bool = False
    is_preference: bool = True
    min_gap: float = 0.25

    def read(self, logits: Logits, pairs: Sequence[TokenPair]) -> NDArray[np.float64]:
        if logits.vocabulary is None:
            raise NotMeasured("control_failed", "a match needs logits of the whole vocabulary.")
        return (logits.vocabulary.argmax(-1) == [pair.answer_id for pair in pairs]).astype(float)


PLUGIN = PlantedMatch()
