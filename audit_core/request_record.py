"""How a request is written down: for the run log, and for keys of what depends on its reference prompts."""

from __future__ import annotations

from typing import Any

from audit_core.audit import Request
from audit_core.intervention import Replacement
from audit_core.prompts.measurable import describe_left_out
from audit_core.prompts.prompt_set import TokenisedPrompts, name_split
from audit_core.prompts.sequences import list_places
from audit_core.registry import get_plugin

MEANS = frozenset((Replacement.MEAN, Replacement.MEAN_TEMPLATE))


def describe_request(request: Request) -> dict[str, Any]:
    """What was asked, as the run log has it: by ids and plain values, and what of the prompts was set aside."""
    pairs = request.prompts.pairs
    one = {"prompt": pairs[0].prompt.id} if len(pairs) == 1 else {}
    return {
        "prompts": request.prompts.name,
        "half": name_split(request.prompts),
        **one,
        **request.describe(),
        **describe_left_out(request.prompts),
    }


def wants_means(request: Request) -> bool:
    """Whether anything is replaced by a mean over reference prompts."""
    return bool(MEANS & set(request.replacements))


def reference_key(reference: TokenisedPrompts) -> str:
    """Which prompts a mean is taken over: part of a set has the set's hash, so their ids are needed beside it."""
    return f"{reference.sha256}:{[pair.prompt.id for pair in reference.pairs]}"


def list_reference(request: Request) -> TokenisedPrompts:
    """What means are taken over: for a metric that reads sequences, at every place where an answer goes on."""
    return list_places(request.reference).prompts if _reads_sequences(request) else request.reference


def count_places(request: Request) -> float:
    """Forward passes a prompt takes: one, or of a metric that reads sequences one for each place where an answer goes on."""
    prompts = request.prompts
    return len(list_places(prompts).prompts) / len(prompts) if _reads_sequences(request) and len(prompts) else 1.0


def _reads_sequences(request: Request) -> bool:
    name = getattr(request, "metric", None) or getattr(getattr(request, "claim", None), "metric", None)
    return name is not None and bool(get_plugin("metrics", name).reads_sequences)
