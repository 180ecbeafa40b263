"""Plausibility views: relevance of each token to the answer position, derived from attention."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from audit_core.errors import Refused
from audit_core.subject import Floats, read_only


@dataclass(frozen=True, eq=False)
class AttentionRecord:
    """Attention of one prompt on its unedited run, with gradients of the logit difference."""

    patterns: Floats
    """Attention weights; each row sums to 1; shape (layer, head, query, key)."""
    gradients: Floats | None
    """∂(logit difference)/∂weight, through all later layers; logits per unit; shape (layer, head, query, key); None if
    the subject has no gradients."""

    def __post_init__(self) -> None:
        read_only(self.patterns)
        if self.gradients is not None:
            read_only(self.gradients)

    def require_gradients(self) -> Floats:
        """The gradients, for a view that needs them.

        Raises:
            Refused: there are none.
        """
        if self.gradients is None:
            raise Refused(
                "This view needs gradients, which were not computed.",
                wanted="a transformer whose blocks can be run one by one.",
                remedy="choose a view that uses patterns only.",
            )
        return self.gradients


class View(Protocol):
    """Interface of the plug-ins in `views/`."""

    @property
    def name(self) -> str: ...

    @property
    def question(self) -> str: ...

    @property
    def hides(self) -> str:
        """Known blind spots, in one sentence that is shown with every figure of this view."""

    @property
    def needs_gradients(self) -> bool:
        """Whether it uses more than the patterns."""

    def read(self, looks: AttentionRecord) -> Floats:
        """Relevance of each token to the answer position: dimensionless, or in logits if gradients are used; shape (key,).

        Raises:
            Refused: it needs gradients and there are none.
        """


def weigh_gradients(looks: AttentionRecord) -> Floats:
    """Gradient × attention of each head: ∇A ⊙ A, summed over queries and keys.

    First-order loss of the metric when all attention weights of the head shrink together. Signed, unlike views that
    keep the positive part only.

        Returns:
            In logits; shape (layer, head).

        Raises:
            Refused: there are no gradients.

        Source: Chefer et al. 2021, arXiv:2103.15679, equation 5, without the positive part; methods 2.17.
    """
    return read_only(
        np.einsum("lhqk,lhqk->lh", looks.require_gradients(), looks.patterns, dtype=np.float64).astype(np.float32)
    )
