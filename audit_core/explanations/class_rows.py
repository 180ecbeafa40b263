"""Local scores averaged over a prompt set, beside the measured effect of the same classes of units."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit_core.explanations.classes import classify_units, share_scores
from audit_core.explanations.results import ClassRow, ClassScoreRow
from audit_core.explanations.trial import Trial
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.disagreement import Conflict, list_orders, list_signs, magnitude
from audit_core.stats.estimates import Estimate

SHARE_UNIT = "share of absolute scores"


@dataclass(frozen=True)
class ClassRows:
    """Effects and scores of every class, and where they disagree."""

    effects: tuple[ClassRow, ...]
    scores: tuple[ClassScoreRow, ...]
    conflicts: tuple[Conflict, ...]


def read_classes(trial: Trial, *, seed: int) -> ClassRows:
    """Estimates over prompts, with intervals over templates.

    A method without a sign is compared by order alone, and with the size of the effects.
    """
    of_units = [each for units in trial.task.units for each in classify_units(units)]
    effects = {kind: _average(trial, losses, trial.effect.unit, seed) for kind, losses in trial.classes.items()}
    rows, conflicts = [], []
    for name, scores in trial.scores.items():
        shares = share_scores(trial.task, scores)
        means = {kind.value: _average(trial, values, SHARE_UNIT, seed) for kind, values in shares.items()}
        rows += [
            ClassScoreRow(
                method=name, unit_class=kind.value, share=means[kind.value], spread=_measure_spread(values)
            )
            for kind, values in shares.items()
        ]  # fmt: skip
        signed = {kind.value: effect for kind, effect in effects.items()}
        if trial.methods[name].is_signed:
            conflicts += [*list_signs(name, means, signed), *list_orders(name, means, signed)]
        else:
            conflicts += list_orders(name, means, {kind: magnitude(effect) for kind, effect in signed.items()})
    return ClassRows(
        tuple(
            ClassRow(unit_class=kind.value, n_units=of_units.count(kind), effect=one) for kind, one in effects.items()
        ),
        tuple(rows),
        tuple(conflicts),
    )


def _average(trial: Trial, values: np.ndarray, unit: str, seed: int) -> Estimate:
    """Mean over the prompts that have the class."""
    there = np.isfinite(values)
    clusters = [template for template, is_there in zip(trial.task.prompts.templates, there, strict=True) if is_there]
    return bootstrap_mean(values[there], clusters, unit=unit, seed=seed)


def _measure_spread(values: np.ndarray) -> float | None:
    """Standard deviation over prompts; None of a single one."""
    known = values[np.isfinite(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else None
