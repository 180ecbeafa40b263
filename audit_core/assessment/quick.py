"""Quick form of a circuit's questions: fewer prompts, no verdict; answers in seconds and is exploratory by construction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from audit_core.assessment.questions import Assessment
from audit_core.audits.curve import CurveRequest
from audit_core.audits.paths import PathsRequest
from audit_core.prompts.prompt_set import TokenisedPrompts

QUICK_PROMPTS = 16
"""Below the 20 prompts that any verdict needs, so that no quick answer can be one."""
QUICK_METHOD = "attribution_patching"
"""Discovery by gradient estimates, for questions that search: exact effects of every head take minutes."""
QUICK_ORDERS = 5
"""Random orders beside the curve, in place of 19."""
QUICK_QUESTIONS = ("paths", "recomposition", "circuit", "stability", "rival", "curve")
"""Audits that the quick form answers, in the order in which they run; transfer and specificity have no short form."""


def has_quick_form(assessment: Assessment) -> bool:
    """Whether the quick form uses fewer prompts than the full form."""
    return len(assessment.circuit.prompts) > QUICK_PROMPTS


def take_quick(assessment: Assessment, *, method: str = QUICK_METHOD) -> Assessment:
    """The same circuit on at most `QUICK_PROMPTS` prompts of each split, spread over the templates.

    Args:
        method: key of a plug-in in `circuit_discovery/`; a subject without gradients needs another than the default.
    """
    few = _take_few(assessment.circuit.prompts)
    circuit = replace(assessment.circuit, prompts=few, reference=few)
    return Assessment(circuit, _take_few(assessment.explored), (), method)


def ask_quickly(assessment: Assessment, audit: str, *, method: str = QUICK_METHOD) -> Any:
    """The quick request of one of `QUICK_QUESTIONS`.

    Raises:
        ClaimRefused: an audit without a quick form.
    """
    quick = take_quick(assessment, method=method)
    if audit == "paths":
        return ask_paths(quick)
    request = quick.ask(audit)
    return replace(request, random_orders=QUICK_ORDERS) if isinstance(request, CurveRequest) else request


def ask_paths(assessment: Assessment) -> PathsRequest:
    """The direct effects among the circuit's components, on the measured prompts."""
    circuit = assessment.circuit
    return PathsRequest(circuit.prompts, circuit.reference, circuit.components, replacement=circuit.replacement)


def _take_few(prompts: TokenisedPrompts) -> TokenisedPrompts:
    return prompts.take(prompts.spread(QUICK_PROMPTS))
