"""A sparse dictionary of one residual site: encoder, decoder and thresholds; each of its features is a component."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component, Kind
from audit_core.errors import ComponentRefused, InterventionRefused
from audit_core.intervention import Edit, FeatureBlock, Intervention, Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Subject, read_only

Array = NDArray[np.float32]
SHIPPED = MappingProxyType({"default-layer-12": "default", "planted-strict": "planted-strict"})
"""Name of each dictionary that ships → the model that it is of."""


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
    """Norm above which an activation is not read; see `FeatureBlock.longest`."""

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

    def block(self, indices: Sequence[int], *, values: NDArray | None = None) -> FeatureBlock:
        """Some features' vectors, as an edit needs them.

        Args:
            values: see `FeatureBlock.values`.
        """
        at = list(indices)
        along = self.decoder[at]
        return FeatureBlock(
            self.encoder[at], self.bias[at], self.threshold[at], along / np.linalg.norm(along, axis=1, keepdims=True),
            self.longest,
            None if values is None else np.asarray(values, np.float32)[at],
        )  # fmt: skip

    def edit(self, index: int, replacement: Replacement, *, factor: float = 1.0, position: int | None = None) -> Edit:
        """An edit of one feature: its share of the residual stream is replaced, what the dictionary leaves out stays.

        Args:
            factor: for `scale`, dimensionless; for `set` and `add`, in units of the value.
        """
        return Edit(self.component(index, position), replacement, factor, block=self.block([index]))

    def complete(self, intervention: Intervention, means: NDArray | None) -> Intervention:
        """An intervention whose features are named, with their vectors: those of one layer are read and replaced together.

        Args:
            means: mean value of each feature over reference prompts, for `mean`; shape (feature,).

        Raises:
            ComponentRefused: the dictionary has no such feature.
            InterventionRefused: two replacements in one layer, or a mean that was not measured.
        """
        named: dict[tuple[Replacement, float, int | None], list[int]] = {}
        rest = []
        for edit in intervention.edits:
            if edit.component.kind is not Kind.FEATURE or edit.block is not None:
                rest.append(edit)
                continue
            if edit.component.layer != self.layer:
                raise ComponentRefused(
                    f"{edit.component} is not in this dictionary.", wanted=f"features of layer {self.layer}.",
                    remedy="choose a feature of this dictionary.",
                )  # fmt: skip
            self.component(edit.component.index)
            how = (edit.replacement, edit.factor, edit.component.position)
            named.setdefault(how, []).append(edit.component.index)
        return replace(intervention, edits=(*rest, *(self._join(how, found, means) for how, found in named.items())))

    def _join(self, how: tuple[Replacement, float, int | None], indices: Sequence[int], means: NDArray | None) -> Edit:
        (replacement, factor, position), values = how, None
        if replacement is Replacement.MEAN:
            if means is None:
                raise InterventionRefused(
                    f"No mean of {self.component(indices[0])}.", wanted="means over reference prompts.",
                    remedy="choose resample or zero, or capture the means of features too.",
                )  # fmt: skip
            replacement, values = Replacement.SET, means
        return Edit(self.component(indices[0], position), replacement, factor, block=self.block(indices, values=values))

    def measure_activity(self, x: NDArray) -> Activity:
        """How its features fire on tokens; activations of shape (token, d_model)."""
        values = self.encode(x).astype(np.float64)
        active = values > 0
        totals = active.sum(0)
        return Activity(active.mean(0), values.sum(0) / np.maximum(totals, 1), values.mean(0))


@dataclass(frozen=True, eq=False)
class Activity:
    """How a dictionary fires on some tokens."""

    rates: NDArray[np.float64]
    """Share of tokens; shape (feature,)."""
    strengths: NDArray[np.float64]
    """Mean value where active, 0 where never; shape (feature,)."""
    means: NDArray[np.float64]
    """Mean value over all tokens; shape (feature,)."""


@runtime_checkable
class Features(Protocol):
    """Capability: the model was opened with a sparse dictionary, whose features are components."""

    dictionary: Dictionary | None

    def with_dictionary(self, dictionary: Dictionary, name: str) -> Subject:
        """The same model with the features of a dictionary as components.

        Args:
            name: of the dictionary, for display.

        Raises:
            Refused: the dictionary is of another width, or of a layer that the model lacks.
        """

    def read_unembedding(self) -> Array | None:
        """Rows of the unembedding scaled by the final norm's weights, centred over the tokens, shape (token, d_model); None where
        they cannot be read."""

    def measure_activity(self, prompts: TokenisedPrompts) -> Activity:
        """How the features fire on the clean prompts, without their first token."""


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
