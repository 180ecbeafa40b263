"""Signals of a monitor: one number for each token from the residual stream entering one layer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from audit_core.errors import NotMeasured
from audit_core.features import Dictionary
from audit_core.probes.linear import fit_probe
from audit_core.subject import Floats, read_only

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]
LEAST_TOKENS = 20
"""Tokens of each kind below which no signal is fitted."""


class SignalKind(StrEnum):
    """What a monitor reads."""

    PROBE = "probe"
    DISTANCE = "distance"
    FEATURE = "feature"


class Signal(Protocol):
    """A frozen function of one token's activation."""

    kind: ClassVar[SignalKind]

    @property
    def d_model(self) -> int: ...

    @property
    def multiply_adds(self) -> int:
        """Multiplications with an addition for one token, beside the pass that gives the activation."""

    def score(self, x: Floats) -> Array:
        """(token, d_model) → (token,); higher is more unlike normal traffic."""


@dataclass(frozen=True, eq=False)
class ProbeSignal:
    """Log-odds of a linear probe."""

    weights: Array
    """Shape (d_model,)."""
    bias: Array
    """Shape (1,)."""
    kind: ClassVar[SignalKind] = SignalKind.PROBE

    def __post_init__(self) -> None:
        read_only(self.weights)
        read_only(self.bias)

    @property
    def d_model(self) -> int:
        return len(self.weights)

    @property
    def multiply_adds(self) -> int:
        return self.d_model

    def score(self, x: Floats) -> Array:
        found: Array = x.astype(float) @ self.weights + self.bias[0]
        return found


@dataclass(frozen=True, eq=False)
class DistanceSignal:
    """Mahalanobis distance from the mean of normal tokens, squared, over the width: about 1 for a normal token."""

    mean: Array
    """Shape (d_model,)."""
    precision: Array
    """Inverse covariance; shape (d_model, d_model)."""
    kind: ClassVar[SignalKind] = SignalKind.DISTANCE

    def __post_init__(self) -> None:
        read_only(self.mean)
        read_only(self.precision)

    @property
    def d_model(self) -> int:
        return len(self.mean)

    @property
    def multiply_adds(self) -> int:
        return self.d_model * (self.d_model + 1)

    def score(self, x: Floats) -> Array:
        apart = x.astype(float) - self.mean
        found: Array = np.einsum("td,td->t", apart @ self.precision, apart) / self.d_model
        return found


@dataclass(frozen=True, eq=False)
class FeatureSignal:
    """Value of one feature of a sparse dictionary."""

    encoder: Array
    """Shape (d_model,)."""
    decoder: Array
    """Unit vector; shape (d_model,)."""
    limits: Array
    """Bias, threshold, and the norm above which no activation is read; shape (3,)."""
    kind: ClassVar[SignalKind] = SignalKind.FEATURE

    def __post_init__(self) -> None:
        for array in (self.encoder, self.decoder, self.limits):
            read_only(array)

    @property
    def d_model(self) -> int:
        return len(self.encoder)

    @property
    def multiply_adds(self) -> int:
        return 2 * self.d_model

    def score(self, x: Floats) -> Array:
        bias, threshold, longest = self.limits
        value = x.astype(float) @ self.encoder + bias
        is_read = np.linalg.norm(x, axis=1) <= longest
        found: Array = np.where((value > threshold) & is_read, value, 0.0)
        return found


SIGNALS: dict[SignalKind, type] = {one.kind: one for one in (ProbeSignal, DistanceSignal, FeatureSignal)}


def fit_probe_signal(x: Floats, is_case: Flags) -> ProbeSignal:
    """A probe that tells the tokens of cases from normal ones.

    Args:
        x: shape (token, d_model).

    Raises:
        NotMeasured: too few tokens of one kind.
    """
    if min(int(is_case.sum()), int((~is_case).sum())) < LEAST_TOKENS:
        raise NotMeasured(
            "low_power", f"a probe needs {LEAST_TOKENS} tokens of cases and of normal texts; give more texts of both."
        )
    found = fit_probe(x.astype(float), is_case)
    return ProbeSignal(found.weights, np.array([found.bias]))


def fit_distance_signal(x: Floats) -> DistanceSignal:
    """Mean and shrunken covariance of normal tokens.

    Args:
        x: of normal tokens, shape (token, d_model).

    Raises:
        NotMeasured: too few tokens, or all of them equal.
    """
    if len(x) < LEAST_TOKENS:
        raise NotMeasured("low_power", f"a distance needs {LEAST_TOKENS} normal tokens; give more texts.")
    # 4-byte numbers, as in the file: the stored signal is the one that is calibrated.
    precision = np.linalg.inv(estimate_covariance(x.astype(float))).astype(np.float32).astype(float)
    return DistanceSignal(x.astype(float).mean(0), precision)


def take_feature(dictionary: Dictionary, index: int) -> FeatureSignal:
    """One feature of a dictionary.

    Raises:
        ComponentRefused: the dictionary has no such feature.
    """
    dictionary.component(index)
    limits = [dictionary.bias[index], dictionary.threshold[index], dictionary.longest]
    return FeatureSignal(
        dictionary.encoder[index].astype(float), dictionary.decoder[index].astype(float), np.array(limits, float)
    )


def estimate_covariance(x: Array) -> Array:
    """Sample covariance shrunken towards a multiple of the identity; shape (d_model, d_model).

    Raises:
        NotMeasured: no variance at all.

    Source: Ledoit and Wolf 2004, Journal of Multivariate Analysis 88, lemma 3.3; as `sklearn.covariance.ledoit_wolf`.
    """
    apart = x - x.mean(0)
    n, width = apart.shape
    sample = apart.T @ apart / n
    even = float(np.trace(sample)) / width
    if not even > 0:
        raise NotMeasured("control_failed", "the activations of these texts do not differ.")
    spread = float(((sample - even * np.eye(width)) ** 2).sum())
    noise = float(((apart**2).sum(1) ** 2).sum()) / n - float((sample**2).sum())
    share = min(1.0, noise / n / spread) if spread > 0 else 1.0
    # Not quite zero, so that a direction without variance has a finite distance.
    share = max(share, 1e-6)
    found: Array = (1 - share) * sample + share * even * np.eye(width)
    return found
