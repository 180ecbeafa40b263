"""Serialises requests for the run log, and keys of results that depend on reference prompts."""

from __future__ import annotations

from typing import Any

from audit_core.intervention import Replacement
from audit_core.prompts.measurable import describe_left_out
from audit_core.prompts.prompt_set import TokenisedPrompts, name_split
from audit_core.prompts.sequences import list_places
from audit_core.registry import get_plugin
from audit_core.request import Request

MEAN_REPLACEMENTS = frozenset((Replacement.MEAN, Replacement.MEAN_TEMPLATE))


def describe_request(request: Request) -> dict[str, Any]:
    """The request as logged: ids and plain values, with excluded prompts."""
    pairs = request.prompts.pairs
    one = {"prompt": pairs[0].prompt.id} if len(pairs) == 1 else {}
    return {
        "prompts": request.prompts.name,
        "half": name_split(request.prompts),
        **one,
        **request.describe(),
        **describe_left_out(request.prompts),
    }


def needs_means(request: Request) -> bool:
    """Whether a replacement needs means over reference prompts."""
    return bool(MEAN_REPLACEMENTS & set(request.replacements))


def reference_key(reference: TokenisedPrompts) -> str:
    """Key of the reference prompts: a subset has the hash of its set, so the prompt ids are included."""
    return f"{reference.sha256}:{[pair.prompt.id for pair in reference.pairs]}"


def list_reference(request: Request) -> TokenisedPrompts:
    """Prompts that means are taken over; for a metric that reads sequences, one for every answer token."""
    return list_places(request.reference).prompts if _reads_sequences(request) else request.reference


def count_places(request: Request) -> float:
    """Forward passes per prompt: one, or one per answer token for a metric that reads sequences."""
    prompts = request.prompts
    return len(list_places(prompts).prompts) / len(prompts) if _reads_sequences(request) and len(prompts) else 1.0


def _reads_sequences(request: Request) -> bool:
    name = getattr(request, "metric", None) or getattr(getattr(request, "claim", None), "metric", None)
    return name is not None and bool(get_plugin("metrics", name).reads_sequences)
