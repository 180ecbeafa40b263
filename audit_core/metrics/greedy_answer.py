"""Whether greedy decoding gives the answer, minus whether it gives the foil."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import NotMeasured
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Logits


@dataclass(frozen=True)
class GreedyAnswer:
    """1 where the most probable token is an answer, −1 where it is a foil, 0 elsewhere. Blind to changes that leave it."""

    name: str = "greedy_answer"
    question: str = "Does greedy decoding give the answer rather than the foil?"
    unit: str = "share of prompts"
    needs_vocabulary: bool = True
    reads_sequences: bool = False
    is_preference: bool = False
    min_gap: float = 0.05

    def read(self, logits: Logits, pairs: Sequence[TokenPair]) -> NDArray[np.float64]:
        if logits.vocabulary is None:
            raise NotMeasured(
                "control_failed", "greedy decoding needs logits of the whole vocabulary, which were not kept."
            )
        chosen = logits.vocabulary.argmax(-1)
        columns = [
            np.isin(chosen[:, at], pair.answer_ids).astype(float) - np.isin(chosen[:, at], pair.foil_ids)
            for at, pair in enumerate(pairs)
        ]
        return np.stack(columns, axis=1)


PLUGIN = GreedyAnswer()
