"""What a plausibility view returns: how much of each token reaches the answer position, as far as attention shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from audit_core.errors import Refused
from audit_core.subject import Floats, read_only


@dataclass(frozen=True, eq=False)
class AttentionRecord:
    """The attention of one prompt on its unedited run, and how the logit difference changes with each weight."""

    patterns: Floats
    """Attention weights; each row sums to 1; shape (layer, head, query, key)."""
    gradients: Floats | None
    """∂(logit difference)/∂weight, later layers following; logits per unit; shape (layer, head, query, key); None where
    the subject has no slopes."""

    def __post_init__(self) -> None:
        read_only(self.patterns)
        if self.gradients is not None:
            read_only(self.gradients)

    def take_gradients(self) -> Floats:
        """The slopes, for a view that cannot do without.

        Raises:
            Refused: there are none.
        """
        if self.gradients is None:
            raise Refused(
                "A view that needs slopes, and none were taken.",
                wanted="a transformer whose blocks can be run one by one.",
                remedy="choose a view of the patterns alone.",
            )
        return self.gradients


class View(Protocol):
    """The contract of the `views/` shelf."""

    @property
    def name(self) -> str: ...

    @property
    def question(self) -> str: ...

    @property
    def hides(self) -> str:
        """What it does not show, in one sentence that stands beside every figure drawn from it."""

    @property
    def needs_gradients(self) -> bool:
        """Whether it looks at more than the patterns."""

    def read(self, looks: AttentionRecord) -> Floats:
        """Relevance of each token to the answer position: dimensionless, or in logits where slopes enter; shape (key,).

        Raises:
            Refused: it needs slopes and there are none.
        """


def weigh_gradients(looks: AttentionRecord) -> Floats:
    """Gradient × attention of each head: ∇A ⊙ A added up over its queries and keys.

    To first order what the metric would lose if all of the head's weights shrank together; with its sign, unlike the
    maps that keep only its positive part.

    Returns:
        In logits; shape (layer, head).

    Raises:
        Refused: there are no slopes.

    Source: Chefer et al. 2021, arXiv:2103.15679, equation 5, without the positive part; methods 2.17.
    """
    return read_only(
        np.einsum("lhqk,lhqk->lh", looks.take_gradients(), looks.patterns, dtype=np.float64).astype(np.float32)
    )
