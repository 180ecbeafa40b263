"""Capabilities: what an audit demands of a subject beyond logits, and why a subject lacks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar, cast

from audit_core.activations import Activations, Lenses, Steerable
from audit_core.component import Kind
from audit_core.dictionaries.dictionary import Features
from audit_core.errors import CapabilityRefused
from audit_core.subject import (
    Attention,
    Closed,
    CrossAttention,
    Documents,
    Gradients,
    Images,
    Inputs,
    MeanActivations,
    NeuronRanges,
    Paths,
    Patterns,
    Randomisable,
    Replies,
    Routing,
    Subject,
    Tables,
)

CapabilityT = TypeVar("CapabilityT")


@dataclass(frozen=True)
class Capability(Generic[CapabilityT]):
    """Something that some subjects can give."""

    name: str
    """A word or two, as lists of demands show it."""
    remedy: str
    """What to do about a subject without it."""
    explain_missing: Callable[[Subject], str]
    """Why a subject cannot give it, in a sentence that a page shows; empty if it can."""

    def is_met(self, subject: Subject) -> bool:
        """Whether a subject can give it."""
        return not self.explain_missing(subject)

    def of(self, subject: Subject) -> CapabilityT:
        """The subject, as what can give it.

        Raises:
            CapabilityRefused: it cannot.
        """
        require([self], subject, "This")
        return cast(CapabilityT, subject)


def require(demands: Iterable[Capability[Any]], subject: Subject, who: str) -> None:
    """Check a subject before any work.

    Args:
        who: what demands it, as the subject of a sentence.

    Raises:
        CapabilityRefused: it lacks any of them; names all that are missing.
    """
    missing = {demand: why for demand in demands if (why := demand.explain_missing(subject))}
    if missing:
        raise CapabilityRefused(
            f"{who} on {subject.identity.model}: {' '.join(dict.fromkeys(missing.values()))}",
            wanted=f"a model that gives {' and '.join(demand.name for demand in missing)}.",
            remedy=f"{'; or '.join(dict.fromkeys(demand.remedy for demand in missing))}.",
        )


@cache
def components_of(kind: Kind) -> Capability[Subject]:
    """At least one component of a kind."""
    return Capability(
        f"{kind} components",
        "choose another model, or another audit of `audit --list`",
        lambda subject: (
            "" if subject.components(kind) else _explain_closed(subject, f"This model has no accessible {kind}.")
        ),
    )


def _is_a(protocol: type[Any], missing: str) -> Callable[[Subject], str]:
    return lambda subject: "" if isinstance(subject, protocol) else _explain_closed(subject, missing)


def _explain_closed(subject: Subject, missing: str) -> str:
    """Why a closed model lacks what is inside it; of other models, that they lack it."""
    return subject.explain_closed() if isinstance(subject, Closed) else missing


def _explain_gradients(subject: Subject) -> str:
    if not isinstance(subject, Gradients):
        return _explain_closed(subject, "This kind of model has no gradients here.")
    return subject.explain_no_gradients()


def _explain_paths(subject: Subject) -> str:
    if not isinstance(subject, Paths):
        return _explain_closed(subject, "This kind of model has no connections that can be patched.")
    return subject.explain_no_paths()


def _explain_lenses(subject: Subject) -> str:
    if not isinstance(subject, Lenses):
        return _explain_closed(subject, "The inside of this kind of model cannot be read through its unembedding.")
    return subject.explain_no_lenses()


def _explain_routing(subject: Subject) -> str:
    if missing := components_of(Kind.EXPERT).explain_missing(subject):
        return missing
    return "" if isinstance(subject, Routing) else "The routing of this kind of model cannot be read."


HEADS = components_of(Kind.HEAD)
MEANS: Capability[MeanActivations] = Capability(
    "mean activations",
    "ablate by zero or resample",
    _is_a(MeanActivations, "This kind of model gives no mean activations."),
)
NEURON_RANGES: Capability[NeuronRanges] = Capability(
    "ranges of neurons",
    "choose a dense transformer",
    lambda subject: (
        ""
        if isinstance(subject, NeuronRanges) and subject.geometry.n_neurons
        else _explain_closed(subject, "The neurons of this kind of model cannot be read.")
    ),
)
ATTENTION: Capability[Attention] = Capability(
    "attention of heads", "choose a transformer", _is_a(Attention, "This kind of model shows no attention.")
)
PATTERNS: Capability[Patterns] = Capability(
    "attention patterns", "choose a transformer", _is_a(Patterns, "This kind of model shows no attention patterns.")
)
RANDOMISABLE: Capability[Randomisable] = Capability(
    "shuffled weights",
    "choose a transformer",
    _is_a(Randomisable, "The weights of this kind of model cannot be shuffled."),
)
GRADIENTS: Capability[Gradients] = Capability("gradients", "measure exactly, without an estimator", _explain_gradients)
PATHS: Capability[Paths] = Capability(
    "connections", "test its components: `sweep` and `circuit` use no connections", _explain_paths
)
LENSES: Capability[Lenses] = Capability(
    "lenses", "measure effects without a lens: `sweep` and `positions`", _explain_lenses
)
FEATURES: Capability[Features] = Capability(
    "features of a dictionary",
    "open it with its dictionary, such as default+default-layer-12",
    lambda subject: (
        ""
        if isinstance(subject, Features) and subject.dictionary is not None
        else _explain_closed(subject, "This model was opened without a dictionary of features.")
    ),
)
ROUTING: Capability[Routing] = Capability("routing", "choose a mixture of experts, such as moe-tiny", _explain_routing)


def _explain_cross_attention(subject: Subject) -> str:
    has_source = isinstance(subject, CrossAttention) and subject.components(Kind.SOURCE)
    missing = "This model has no encoder, so it has no source and no cross-attention."
    return "" if has_source else _explain_closed(subject, missing)


CROSS_ATTENTION: Capability[CrossAttention] = Capability(
    "cross-attention", "open an encoder–decoder, such as t5-tiny", _explain_cross_attention
)
DOCUMENTS: Capability[Documents] = Capability(
    "documents",
    "open a decoder-only transformer, such as default",
    _is_a(Documents, "This kind of model is given no documents here."),
)
STEPS: Capability[Inputs] = Capability(
    "answers after edited steps",
    "choose a decoder-only model",
    _is_a(Inputs, "This kind of model cannot be asked about edited steps of a text."),
)
ACTIVATIONS: Capability[Activations] = Capability(
    "the residual stream",
    "choose a decoder-only transformer",
    _is_a(Activations, "The residual stream of this kind of model cannot be read."),
)
STEERING: Capability[Steerable] = Capability(
    "steering",
    "choose a decoder-only transformer, without `--streamed`",
    _is_a(Steerable, "This kind of model cannot be steered while it writes."),
)
IMAGES: Capability[Images] = Capability(
    "images",
    "open an image classifier, such as digits-marked",
    _is_a(Images, "This kind of model reads no images."),
)
TABLES: Capability[Tables] = Capability(
    "tables",
    "open a tabular model, such as breast-cancer",
    _is_a(Tables, "This kind of model reads no tables."),
)
TOOLS: Capability[Inputs] = Capability(
    "choices among tools",
    "choose a decoder-only model",
    _is_a(Inputs, "This kind of model cannot be asked to choose a tool."),
)
REPLIES: Capability[Inputs | Replies] = Capability(
    "replies to texts",
    "give `--endpoint`, or choose a decoder-only model",
    lambda subject: (
        "" if isinstance(subject, Inputs | Replies) else "This kind of model cannot be asked to continue a text here."
    ),
)
