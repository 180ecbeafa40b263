"""Difference of one claim's effect between two sets of runs on the same prompts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audit_core.claim import Role
from audit_core.judging.faithfulness import UNIT
from audit_core.judging.trial import Trial
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import Estimate


def estimate_difference(
    trial: Trial, other: Trial, ids: Sequence[str], other_ids: Sequence[str], *, seed: int
) -> Estimate:
    """Effect in one trial minus effect in the other, on the prompts of the first, paired by id.

    Each effect is a ratio of means. Its value per prompt is the ratio plus the prompt's influence on it, so that the mean is
    the ratio and the spread is that of its linear approximation (delta method).

    Args:
        ids: prompts of the first trial, in order; all are among `other_ids`.
    """
    place = {name: at for at, name in enumerate(other_ids)}
    paired = other.take([place[name] for name in ids])
    values = _linearise(trial) - _linearise(paired)
    return bootstrap_mean(values, trial.clusters, unit=UNIT, seed=seed)


def _linearise(trial: Trial) -> NDArray[np.float64]:
    circuit = trial.families[trial.claim.ablation]
    numerator, denominator = circuit.necessity if trial.claim.role is Role.NECESSARY else circuit.sufficiency
    ratio = numerator.mean() / denominator.mean()
    linear: NDArray[np.float64] = ratio + (numerator - ratio * denominator) / denominator.mean()
    return linear
