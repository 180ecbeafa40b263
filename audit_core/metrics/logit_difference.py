"""Logit difference: logit of the answer minus logit of the foil, at the answer position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Logits


@dataclass(frozen=True)
class LogitDifference:
    """Linear in the final residual stream, so it detects negative components (Zhang & Nanda 2023, arXiv:2309.16042)."""

    name: str = "logit_difference"
    question: str = "By how much does the model prefer the answer to the foil?"
    unit: str = "logits"
    needs_vocabulary: bool = False
    reads_sequences: bool = False
    is_preference: bool = True
    min_gap: float = 0.5

    def read(self, logits: Logits, pairs: Sequence[TokenPair]) -> NDArray[np.float64]:
        return logits.answer.astype(float) - logits.foil


PLUGIN = LogitDifference()
