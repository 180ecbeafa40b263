"""The subspace of a label: the direction that is erased, or swapped between texts, and random ones of equal rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component
from audit_core.errors import NotMeasured
from audit_core.intervention import Edit, Replacement

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Subspace:
    """An oblique projection of rank one: x − writes · (reads · x − middle) has nothing along it."""

    writes: Array
    """Unit vector that is moved along; shape (d_model,)."""
    reads: Array
    """What is read; its product with `writes` is 1; shape (d_model,)."""
    middle: float
    """What is read from the mean activation."""

    def erase(self, x: Array) -> Array:
        """The affine transform on activations, shape (text, d_model)."""
        return x - (x @ self.reads - self.middle)[:, None] * self.writes

    def edit(self, component: Component, replacement: Replacement) -> Edit:
        """The same as an edit: `set` erases, `resample` takes the value of the pair's other text, `identity` its own."""
        return Edit(
            component, replacement, self.middle if replacement is Replacement.SET else 1.0,
            tuple(map(float, self.writes)), tuple(map(float, self.reads)),
        )  # fmt: skip


class Activity:
    """Activations at one site, from which subspaces are fitted."""

    def __init__(self, x: Array) -> None:
        """Args:
        x: activations of the training texts, shape (text, d_model).
        """
        self.x, self.mean = x, x.mean(0)
        _, sizes, self._right = np.linalg.svd(x - self.mean, full_matrices=False)
        variances = sizes**2 / len(x)
        self._alpha, self._floor = shrink(variances, x.shape[1], len(x))
        self._inverse = 1 / (self._alpha * variances + self._floor) - 1 / self._floor

    def solve(self, vector: Array) -> Array:
        """Inverse of the shrunken covariance times a vector, both of shape (d_model,)."""
        solved: Array = (self._inverse * (self._right @ vector)) @ self._right + vector / self._floor
        return solved

    def fit_label(self, y: Flags) -> Subspace:
        """LEACE for a label with two values: the smallest change, in the covariance of the activations, after which no
        linear probe beats a constant on these texts.

        Raises:
            NotMeasured: the activations are the same under both labels.

        Source: Belrose et al. 2023, arXiv:2306.03819, theorem 4.3, for rank one.
        """
        return self._take(self.x[y].mean(0) - self.x[~y].mean(0))

    def draw_direction(self, draw: np.random.Generator) -> Subspace:
        """A random subspace of rank one, within the span of the activations and with their covariance."""
        return self._take(draw.normal(size=len(self.x)) @ (self.x - self.mean))

    def _take(self, along: Array) -> Subspace:
        length = float(np.linalg.norm(along))
        if not length > 1e-9 * max(1.0, float(np.linalg.norm(self.mean))):
            raise NotMeasured("control_failed", "the activations do not differ between the labels at this site.")
        writes = along / length
        solved = self.solve(writes)
        reads = solved / (solved @ writes)
        return Subspace(writes, reads, float(reads @ self.mean))


def shrink(variances: Array, width: int, n: int) -> tuple[float, float]:
    """Share of a sample covariance that is kept, and the multiple of the identity that is added.

    Args:
        variances: its eigenvalues that are not zero.
        width: number of features.
        n: number of texts.

    Source: Bodnar, Gupta and Parolya 2014, arXiv:1308.2608; as in concept-erasure 0.2.4, `optimal_linear_shrinkage`.
    """
    trace, square = float(variances.sum()), float((variances**2).sum())
    even = trace**2 / width
    if not trace:
        return 0.0, 1.0
    bottom = square * even - (trace * trace / width) ** 2
    alpha = 1 - trace**2 * even / n / bottom if bottom > 0 else 0.0
    alpha = float(np.clip(alpha, 0.0, 1.0))
    # Not quite zero, so that directions without variance can be solved for.
    return alpha, max((1 - alpha) * trace / width, 1e-9 * trace)
