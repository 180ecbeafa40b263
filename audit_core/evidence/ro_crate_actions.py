"""Provenance in a pack's RO-Crate beside its runs: freezes, attempts without a result, and the export, from the pack's own log."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from audit_core.evidence.report.pack_view import PackView, as_table

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

COMPLETED = "http://schema.org/CompletedActionStatus"
FAILED = "http://schema.org/FailedActionStatus"
_FREEZES = {"prereg.frozen": "Freeze", "prereg.amended": "Amend", "prereg.deviated": "Change after results were seen"}
_PLANS = "prereg/prereg.json"
_MADE = ("verdict/", "report/", "models/", "environment/sbom.cdx.json")
"""Members that an export makes of the others."""


def add_log_actions(crate: ROCrate, pack: PackView, instrument: Any) -> list[Any]:
    """Add an action for every freeze, attempt without a result and export in the log's entries, in the order of the log."""
    added: list[Any] = []
    ended = {str(entry.get("object_id")): entry for entry in pack.entries if entry.get("action") == "run.ended"}
    shown = {run.run_id for run in pack.runs} | {str(answer.get("run_id")) for answer in pack.answers}
    for entry in pack.entries:
        action, object_id = str(entry.get("action")), str(entry.get("object_id"))
        if action in _FREEZES:
            added.append(_add_freeze(crate, pack, entry, instrument))
        elif action == "run.started" and object_id not in shown and as_table(entry.get("payload")).get("claim_id"):
            added.append(_add_attempt(crate, entry, ended.get(object_id), instrument))
        elif action == "pack.exported" and object_id == pack.header.get("pack_id"):
            added.append(_add_export(crate, pack, entry, instrument))
    return added


def find_actor(pack: PackView, action: str, object_id: str) -> str:
    """Who did something, by the pack's log; empty if the log does not say."""
    for entry in pack.entries:
        if (entry.get("action"), entry.get("object_id")) == (action, object_id):
            return str(entry.get("actor", ""))
    return ""


def describe_agent(crate: ROCrate, name: str) -> dict[str, Any]:
    """The property `agent` with the person of this name in the log; empty for no name."""
    from rocrate.model.contextentity import ContextEntity

    if not name:
        return {}
    # The name is any text: it is no part of an identifier.
    identifier = f"#person-{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    person = crate.get(identifier) or crate.add(
        ContextEntity(crate, identifier, properties={"@type": "Person", "name": name})
    )
    return {"agent": person}


def _add_freeze(crate: ROCrate, pack: PackView, entry: Mapping[str, Any], instrument: Any) -> Any:
    payload = as_table(entry.get("payload"))
    kept = {plan.get("digest") for plan in pack.tables(_PLANS)}
    # An earlier version is not in the pack: only the last one of a claim is its result.
    made = [_PLANS] if payload.get("digest") in kept else []
    return _add(
        crate, entry, instrument, f"{_FREEZES[str(entry['action'])]} the plan {entry.get('object_id')}",
        f"Plan with SHA-256 {str(payload.get('digest'))[:64]}.",
        (_list_there(crate, ("policy/policy.toml",)), _list_there(crate, made)),
    )  # fmt: skip


def _add_attempt(crate: ROCrate, entry: Mapping[str, Any], end: Mapping[str, Any] | None, instrument: Any) -> Any:
    claim_id = as_table(entry.get("payload")).get("claim_id")
    outcome = as_table(None if end is None else end.get("payload"))
    why = " ".join(str(outcome[name]) for name in ("outcome", "reason") if outcome.get(name)) or "no end in the log"
    more = {"actionStatus": {"@id": FAILED}, "error": why, "startTime": str(entry.get("ts"))}
    if end is not None:
        more["endTime"] = str(end.get("ts"))
    name, what = f"Attempt at {claim_id}, run {entry.get('object_id')}", "An attempt without a result in this pack."
    return _add(crate, entry, instrument, name, what, (_list_there(crate, (_PLANS,)), []), more)


def _add_export(crate: ROCrate, pack: PackView, entry: Mapping[str, Any], instrument: Any) -> Any:
    files = sorted(str(entity.id) for entity in crate.data_entities)
    made = [path for path in files if path.startswith(_MADE) and path not in _list_identities(pack)]
    used = [path for path in files if path not in made]
    return _add(
        crate, entry, instrument, f"Export of the pack {entry.get('object_id')}",
        "Verdict by the policy, reports and bills of materials, made from the other documents.",
        (_list_there(crate, used), _list_there(crate, made)),
    )  # fmt: skip


def _list_identities(pack: PackView) -> set[str]:
    return {f"models/{model_id}/identity.json" for model_id, _ in pack.models()}


def _list_there(crate: ROCrate, paths: Any) -> list[Any]:
    return [found for path in paths if (found := crate.get(path)) is not None]


def _add(
    crate: ROCrate, entry: Mapping[str, Any], instrument: Any, name: str, description: str, files: tuple[list[Any], list[Any]],
    more: Mapping[str, Any] | None = None,
) -> Any:  # fmt: skip
    """Add one action of an entry of the log: its number there is its identifier, its actor the agent."""
    properties = {
        "@type": "CreateAction", "name": name, "description": description, "actionStatus": {"@id": COMPLETED},
        "endTime": str(entry.get("ts")), **describe_agent(crate, str(entry.get("actor", ""))),
    }  # fmt: skip
    if more is not None:
        del properties["endTime"]
    used, made = files
    return crate.add_action(
        instrument,
        identifier=f"#log-{entry.get('seq')}",
        object=used,
        result=made,
        properties=properties | dict(more or {}),
    )
