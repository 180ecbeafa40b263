"""A sparse dictionary of one residual site: encoder, decoder and thresholds; each of its features is a component."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component, Kind
from audit_core.errors import ComponentRefused
from audit_core.intervention import Edit, Gate, Replacement
from audit_core.subject import read_only

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Dictionary:
    """Sparse dictionary of the residual stream entering a layer, in units of the activation.

    value = encoder · x + bias if that is above the threshold, else 0; reconstruction = value · decoder + centre.
    """

    layer: int
    encoder: Array
    """Shape (feature, d_model)."""
    bias: Array
    """Shape (feature,)."""
    threshold: Array
    """Shape (feature,); not negative."""
    decoder: Array
    """Unit vectors; shape (feature, d_model)."""
    centre: Array
    """Shape (d_model,)."""
    longest: float = float("inf")
    """Norm above which an activation is not read; see `Gate.longest`."""

    def __post_init__(self) -> None:
        for array in (self.encoder, self.bias, self.threshold, self.decoder, self.centre):
            read_only(array)

    def __len__(self) -> int:
        return len(self.encoder)

    @property
    def d_model(self) -> int:
        return int(self.encoder.shape[1])

    @property
    def sha256(self) -> str:
        """Digest of the layer, the weights and the norm."""
        found = hashlib.sha256(f"{self.layer} {self.longest!r} {self.encoder.shape}".encode())
        for array in (self.encoder, self.bias, self.threshold, self.decoder, self.centre):
            found.update(np.ascontiguousarray(array, np.float32).tobytes())
        return found.hexdigest()

    def encode(self, x: NDArray) -> Array:
        """Value of each feature; (token, d_model) → (token, feature)."""
        value = x.astype(np.float32) @ self.encoder.T + self.bias
        is_read = np.linalg.norm(x, axis=1, keepdims=True) <= self.longest
        found: Array = np.where((value > self.threshold) & is_read, value, np.float32(0))
        return found

    def decode(self, values: NDArray) -> Array:
        """Reconstruction; (token, feature) → (token, d_model)."""
        found: Array = values.astype(np.float32) @ self.decoder + self.centre
        return found

    def reconstruct(self, x: NDArray) -> Array:
        """The activations as the dictionary rebuilds them; those that it does not read stay."""
        is_read = np.linalg.norm(x, axis=1, keepdims=True) <= self.longest
        found: Array = np.where(is_read, self.decode(self.encode(x)), x.astype(np.float32))
        return found

    def component(self, index: int, position: int | None = None) -> Component:
        """Address of a feature, such as L12.F431.

        Raises:
            ComponentRefused: the dictionary has no such feature.
        """
        if not 0 <= index < len(self):
            raise ComponentRefused(
                f"Feature {index}.", wanted=f"0 to {len(self) - 1}.", remedy="choose a feature of this dictionary."
            )
        return Component(self.layer, Kind.FEATURE, index, position)

    def edit(self, index: int, replacement: Replacement, *, factor: float = 1.0, position: int | None = None) -> Edit:
        """An edit of one feature: its share of the residual stream is replaced, what the dictionary leaves out stays.

        Args:
            factor: for `scale`, dimensionless; for `set` and `add`, in units of the value.
        """
        part = self.component(index, position)
        along = self.decoder[index].astype(float)
        return Edit(
            part, replacement, factor, tuple(map(float, along / np.linalg.norm(along))),
            tuple(map(float, self.encoder[index])),
            Gate(float(self.bias[index]), float(self.threshold[index]), self.longest),
        )  # fmt: skip


def draw_dictionary(like: Dictionary, x: NDArray, *, seed: int) -> Dictionary:
    """A random dictionary: random unit directions that encode and decode, each with the share of active tokens of the
    feature of its number.

    Args:
        x: activations on which that share is matched, shape (token, d_model).
    """
    draw = np.random.default_rng(seed).normal(size=like.encoder.shape).astype(np.float32)
    vectors = draw / np.linalg.norm(draw, axis=1, keepdims=True)
    read = x[np.linalg.norm(x, axis=1) <= like.longest].astype(np.float32)
    rates = (like.encode(read) > 0).mean(0)
    bias = -(like.centre @ vectors.T)
    values = read @ vectors.T + bias
    limits = np.array([np.quantile(values[:, at], 1 - rate) for at, rate in enumerate(rates)], np.float32)
    return Dictionary(
        like.layer, vectors, bias.astype(np.float32), np.maximum(limits, 0), vectors.copy(), like.centre, like.longest
    )
