"""Attention rollout: attention multiplied through the layers, half of each step being the residual stream."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from audit_core.subject import Floats, read_only
from audit_core.view import AttentionRecord

RESIDUAL_SHARE = 0.5
"""Abnar and Zuidema's; the share is a convention and not a measurement (methods 2.16)."""


def mix_residual(patterns: Floats) -> Floats:
    """½ (A + I) per layer, A the mean over heads; rows sum to 1; shape (layer, head, query, key) → (layer, query, key)."""
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
        "It hides what the heads move, the MLPs, every sign and heads that cancel; half of each step is residual by convention, "
        "and the first token collects what idle heads rest on."
    )
    needs_gradients: bool = False

    def read(self, looks: AttentionRecord) -> Floats:
        return read_only(roll_out(looks.patterns)[-1])


PLUGIN = Rollout()
