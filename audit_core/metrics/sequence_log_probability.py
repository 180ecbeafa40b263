"""Log probability of the right answers minus that of the foils, over every token of each."""

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
    """The logit difference where all are single tokens; each further token of an answer costs a run of its own."""

    name: str = SEQUENCE_METRIC
    question: str = "How much more probable, as a log ratio, are the right answers than the foils, read to their ends?"
    unit: str = "nats"
    needs_vocabulary: bool = True
    reads_sequences: bool = True
    min_gap: float = 0.5

    def read(self, logits: Logits, pairs: Sequence[TokenPair]) -> NDArray[np.float64]:
        if logits.vocabulary is None:
            raise NotMeasured("control_failed", "probabilities need the whole vocabulary, which this run did not read.")
        return score_sets(logits.vocabulary, pairs)


PLUGIN = SequenceLogProbability()
