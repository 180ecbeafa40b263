"""Probability that nucleus sampling (top-p 0.9) gives the answer, minus that it gives the foil.

Source: Holtzman et al. 2020, arXiv:1904.09751, section 3.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from audit_core.errors import NotMeasured
from audit_core.prompts.prompt_set import TokenPair
from audit_core.subject import Logits

TOP_P = 0.9


@dataclass(frozen=True)
class NucleusAnswer:
    """Computed from the logits, so it has no error of sampling. 0 where neither is in the nucleus. Reads one token."""

    name: str = "nucleus_answer"
    question: str = "How much more often does top-p sampling (0.9) give the answer than the foil?"
    unit: str = "probability"
    needs_vocabulary: bool = True
    reads_sequences: bool = False
    is_preference: bool = False
    min_gap: float = 0.05

    def read(self, logits: Logits, pairs: Sequence[TokenPair]) -> NDArray[np.float64]:
        if logits.vocabulary is None:
            raise NotMeasured("control_failed", "sampling needs logits of the whole vocabulary, which were not kept.")
        columns = []
        for at, pair in enumerate(pairs):
            chances = keep_nucleus(softmax(logits.vocabulary[:, at].astype(float), axis=-1))
            columns.append(chances[:, list(pair.answer_ids)].sum(-1) - chances[:, list(pair.foil_ids)].sum(-1))
        return np.stack(columns, axis=1)


def keep_nucleus(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    """The most probable tokens whose probabilities first sum to `TOP_P`, rescaled to 1; shape (run, token).

    Tokens as probable as the last of them are kept with it: which of several equals comes first is an accident of the vocabulary.
    """
    # Equal but for the last digits is equal.
    rounded = np.round(chances, 12)
    ranked = -np.sort(-rounded, axis=-1)
    # A token is kept while those before it sum to less than the threshold, so that at least one is.
    n_kept = (np.cumsum(ranked, axis=-1) - ranked < TOP_P - 1e-9).sum(-1, keepdims=True)
    kept = np.where(rounded >= np.take_along_axis(ranked, n_kept - 1, axis=-1), chances, 0.0)
    return kept / kept.sum(-1, keepdims=True)


PLUGIN = NucleusAnswer()
