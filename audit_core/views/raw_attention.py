"""Raw attention: the last layer's patterns, averaged over heads."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core.subject import Floats, read_only
from audit_core.view import AttentionRecord


@dataclass(frozen=True)
class RawAttention:
    """Row of the answer position in the last layer, mean over heads; sums to 1; shape (key,)."""

    name: str = "raw_attention"
    question: str = "Which tokens does the last layer attend to from the answer position?"
    hides: str = "It hides all layers except the last, the values that heads move, and the sign of their effects."
    needs_gradients: bool = False

    def read(self, looks: AttentionRecord) -> Floats:
        return read_only(looks.patterns[-1, :, -1].mean(0))


PLUGIN = RawAttention()
