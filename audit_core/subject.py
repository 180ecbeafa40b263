"""A subject: whatever is audited, and all that an audit may ask of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component, Kind
from audit_core.intervention import Intervention, Replacement
from audit_core.models.identity import ModelIdentity
from audit_core.prompts.answers import Tokenizer
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with units done and units in all, several times a second; cancels by raising `Cancelled`."""


def no_progress(done: int, total: int) -> None:
    """For callers that neither show nor cancel."""


def no_partial(partial: object) -> None:
    """For callers that wait for the whole."""


def read_only(array: np.ndarray) -> np.ndarray:
    """The same array, refusing writes: results are shared between threads and caches."""
    array.setflags(write=False)
    return array


@dataclass(frozen=True)
class Geometry:
    """How large the model is; heads are query heads, also where keys and values are shared."""

    n_layers: int
    n_heads: int
    n_key_value_heads: int
    d_model: int
    d_head: int
    n_vocabulary: int
    n_neurons: int
    """Of one MLP; 0 where neurons cannot be reached."""


@dataclass(frozen=True, eq=False)
class Logits:
    """What the model says at the answer position, for each intervention and prompt."""

    answer: Floats
    """Logit of the answer token; shape (intervention, prompt)."""
    foil: Floats
    """Logit of the foil token; shape (intervention, prompt)."""
    vocabulary: Floats | None
    """All logits; shape (intervention, prompt, vocabulary); None unless asked for."""
    edits_applied: int
    """Edits that reached an activation, summed over interventions and prompts: none may be missing."""
    norms: Floats | None = None
    """Length of the residual stream where the logits are read from; shape (intervention, prompt); None where a subject
    gives logits alone."""

    def __post_init__(self) -> None:
        for array in (self.answer, self.foil, self.vocabulary, self.norms):
            if array is not None:
                read_only(array)


@dataclass(frozen=True, eq=False)
class Means:
    """Mean activations over reference prompts, clean and corrupted, for `mean` replacements."""

    activations: Mapping[tuple[int, str], Mapping[Kind, Floats]]
    """Key: token length and template ("" for all templates). Value: per kind of component, shape
    (layer, pos, head, d_head) for heads, queries, keys and values, (layer, pos, d_model) for MLPs and the residual
    stream, (layer, pos, neuron) for neurons, (layer, head, query, key) for edges."""
    n_prompts: Mapping[tuple[int, str], int]
    """Reference prompts behind each entry; each contributes its clean and its corrupted run."""


MEAN_KINDS = frozenset((Kind.HEAD, Kind.MLP, Kind.RESID, Kind.EDGE))


class Subject(Protocol):
    """The contract of the `subjects/` shelf. A subject keeps no memory of a run."""

    @property
    def identity(self) -> ModelIdentity: ...

    @property
    def geometry(self) -> Geometry: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def tolerance(self) -> float:
        """Largest change of a logit, in logits, that is arithmetic noise on this subject."""

    @property
    def fallback(self) -> str:
        """Why every intervention costs a whole forward pass, to be shown with its price; empty where it costs less."""

    def components(self, kind: Kind) -> tuple[Component, ...]:
        """Every component of a kind that can be reached, at all positions."""

    def count_work(self, prompts: TokenisedPrompts, interventions: Sequence[Intervention]) -> int:
        """Units of work of a run, proportional to its time; the total that `on_progress` counts to."""

    def run(
        self,
        prompts: TokenisedPrompts,
        interventions: Sequence[Intervention],
        *,
        means: Means | None = None,
        vocabulary: bool = False,
        seed: int = 0,
        on_progress: Progress = no_progress,
    ) -> Logits:
        """Logits at the answer position under each intervention.

        Raises:
            InterventionRefused: a component the model lacks, or a mean without reference prompts.
            ControlFailed: an edit did not reach its activation.
        """

    def capture_means(
        self,
        reference: TokenisedPrompts,
        *,
        kinds: Collection[Kind] = MEAN_KINDS,
        on_progress: Progress = no_progress,
    ) -> Means:
        """Mean activations of these kinds of components over these prompts, by token length and by template."""

    def activation_change_rms(
        self,
        prompts: TokenisedPrompts,
        parts: Sequence[Component],
        replacement: Replacement,
        *,
        means: Means | None = None,
    ) -> Floats:
        """How far a replacement moves each part's output on the clean run: root mean square over prompts and those
        positions where it moves at all; shape (part,), in the activation's own units."""

    def attention_to_last(
        self, prompts: TokenisedPrompts, *, on_progress: Progress = no_progress
    ) -> tuple[Floats, ...]:
        """Attention from the answer position on the clean run; per prompt, shape (layer, head, key);
        NaN in a layer without heads."""

    def patterns(self, pair: TokenPair, intervention: Intervention, *, means: Means | None = None) -> Floats:
        """Attention pattern of one prompt under an intervention; shape (layer, head, query, key); NaN in a layer
        without heads."""

    def randomised(self, layer: int, *, seed: int) -> Subject:
        """Another subject, under an identity of its own, whose values, attention outputs and MLPs from `layer` up and
        whose unembedding hold the same numbers in a random order; this one is left as it is.

        Raises:
            ModelRefused: no such layer, or an architecture whose matrices are not known by name.
        """
