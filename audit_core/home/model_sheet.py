"""Summary of one model without loading it: its digest, its model class by configuration, and its audits so far."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit_core.errors import AuditError
from audit_core.exchange.signature_record import find_signature
from audit_core.home.home_records import HomeFacts
from audit_core.models import KNOWN_MODELS, ModelIdentity, identify_model
from audit_core.references.model_class import ModelClass, read_architecture
from audit_core.store.database.events import Action
from audit_core.subject_family import find_here, find_listed

DTYPE, ATTENTION = "float32", "eager"
"""Number format and attention implementation of every loaded model; both are part of the model's digest."""


@dataclass(frozen=True)
class ModelSheet:
    """Summary of one model, or why it cannot be read."""

    name: str
    """Name that opens the model."""
    title: str
    identity: ModelIdentity | None
    model_class: ModelClass | None
    why: str
    """Why there is no identity; empty where there is one."""


def list_model_names(claimed: Sequence[str]) -> tuple[str, ...]:
    """Models to show: those that can be fetched by name, then those with claims."""
    return tuple(dict.fromkeys((*(known.name for known in KNOWN_MODELS), *claimed)))


def read_sheet(name: str) -> ModelSheet:
    """Hash and classify a model's folder in place, without fetching or loading.

    Args:
        name: a known or planted name, a folder, or a hub id.
    """
    named = find_listed(name)
    title = named.title if named else name
    try:
        folder = find_here(name)
        if folder is None:
            return ModelSheet(name, title, None, None, f"not on this machine yet: `python -m audit_core fetch {name}`")
        identity = identify_model(folder, dtype=DTYPE, attention=ATTENTION)
        return ModelSheet(name, title, identity, read_architecture(folder), "")
    except AuditError as error:
        return ModelSheet(name, title, None, None, str(error))


def describe_signature(facts: HomeFacts, identity: ModelIdentity) -> str:
    """The last recorded outcome of the signature of exactly these files, or that none was checked."""
    found = find_signature(facts.events, identity)
    return "never checked for these files: `python -m audit_core exchange model`" if found is None else found.describe()


def count_done(facts: HomeFacts, model_digest: str) -> Mapping[str, int]:
    """Number of runs with a result on this model in the log, by audit."""
    started = {
        event.object_id: str(event.payload["kind"])
        for event in facts.events
        if event.action == Action.RUN_STARTED and event.payload.get("model_digest") == model_digest
    }
    done = [
        started[event.object_id]
        for event in facts.events
        if event.action == Action.RUN_ENDED and event.object_id in started and event.payload["outcome"] == "done"
    ]
    return Counter(done)
