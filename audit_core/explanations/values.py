"""The metric of changed inputs, in batches of the engine; each distinct input runs once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from audit_core.effect import get_metric
from audit_core.engine.input_tree import run_tree
from audit_core.engine.runner import WaveRunner
from audit_core.errors import NotMeasured
from audit_core.intervention import CLEAN_RUN
from audit_core.prompts.answers import Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair
from audit_core.subject import Logits, Progress, Subject, no_progress

METRIC = "logit_difference"
"""The metric of all gradients, so that every method is asked about the same number."""
_Key = tuple[Tokens, Tokens, Tokens]


class InputValues:
    """Reads the metric of inputs at their last position, and remembers it."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.metric = subject, get_metric(METRIC)
        self._known: dict[_Key, float] = {}

    @property
    def n_inputs(self) -> int:
        """Distinct inputs that were run."""
        return len(self._known)

    def read(
        self, wanted: Sequence[tuple[TokenPair, Tokens]], *, on_progress: Progress = no_progress
    ) -> NDArray[np.float64]:
        """Logit difference of each input with its prompt's answers and foils; shape (input,), in logits.

        Raises:
            NotMeasured: the model produced NaN.
        """
        keys = [(pair.answer_ids, pair.foil_ids, ids) for pair, ids in wanted]
        new = {key: pair for key, (pair, _) in zip(keys, wanted, strict=True) if key not in self._known}
        if new:
            pairs = tuple(self._put(pair, ids) for (_, _, ids), pair in new.items())
            logits = self._run(TokenisedPrompts("changed inputs", pairs, ""), on_progress)
            values = self.metric.read(logits, pairs)[0]
            if not np.isfinite(values).all():
                raise NotMeasured("control_failed", "the model produced NaN on a changed input.")
            self._known |= zip(new, values.tolist(), strict=True)
        return np.array([self._known[key] for key in keys])

    def _run(self, prompts: TokenisedPrompts, on_progress: Progress) -> Logits:
        """Sets of kept units begin alike, so that a model that can continue from a beginning computes each one once."""
        runner = getattr(self.subject, "runner", None)
        if isinstance(runner, WaveRunner) and runner.shares_prefix and not runner.fallback:
            return run_tree(runner, prompts, on_progress=on_progress)
        return self.subject.run(prompts, (CLEAN_RUN,), on_progress=on_progress)

    def _put(self, pair: TokenPair, ids: Tokens) -> TokenPair:
        # A pair needs another run that differs. It is never run.
        other = (*ids[:-1], (ids[-1] + 1) % self.subject.geometry.n_vocabulary)
        return replace(pair, clean_ids=ids, corrupted_ids=other)
