"""Gradient-weighted attention, multiplied through the layers: attention whose increase raises the answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit_core.subject import Floats, read_only
from audit_core.view import AttentionRecord


def roll_gradients(looks: AttentionRecord) -> Floats:
    """R_l = (I + mean over heads of (∇A_l ⊙ A_l)^+) R_{l−1} through all layers; shape (query, key).

    Raises:
        Refused: there are no gradients.

    Source: Chefer et al. 2021, arXiv:2103.15679, equations 5 and 6.
    """
    kept = np.maximum(looks.require_gradients() * looks.patterns, 0).mean(1, dtype=np.float64)
    rolled = np.eye(kept.shape[-1])
    for step in kept:
        rolled = rolled + step @ rolled
    return rolled.astype(np.float32)


@dataclass(frozen=True)
class GradientAttention:
    """Row of the answer position, whose own entry starts at 1; shape (key,)."""

    name: str = "gradient_attention"
    question: str = "To which tokens does attention from the answer position raise the answer?"
    hides: str = (
        "Negative parts are removed: it hides heads that act against the answer, effects through a saturated softmax, "
        "and backup components."
    )
    needs_gradients: bool = True

    def read(self, looks: AttentionRecord) -> Floats:
        return read_only(roll_gradients(looks)[-1])


PLUGIN = GradientAttention()
