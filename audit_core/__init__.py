"""Test, causally and live, whether a claimed explanation of a language model holds.

The names that most programs need. All others are in public packages and modules one level below, such as
`audit_core.audits` and `audit_core.store`. A name is imported when it is first read, so that a program which takes
one module pays for that module alone; nothing here imports torch until a model is opened.
"""

import importlib
from typing import TYPE_CHECKING, Any

# Before all others: these variables are read once, when a model library is imported.
import audit_core.telemetry
import audit_core.thread_waiting  # noqa: F401
from audit_core.version import VERSION as __version__  # noqa: F401

if TYPE_CHECKING:
    from audit_core.audits import AblationRequest, AttentionRequest, ClaimTestRequest, SweepRequest
    from audit_core.claim import Claim, Role, load_claim
    from audit_core.component import Component, Kind, format_components, head, mlp, parse_component, parse_components
    from audit_core.errors import AuditError, Cancelled, ControlFailed, NotMeasured, Refused
    from audit_core.intervention import CLEAN_RUN, Direction, Intervention, Replacement, intervene
    from audit_core.judging import State, Verdict
    from audit_core.opened_model import OpenedModel, open_model, tabulate_effects
    from audit_core.prompts import Prompt, PromptSet, TokenisedPrompts, load_prompts, parse_prompts, tokenise
    from audit_core.registry import get_plugin, list_plugins
    from audit_core.run import Actor, Auditor, RunOutcome, open_subject
    from audit_core.shipped import list_prompt_sets, load_prompt_set
    from audit_core.stats import Estimate, format_estimate
    from audit_core.store import RunLog, audit_home
    from audit_core.subject import Subject
    from audit_core.tables import make_table

__all__ = [
    "CLEAN_RUN",
    "AblationRequest",
    "Actor",
    "AttentionRequest",
    "AuditError",
    "Auditor",
    "Cancelled",
    "Claim",
    "ClaimTestRequest",
    "Component",
    "ControlFailed",
    "Direction",
    "Estimate",
    "Intervention",
    "Kind",
    "NotMeasured",
    "OpenedModel",
    "Prompt",
    "PromptSet",
    "Refused",
    "Replacement",
    "Role",
    "RunLog",
    "RunOutcome",
    "State",
    "Subject",
    "SweepRequest",
    "TokenisedPrompts",
    "Verdict",
    "audit_home",
    "format_components",
    "format_estimate",
    "get_plugin",
    "head",
    "intervene",
    "list_plugins",
    "list_prompt_sets",
    "load_claim",
    "load_prompt_set",
    "load_prompts",
    "make_table",
    "mlp",
    "open_model",
    "open_subject",
    "parse_component",
    "parse_components",
    "parse_prompts",
    "tabulate_effects",
    "tokenise",
]

_HOMES = {
    "audits": "AblationRequest AttentionRequest ClaimTestRequest SweepRequest",
    "claim": "Claim Role load_claim",
    "component": "Component Kind format_components head mlp parse_component parse_components",
    "errors": "AuditError Cancelled ControlFailed NotMeasured Refused",
    "intervention": "CLEAN_RUN Direction Intervention Replacement intervene",
    "judging": "State Verdict",
    "opened_model": "OpenedModel open_model tabulate_effects",
    "prompts": "Prompt PromptSet TokenisedPrompts load_prompts parse_prompts tokenise",
    "registry": "get_plugin list_plugins",
    "run": "Actor Auditor RunOutcome open_subject",
    "shipped": "list_prompt_sets load_prompt_set",
    "stats": "Estimate format_estimate",
    "store": "RunLog audit_home",
    "subject": "Subject",
    "tables": "make_table",
}
"""Module of each name of `__all__`."""
_MODULES = {name: f"audit_core.{module}" for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'audit_core' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
