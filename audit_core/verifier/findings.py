"""Step 6, findings: each state follows from its changes, and each change from an event of the log."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.container import BadPack
from audit_core.verifier.documents import Documents

FINDING_ACTION = "finding."
"""Beginning of the actions of findings in the log; a step follows."""
STEP_STATUS = {"closed": "closed", "accepted": "accepted", "reopened": "open"}
"""Step → the status that it always leads to; the other steps lead to open or in remediation."""
_ACTIVE = ("open", "in_remediation")


def fold_finding(history: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a finding's state: the last value of each field."""
    state: dict[str, Any] = {}
    for change in history:
        state |= change["fields"]
    return state


def check_findings(documents: Documents) -> None:
    """Check the findings of a pack against its log.

    Raises:
        BadPack: a finding, or one of its changes, is missing, repeated, changed, or not in the log.
    """
    found = {one["finding_id"]: one for one in documents.findings}
    if len(found) < len(documents.findings):
        raise BadPack("claims/findings.json has a finding twice")
    counts = {name: len(one["history"]) for name, one in found.items()}
    if counts != (exported := _read_exported_findings(documents)):
        raise BadPack(
            f"claims/findings.json has the changes {ascii(counts)[:120]}, the export was logged with {ascii(exported)[:120]}"
        )
    logged: dict[str, list[Mapping[str, Any]]] = {}
    for entry in documents.entries:
        if entry["action"].startswith(FINDING_ACTION) and not _is_beginning_only(entry, documents.pack["claim_ids"]):
            logged.setdefault(entry["object_id"], []).append(entry)
    if unknown := sorted(set(logged) - set(found)):
        raise BadPack(f"the log shows finding {unknown[0][:20]!a}, which claims/findings.json lacks")
    for name, one in found.items():
        _check_finding(name, one, logged.get(name, []), documents.pack["claim_ids"])


def _is_beginning_only(entry: Mapping[str, Any], claim_ids: Iterable[str]) -> bool:
    """Whether an entry is in the pack only as the first of the log: it is about no claim of the pack."""
    claims = entry["payload"].get("claims")
    return entry["seq"] == 0 and isinstance(claims, list) and not any(claim_id in claims for claim_id in claim_ids)


def _read_exported_findings(documents: Documents) -> Any:
    """Return the number of changes by finding in the pack's export event; empty if it names none."""
    last = documents.entries[-1] if documents.entries else None
    return {} if last is None else last["payload"].get("findings", {})


def _check_finding(
    name: str, one: Mapping[str, Any], events: list[Mapping[str, Any]], claim_ids: Iterable[str]
) -> None:
    history = one["history"]
    if [(row["finding_id"], row["version"]) for row in history] != [(name, at) for at in range(1, len(history) + 1)]:
        raise BadPack(f"the changes of {name} are not numbered from 1 on without a gap")
    if len(events) != len(history):
        raise BadPack(f"{name} has {len(history)} changes, the log shows {len(events)}")
    for row, event in zip(history, events, strict=True):
        stated = (f"{FINDING_ACTION}{row['step']}", row["by"], hashlib.sha256(encode_canonical(row)).hexdigest())
        if stated != (event["action"], event["actor"], event["payload"].get("row_sha256")):
            raise BadPack(f"change {row['version']} of {name} is not the one in the log")
        status = row["fields"].get("status")
        if (row["step"] == "recorded") != (row["version"] == 1) or (
            status != STEP_STATUS[row["step"]] if row["step"] in STEP_STATUS else status not in (None, *_ACTIVE)
        ):
            raise BadPack(f"change {row['version']} of {name} cannot follow the one before")
    if fold_finding(history) != one["state"]:
        raise BadPack(f"the state of {name} does not follow from its changes")
    if not set(one["state"]["claims"]) & set(claim_ids):
        raise BadPack(f"{name} is about no claim of this pack")
