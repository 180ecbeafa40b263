"""Everything measured of one question, in whatever unit the answer was read."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from audit_core.documents.labels import DELTA, Measured
from audit_core.documents.lattice import find_interaction, find_shapley
from audit_core.documents.question import Encoded, Question
from audit_core.prompts.answers import Tokens
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.stats.shares import share_of

Array = NDArray[np.float64]
UNIT = "logits"


@dataclass(frozen=True, eq=False)
class VariantRuns:
    """What was read of the given answer under every variant; `unit` and `least_lead` are of that reading."""

    unit: ClassVar[str] = UNIT
    least_lead: ClassVar[float] = 0.5
    """Smallest lead of which a fraction is meaningful."""

    question: Question
    given: str
    foil: str
    is_first: bool
    closed_book: str
    """Preferred value without documents; empty without a preference."""
    lattice: Array
    """Lead of the given value by kept documents and filler; shape (2ⁿ, filler)."""
    deleted: Array
    """The same with the other documents deleted; shape (2ⁿ,)."""
    orders: Array
    """Lead under every other order; shape (order,)."""
    order_flips: int
    doubled: Array
    """Lead with one document repeated; shape (n,)."""
    followed: tuple[tuple[int, int] | None, ...]
    """Followed edits and edits, per document."""
    swapped: Array = field(default_factory=lambda: np.empty(0), kw_only=True)
    """Lead with the next hit in place of one document; shape (n,), or (0,) where it is not known."""
    swapped_to: tuple[str, ...] = field(default=(), kw_only=True)
    """Preferred value then; empty texts without a preference."""

    @property
    def n(self) -> int:
        return len(self.question.documents)

    @property
    def lead(self) -> float:
        return float(self.lattice[-1, 0])

    @property
    def delta(self) -> float:
        """Smallest effect that matters."""
        mean = self.lattice.mean(axis=1)
        return DELTA * max(abs(self.lead), abs(float(mean[-1] - mean[0])), self.least_lead)

    def lose(self, *gone: int) -> Estimate:
        """Loss when these documents are replaced."""
        kept = (1 << self.n) - 1 - sum(1 << at for at in gone)
        return self._average(self.lattice[-1] - self.lattice[kept])

    def restore(self, *kept: int) -> Estimate:
        """Gain when only these are kept."""
        return self._average(self.lattice[sum(1 << at for at in kept)] - self.lattice[0])

    def interact(self, first: int, second: int) -> Estimate:
        return self._average(find_interaction(self.lattice, first, second))

    def _average(self, values: Array) -> Estimate:
        return average_of(values, self.unit)

    @property
    def shapley(self) -> Array:
        return find_shapley(self.lattice.mean(axis=1))

    @property
    def efficiency_error(self) -> float:
        """Distance of the Shapley values' sum from the effect of all documents."""
        mean = self.lattice.mean(axis=1)
        return float(abs(self.shapley.sum() - (mean[-1] - mean[0])))

    @property
    def order_effect(self) -> float:
        return float(np.abs(self.orders - self.lead).mean()) if len(self.orders) else 0.0

    def find_follow(self, number: int) -> Estimate | None:
        found = self.followed[number]
        return None if found is None else share_of(*found, "of the edits")

    def as_measured(self) -> Measured:
        """What the label is made from."""
        documents = range(self.n)
        pairs = tuple(itertools.combinations(documents, 2))
        return Measured(
            self.delta, self.given, self.closed_book, tuple(map(self.question.find_stated, documents)),
            tuple(self.lose(at) for at in documents), tuple(map(self.find_follow, documents)),
            tuple(self.restore(at) for at in documents), {pair: self.lose(*pair) for pair in pairs},
            {pair: self.interact(*pair) for pair in pairs}, {pair: self.restore(*pair) for pair in pairs}, self.order_effect, self.order_flips, self.question.cited,
        )  # fmt: skip


def average_of(values: Array, unit: str) -> Estimate:
    """Mean over fillers with Student's interval; shape (filler,)."""
    n, mean = len(values), float(values.mean())
    if n < 2:
        return Estimate(mean, None, None, n, unit, None)
    half = float(-stdtrit(n - 1, (1 - LEVEL) / 2) * values.std(ddof=1) / np.sqrt(n))
    return Estimate(mean, mean - half, mean + half, n, unit, LEVEL)


@dataclass(frozen=True, eq=False)
class QuestionRuns(VariantRuns):
    """Of an open model: leads in logits, with the tokens that were run."""

    encoded: Encoded
    fillers: tuple[tuple[Tokens, ...], ...]
    """Per document, then per filler."""
