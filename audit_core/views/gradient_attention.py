"""Gradient-weighted attention, multiplied through the layers: attention where more of it would raise the answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit_core.subject import Floats, read_only
from audit_core.view import AttentionRecord


def roll_slopes(looks: AttentionRecord) -> Floats:
    """R_l = (I + mean over heads of (∇A_l ⊙ A_l)^+) R_{l−1} through all layers; shape (query, key).

    Raises:
        Refused: there are no slopes.

    Source: Chefer et al. 2021, arXiv:2103.15679, equations 5 and 6.
    """
    kept = np.maximum(looks.take_gradients() * looks.patterns, 0).mean(1, dtype=np.float64)
    rolled = np.eye(kept.shape[-1])
    for step in kept:
        rolled = rolled + step @ rolled
    return rolled.astype(np.float32)


@dataclass(frozen=True)
class GradientAttention:
    """Row of the answer position; the answer position itself holds the 1 it starts with; shape (key,)."""

    name: str = "gradient_attention"
    question: str = "Which tokens does the answer position look at where more attention would raise the answer?"
    hides: str = (
        "The sign is removed: heads that push against the answer are hidden, and so is whatever acts through a saturated softmax "
        "or steps in when another is gone."
    )
    needs_gradients: bool = True

    def read(self, looks: AttentionRecord) -> Floats:
        return read_only(roll_slopes(looks)[-1])


PLUGIN = GradientAttention()
