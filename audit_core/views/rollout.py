"""Attention rollout: attention multiplied through the layers, with equal weight for the residual stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit_core.subject import Floats, read_only
from audit_core.view import AttentionRecord

RESIDUAL_SHARE = 0.5
"""Share of the residual stream per layer, by convention (Abnar and Zuidema 2020; methods 2.16)."""


def mix_residual(patterns: Floats) -> Floats:
    """½ (A + I) per layer, with A the mean over heads; rows sum to 1; shape (layer, head, query, key) → (layer, query, key)."""
    return (1 - RESIDUAL_SHARE) * patterns.mean(1) + RESIDUAL_SHARE * np.eye(patterns.shape[-1], dtype=np.float32)


def roll_out(patterns: Floats) -> Floats:
    """R_l = ½ (A_l + I) R_{l−1} through all layers; rows sum to 1; shape (query, key).

    Args:
        patterns: shape (layer, head, query, key).

    Source: Abnar and Zuidema 2020, arXiv:2005.00928, section 3.
    """
    rolled = np.eye(patterns.shape[-1], dtype=np.float64)
    for step in mix_residual(patterns):
        rolled = step @ rolled
    return rolled.astype(np.float32)


@dataclass(frozen=True)
class Rollout:
    """Row of the answer position in the rollout; sums to 1; shape (key,)."""

    name: str = "rollout"
    question: str = "How much of each token would reach the answer position if attention were all that mixes them?"
    hides: str = (
        "It hides the values that heads move, MLPs, signs and heads that cancel; half of each step is residual by convention, "
        "and the first token collects the attention of inactive heads."
    )
    needs_gradients: bool = False

    def read(self, looks: AttentionRecord) -> Floats:
        return read_only(roll_out(looks.patterns)[-1])


PLUGIN = Rollout()
