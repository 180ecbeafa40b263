"""A model's outputs as one preference a row, counted as they are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from audit_core.errors import ControlFailed, Refused
from audit_core.subject import Progress, Tables, no_progress
from audit_core.tabular.table import Floats, Reading

LOGITS, SCORE = "logits", "model score"
_CLIP = 1e-6
"""Probabilities of float32 are no finer near 1; beyond it, log odds would be noise."""
CHUNK = 20_000


@dataclass(frozen=True)
class EstimatorTables:
    """Implements `Tables` over a fitted classifier in memory, such as one of scikit-learn; no file is opened."""

    estimator: Any
    n_features: int
    names: tuple[str, ...] = ()

    def read_rows(self, rows: Floats) -> Floats:
        """Probabilities where the estimator has them, else its decision function or prediction; shape (row, output)."""
        for name in ("predict_proba", "decision_function", "predict"):
            if hasattr(self.estimator, name):
                found = np.asarray(getattr(self.estimator, name)(rows), float)
                return found.reshape(len(rows), -1)
        raise Refused(
            f"A {type(self.estimator).__name__}.", wanted="`predict_proba`, `decision_function` or `predict`.",
            remedy="give a fitted estimator.",
        )  # fmt: skip


class Scorer:
    """Reads rows in parts, so that a run can be cancelled, and counts them."""

    def __init__(self, model: Tables, reading: Reading, total: int = 0, on_progress: Progress = no_progress) -> None:
        self.model, self.reading, self.total, self.on_progress, self.done = model, reading, total, on_progress, 0

    @property
    def unit(self) -> str:
        return LOGITS if self.reading is Reading.PROBABILITY else SCORE

    def read(self, rows: Floats) -> Floats:
        """Preference for yes; shape (..., feature) → (...). Above 0 the decision is yes."""
        flat = rows.reshape(-1, rows.shape[-1])
        parts = []
        for start in range(0, len(flat), CHUNK):
            part = flat[start : start + CHUNK]
            parts.append(score(np.asarray(self.model.read_rows(part), float), len(part), self.reading))
            self.done += len(part)
            self.on_progress(min(self.done, self.total), max(self.total, 1))
        found: Floats = np.concatenate(parts).reshape(rows.shape[:-1])
        return found


def score(outputs: Floats, n: int, reading: Reading) -> Floats:
    """One number a row from one or two outputs.

    Raises:
        ControlFailed: an output is not finite.
        Refused: another number of outputs, or no probabilities.
    """
    if outputs.ndim != 2 or outputs.shape[0] != n or outputs.shape[1] not in (1, 2):
        raise Refused(
            f"Outputs of shape {outputs.shape} for {n} rows.", wanted="one output, or two classes.",
            remedy="export a model that decides between two classes.",
        )  # fmt: skip
    if not np.isfinite(outputs).all():
        raise ControlFailed("the model gives no finite number for some row.")
    if reading is Reading.SCORE:
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs[:, 1] - outputs[:, 0]
    adds_up = outputs.shape[1] == 1 or np.abs(outputs.sum(1) - 1).max() <= 1e-3
    if outputs.min() < -1e-6 or outputs.max() > 1 + 1e-6 or not adds_up:
        raise Refused(
            f"Outputs from {outputs.min():.3g} to {outputs.max():.3g}.", wanted="probabilities.",
            remedy="say that the output is a score.",
        )  # fmt: skip
    yes = np.clip(outputs[:, -1], _CLIP, 1 - _CLIP)
    found: Floats = np.log(yes / (1 - yes))
    return found
