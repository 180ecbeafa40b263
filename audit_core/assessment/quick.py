"""Quick form of a circuit's questions: fewer prompts, no verdict; answers in seconds and is exploratory by construction."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from audit_core.assessment.questions import Assessment
from audit_core.circuits.circuit_check import get_check
from audit_core.prompts.prompt_set import TokenisedPrompts

QUICK_PROMPTS = 16
"""Below the 20 prompts that any verdict needs, so that no quick answer can be one."""
QUICK_METHOD = "attribution_patching"
"""Discovery by gradient estimates, for questions that search: exact effects of every head take minutes."""


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
    """The quick request of one of `list_quick_questions`.

    Raises:
        ClaimRefused: no such check.
    """
    return get_check(audit).ask_quickly(take_quick(assessment, method=method))


def _take_few(prompts: TokenisedPrompts) -> TokenisedPrompts:
    return prompts.take(prompts.spread(QUICK_PROMPTS))
