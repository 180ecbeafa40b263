"""Estimates of the measured items of a benchmark, and what they say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.benchmarks.results import AGAINST, CARRIES, DELTA, NOTHING, UNRESOLVED
from audit_core.benchmarks.scoring import Margin
from audit_core.controls import Controls
from audit_core.judging.verdict import AGREEMENT
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio
from audit_core.stats.estimates import Estimate
from audit_core.stats.shares import wilson

Floats = NDArray[np.float64]
SHARE = "of the items"
_ALPHA = 0.05
MIN_SETS = 5
_MIN_ITEMS = 10
"""With fewer right items no reading is given."""


@dataclass(frozen=True, eq=False)
class Effects:
    """Margins of measured items."""

    rows: tuple[int, ...]
    """Their places among all items."""
    clean: Floats
    """Shape (item,)."""
    without: Floats
    """Without the components, then without each random set; shape (1 + set, item)."""
    controls: Controls
    kept: Floats | None
    """Without the components, with later neurons kept in range; shape (item,). None if not measured."""
    no_range: str

    @property
    def loss(self) -> Floats:
        return self.clean - self.without


class Summary:
    """Estimates of the measured items, with intervals over clusters."""

    def __init__(self, prompts: TokenisedPrompts, effects: Effects, seed: int) -> None:
        self.effects, self.seed = effects, seed
        self.clusters = prompts.take(effects.rows).templates
        loss = effects.loss
        self.effect = self.average(loss[0])
        self.excess = self.average(loss[0] - loss[1:].mean(axis=0))
        self.fraction = bootstrap_ratio(loss[0], effects.clean, self.clusters, unit="of the margin", seed=seed)
        self.stays_right = wilson(int((effects.without[0] > 0).sum()), len(effects.rows), SHARE)
        means = loss.mean(axis=1)
        self.beaten_by = int((np.abs(means[1:]) >= abs(means[0])).sum())
        self.p = (1 + self.beaten_by) / len(means)

    @property
    def in_range(self) -> Estimate | None:
        """Loss of the margin with later neurons kept in range."""
        kept = self.effects.kept
        return None if kept is None else self.average(self.effects.clean - kept)

    @property
    def is_lost_in_range(self) -> bool:
        """Whether less than half of the effect, or none beyond δ, is left in range: the rest needs an unusual input."""
        kept, effects = self.effects.kept, self.effects
        if kept is None:
            return False
        lost = np.sign(self.effect.value) * (effects.clean - kept)
        left = bootstrap_ratio(lost, effects.clean, self.clusters, unit="of the margin", seed=self.seed)
        is_less = lost.mean() < AGREEMENT * abs(self.effect.value)
        return bool(is_less or left.low is None or left.low <= DELTA)

    def average(self, values: Floats) -> Estimate:
        return bootstrap_mean(values, self.clusters, unit=Margin().unit, seed=self.seed)

    def read(self) -> str:
        """What the numbers say: an effect beyond δ that random sets do not reach, or one within δ."""
        low, high, n_sets = self.fraction.low, self.fraction.high, len(self.effects.without) - 1
        if low is None or high is None or len(self.effects.rows) < _MIN_ITEMS or n_sets < MIN_SETS:
            return UNRESOLVED
        if low > -DELTA and high < DELTA:
            return NOTHING
        # Where few other sets exist, p cannot reach 0.05: then none of them may do as much.
        is_beyond_random = self.p <= max(_ALPHA, 1 / (1 + n_sets))
        excess = self.excess
        if low > DELTA and is_beyond_random and excess.low is not None and excess.low > 0:
            return UNRESOLVED if self.is_lost_in_range else CARRIES
        if high < -DELTA and is_beyond_random and excess.high is not None and excess.high < 0:
            return UNRESOLVED if self.is_lost_in_range else AGAINST
        return UNRESOLVED
