"""The subject interface: the audited system, and the operations that audits use."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component, Kind
from audit_core.endpoints.reply import Reply
from audit_core.intervention import Intervention, PromptSide, Replacement
from audit_core.models.identity import ModelIdentity
from audit_core.prompts.answers import Tokenizer, Tokens
from audit_core.prompts.prompt_set import TokenisedPrompts, TokenPair

Floats = NDArray[np.float32]
Progress = Callable[[int, int], None]
"""Called with units done and total units, several times a second; raises `Cancelled` to stop the run."""

"""Activations of tokens to what replaces them; both of shape (token, d_model)."""


def no_progress(done: int, total: int) -> None:
    """Ignore progress."""


def no_partial(partial: object) -> None:
    """Ignore intermediate results."""


def read_only(array: np.ndarray) -> np.ndarray:
    """The same array, made read-only: results are shared between threads and caches."""
    array.setflags(write=False)
    return array


@dataclass(frozen=True)
class Geometry:
    """Dimensions of the model; heads are query heads, also with grouped-query attention."""

    n_layers: int
    n_heads: int
    n_key_value_heads: int
    d_model: int
    d_head: int
    n_vocabulary: int
    n_neurons: int
    """Neurons per MLP; 0 if they are not accessible."""
    n_experts: int = 0
    """Routed experts per mixture layer; 0 if there are none or they are not accessible."""


@dataclass(frozen=True, eq=False)
class Logits:
    """Logits at the answer position, for each intervention and prompt."""

    answer: Floats
    """Logit of the answer token; shape (intervention, prompt)."""
    foil: Floats
    """Logit of the foil token; shape (intervention, prompt)."""
    vocabulary: Floats | None
    """All logits; shape (intervention, prompt, vocabulary); None unless requested."""
    edits_applied: int
    """Applied edits, summed over interventions and prompts; must equal the requested ones."""
    norms: Floats | None = None
    """Norm of the final residual stream at the answer position; shape (intervention, prompt); None if the subject
    returns logits only."""

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
    stream, (layer, pos, neuron) for neurons, (layer, head, query, key) for edges, (layer, expert, d_model) for experts: means over the
    tokens sent to each, or over all tokens if none was."""
    n_prompts: Mapping[tuple[int, str], int]
    """Reference prompts per entry; each contributes its clean and its corrupted run."""
    ranges: Floats | None = None
    """For `in_range`: smallest and largest value of every neuron on unedited runs, at the first token and at all others;
    shape (2: smallest, largest, layer, 2: first token, others, neuron); NaN in a layer without neurons."""
    features: Floats | None = None
    """Mean of each of its dictionary's features over all read tokens, clean and corrupted; shape (feature,). None if not captured."""


@dataclass(frozen=True, eq=False)
class TokenRouting:
    """Where the routers sent the tokens of one prompt."""

    layers: tuple[int, ...]
    """Mixture layers, in the order of the first axis of the arrays."""
    index: NDArray[np.int64]
    """Chosen experts; shape (mixture layer, pos, choice). The order of choices has no meaning."""
    weights: Floats
    """Weight of each chosen expert's output; same shape."""
    norms: Floats = field(default_factory=lambda: np.zeros(0, np.float32))
    """Length of each chosen expert's unweighted output; same shape, empty where it was not read."""

    def __post_init__(self) -> None:
        read_only(self.index)
        read_only(self.weights)
        read_only(self.norms)


@runtime_checkable
class CrossAttention(Protocol):
    """Capability of an encoder–decoder: where its decoder attends in the source can be read."""

    start_id: int
    """Token that begins every target, between source and target in a prompt."""

    def find_source(self, pair: TokenPair) -> int:
        """Length of a prompt's source, in tokens; the target begins there.

        Raises:
            PromptRefused: the prompt has no source and target.
        """

    def read_cross_attention(self, prompts: TokenisedPrompts) -> tuple[Floats, ...]:
        """Cross-attention from the answer position on the clean run; per prompt, shape (layer, head, source position)."""


@runtime_checkable
class Inputs(Protocol):
    """Plain inputs in, logits of the next token out."""

    def read_inputs(self, rows: Sequence[Tokens]) -> Floats:
        """Logits of the vocabulary after each input as it is, without an edit; shape (row, vocabulary).

        Inputs may have different lengths. What several begin with is computed once, so that variants of one text should be read
        together.
        """


class DocumentForm(Protocol):
    """How documents and a question become one text, and back."""

    def write_documents(self, documents: Sequence[str], question: str) -> tuple[str, ...]:
        """Parts of the text in order: label and body of each document, the text before the question, the question."""

    def read_documents(self, text: str) -> tuple[tuple[str, ...], str]:
        """Documents and question of such a text.

        Raises:
            PromptRefused: the text has another form.
        """


@runtime_checkable
class Documents(Inputs, DocumentForm, Protocol):
    """Capability of a reader: it completes a sentence from documents before it."""


@runtime_checkable
class Replies(Protocol):
    """Text in, reply out, at temperature 0: all that a closed model gives."""

    def reply(self, text: str, *, n_tokens: int, scored: bool, again: int = 0) -> Reply:
        """The reply to a text.

        Args:
            n_tokens: of the reply, at most; one where log-probabilities of the first token are given.
            scored: whether these are wanted; they may still be missing.
            again: another number asks the same text another time.

        Raises:
            Refused, NotMeasured: there is no reply.
        """

    def require_calls(self, predicted: int) -> None:
        """Refuse a run that may take more calls than are allowed, before the first.

        Raises:
            Refused: with the number that it needs.
        """


@runtime_checkable
class Closed(Replies, Protocol):
    """A model of which only replies to texts are available."""

    def explain_closed(self) -> str:
        """Why nothing inside it can be read or edited, in a sentence."""


@dataclass(frozen=True, eq=False)
class FeatureMaps:
    """Output of the last convolution, and the gradient of the logit difference with respect to it."""

    activations: Floats
    """Shape (image, channel, row, column)."""
    gradients: Floats
    """Same shape; logits per unit of the activation."""

    def __post_init__(self) -> None:
        read_only(self.activations)
        read_only(self.gradients)


@runtime_checkable
class Images(Protocol):
    """Capability of an image classifier: grey images of `side` rows in, one logit a class out; pixels are steps of 1 / `levels`."""

    side: int
    levels: int
    n_classes: int
    n_layers: int

    def make_empty(self, count: int) -> Floats:
        """Images without ink; shape (image, row, column)."""

    def read_images(self, images: Floats) -> Floats:
        """Logits; shape (image, row, column) → (image, class)."""

    def read_image_gradients(self, images: Floats, answers: Sequence[int], foils: Sequence[int]) -> Floats:
        """Gradient of logit(answer) − logit(foil) with respect to each pixel; shape (image, row, column)."""

    def read_feature_maps(self, images: Floats, answers: Sequence[int], foils: Sequence[int]) -> FeatureMaps:
        """Output of the last layer that has a place in the image, with its gradient."""

    def read_layer(self, images: Floats, layer: int) -> Floats:
        """Output of one layer after its activation; shape (image, ...)."""

    def finish_layer(self, activations: Floats, layer: int) -> Floats:
        """Logits that follow from the output of one layer, flat or in its own shape; shape (image, class)."""

    def read_layer_gradients(self, active: Floats, layer: int, answers: Sequence[int], foils: Sequence[int]) -> Floats:
        """Gradient of logit(answer) − logit(foil) with respect to the output of one layer; the layer's own shape."""

    def shuffled(self, *, seed: int) -> Images:
        """A copy whose weights are permuted within each tensor; this subject is unchanged."""


@runtime_checkable
class Tables(Protocol):
    """Capability of a model of tables; `names` where it has an input a feature, `n_features` 0 where it does not say."""

    names: tuple[str, ...]
    n_features: int

    def read_rows(self, rows: NDArray[Any]) -> NDArray[Any]:
        """Outputs; shape (row, feature) → (row, output)."""


MEAN_KINDS = frozenset((Kind.HEAD, Kind.MLP, Kind.RESID))
"""Kinds whose means are captured unless others are asked for: patterns grow with the square of the length."""


class Subject(Protocol):
    """What every subject gives: its identity, its components, and logits under interventions.

    Whatever else it can honestly give is a capability, a protocol below; an audit says which it demands.
    A subject is stateless between runs.
    """

    @property
    def identity(self) -> ModelIdentity: ...

    @property
    def geometry(self) -> Geometry: ...

    @property
    def tokenizer(self) -> Tokenizer: ...

    @property
    def tolerance(self) -> float:
        """Largest change of a logit, in logits, that is numerical noise on this subject."""

    @property
    def fallback(self) -> str:
        """Why every intervention needs a whole forward pass, shown with the estimated time; empty if it does not."""

    def components(self, kind: Kind) -> tuple[Component, ...]:
        """Accessible components of a kind, at all positions."""

    def count_work(self, prompts: TokenisedPrompts, interventions: Sequence[Intervention]) -> int:
        """Units of work of a run, proportional to its time; the total of `on_progress`."""

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
            ControlFailed: an edit was not applied.
        """


@runtime_checkable
class MeanActivations(Protocol):
    """Capability: mean activations over prompts, for `mean` replacements and for matched random sets."""

    def capture_means(
        self, reference: TokenisedPrompts, *, kinds: Collection[Kind] = MEAN_KINDS, on_progress: Progress = no_progress
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
        """Change of each component's output by a replacement on the clean run: root mean square over prompts and the
        positions that change; shape (component,), in units of the activation."""


@runtime_checkable
class NeuronRanges(Protocol):
    """Capability: the values that MLP neurons take on unedited runs."""

    def capture_ranges(self, reference: TokenisedPrompts, *, on_progress: Progress = no_progress) -> Floats:
        """Smallest and largest value of every neuron on the clean and corrupted runs of these prompts; see `Means.ranges`."""


@runtime_checkable
class Attention(Protocol):
    """Capability: attention from the answer position."""

    def attention_to_last(
        self, prompts: TokenisedPrompts, *, on_progress: Progress = no_progress
    ) -> tuple[Floats, ...]:
        """Attention from the answer position on the clean run; per prompt, shape (layer, head, key);
        NaN in a layer without heads."""


@runtime_checkable
class Patterns(Protocol):
    """Capability: whole attention patterns, also under an intervention."""

    def patterns(self, pair: TokenPair, intervention: Intervention, *, means: Means | None = None) -> Floats:
        """Attention pattern of one prompt under an intervention; shape (layer, head, query, key); NaN without heads."""

    def pattern_of(
        self, pair: TokenPair, intervention: Intervention, head: Component, *, means: Means | None = None
    ) -> Floats:
        """The same of one head alone, shape (query, key): long prompts have room for no more."""


@runtime_checkable
class Randomisable(Protocol):
    """Capability: copies with shuffled weights, as a control of views of attention."""

    def randomised(self, layer: int, *, seed: int) -> Subject:
        """A copy with its own identity whose weights are permuted from `layer` up: values, attention outputs, MLPs and
        unembedding. This subject is unchanged.

        Raises:
            ModelRefused: no such layer, or an unsupported architecture.
        """


@runtime_checkable
class Gradients(Protocol):
    """Capability: the engine can differentiate it, for estimators and gradient views."""

    def explain_no_gradients(self) -> str:
        """Why this model cannot be differentiated; empty if it can."""


@runtime_checkable
class Paths(Protocol):
    """Capability: the engine can patch connections between its components."""

    def explain_no_paths(self) -> str:
        """Why connections of this model cannot be patched; empty if they can."""


@runtime_checkable
class Routing(Protocol):
    """Capability of a mixture of experts: its routing can be read."""

    def read_routing(
        self, prompts: TokenisedPrompts, *, side: PromptSide = PromptSide.CLEAN, on_progress: Progress = no_progress
    ) -> tuple[TokenRouting, ...]:
        """Routing of each prompt on one run of its pair.

        Raises:
            ComponentRefused: the model has no accessible experts.
        """
