"""Log probability of the answers minus that of the foils, over all tokens of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import NotMeasured
from audit_core.prompts.prompt_set import SEQUENCE_METRIC, TokenPair
from audit_core.prompts.sequences import score_sets
from audit_core.subject import Logits


@dataclass(frozen=True)
class SequenceLogProbability:
    """Equals the logit difference for single tokens; each further answer token needs one more run."""

    name: str = SEQUENCE_METRIC
    question: str = "How much more probable, as a log ratio, are the whole answers than the whole foils?"
    unit: str = "nats"
    needs_vocabulary: bool = True
    reads_sequences: bool = True
    is_preference: bool = True
    min_gap: float = 0.5

    def read(self, logits: Logits, pairs: Sequence[TokenPair]) -> NDArray[np.float64]:
        if logits.vocabulary is None:
            raise NotMeasured(
                "control_failed", "probabilities need logits of the whole vocabulary, which this run did not keep."
            )
        return score_sets(logits.vocabulary, pairs)


PLUGIN = SequenceLogProbability()
