"""Write a pack's members about claims, plans and results, from the register, the log and the runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.environment import list_packages
from audit_core.evidence.schema_files import render_schemas
from audit_core.governance.policy import Policy
from audit_core.packs.family import Relative
from audit_core.packs.pack_documents import (
    PRIVATE_IDENTITY,
    Attempt,
    describe_claim,
    describe_result,
    describe_run,
    list_deviations,
    list_items,
    list_metrics,
)
from audit_core.packs.withholding import WithheldItem, Withholding, describe_withheld, redact_rows
from audit_core.references.crosswalk_file import SHIPPED_CROSSWALK
from audit_core.store import load_kept_prompts
from audit_core.store.claims.register import RegisteredClaim
from audit_core.store.database.events import Action, AuditEvent
from audit_core.verifier.canonical_json import encode_canonical

README = """Evidence pack of Assay.

What this is: claims about parts of a language model, the plan that was frozen before the run, every attempt, the numbers with
their intervals, the policy they are evaluated under, and signatures. report/report.html presents all of it.

What this is not: an assurance, a legal assessment, or a statement about anything beyond the tested conditions.

How to check it: python -I -S verify_pack.py THIS_FILE --trust trust.toml
Get verify_pack.py and trust.toml from people you trust, through a separate channel. docs/reference/pack.md describes the
checks, and how to make them by hand with sha256sum and openssl.
"""


def write_documents(
    claims: Sequence[RegisteredClaim],
    attempts: Mapping[str, Sequence[Attempt]],
    families: Mapping[str, Sequence[Relative]],
    shown: Sequence[AuditEvent],
    policy: Policy,
    withholding: Withholding,
) -> dict[str, bytes]:
    """Write the documents; returns member name → bytes.

    Args:
        withholding: withheld prompts, which the attempts no longer contain.
    """
    plans = [known.plan.to_document() for known in claims]
    packages = list_packages()
    files = {
        "README.txt": README.encode(),
        "claims/claims.json": dump_canonical(
            [describe_claim(known, attempts[known.claim_id], families[known.claim_id]) for known in claims]
        ),
        "prereg/prereg.json": dump_canonical(plans[0] if len(plans) == 1 else plans),
        "prereg/deviations.jsonl": _dump_lines(list_deviations(claims)),
        "policy/policy.toml": policy.text,
        "policy/policy.resolved.json": dump_canonical(policy.resolved()),
        "crosswalk/crosswalk.json": dump_canonical(json.loads(SHIPPED_CROSSWALK.read_bytes())),
        "environment/env.json": dump_canonical({"packages": [list(row) for row in packages]}),
        "environment/requirements.lock.txt": "".join(f"{name}=={found}\n" for name, found in packages).encode(),
    }
    for known in claims:
        items = withholding.items.get(known.plan.pins.prompts_sha256)
        files |= _write_prompts(known, withholding)
        for attempt in attempts[known.claim_id]:
            files |= _write_run(known, attempt, items) | _write_reruns(attempt.record.run_id, shown)
    return files | {f"schemas/{name}": data for name, data in render_schemas().items()}


def _write_run(
    known: RegisteredClaim, attempt: Attempt, withheld: Mapping[str, WithheldItem] | None
) -> dict[str, bytes]:
    folder = f"runs/{attempt.record.run_id}"
    rows = list_items(known, attempt)
    files = {
        "metrics.json": dump_canonical(list_metrics(known, attempt)),
        "result.json": dump_canonical(describe_result(known, attempt, with_templates=withheld is None)),
        "items.jsonl": _dump_lines(rows if withheld is None else redact_rows(rows, withheld)),
    }
    if withheld is None:
        # A template with one prompt would reveal that prompt's numbers.
        whole = json.loads(attempt.record.result or "")
        whole["verdict"].pop("items")
        files["answers.json"] = dump_canonical(whole)
    outputs = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    files["manifest.json"] = dump_canonical(describe_run(known, attempt, outputs))
    identity = {name: value for name, value in attempt.identity.items() if name not in PRIVATE_IDENTITY}
    files = {f"{folder}/{name}": data for name, data in files.items()}
    return files | {f"models/{_name(str(identity['short']))}/identity.json": dump_canonical(identity)}


def _write_reruns(run_id: str, shown: Sequence[AuditEvent]) -> dict[str, bytes]:
    """Every logged comparison with a rerun."""
    fields = ("at", "by", "environment", "L0", "L1", "L2", "L3")
    rows = [
        {name: event.payload[name] for name in fields}
        for event in shown
        if event.action == Action.RERUN_COMPARED and event.object_id == run_id
    ]
    return {f"runs/{run_id}/reruns.json": dump_canonical(rows)} if rows else {}


def _write_prompts(known: RegisteredClaim, withholding: Withholding) -> dict[str, bytes]:
    prompts, pins = load_kept_prompts(known.prompts), known.plan.pins
    folder = f"prompts/{pins.prompts_sha256[:16]}"
    header = {
        "set_id": pins.prompts, "sha256": pins.prompts_sha256, "n_items": pins.n_prompts, "split": "confirmatory",
        "whole_sha256": prompts.sha256, "n_whole": len(prompts.prompts),
    }  # fmt: skip
    files = {f"{folder}/set.json": dump_canonical(header)}
    if hidden := withholding.sets.get(pins.prompts_sha256):
        return files | {f"{folder}/withheld.json": describe_withheld(hidden, withholding.items[pins.prompts_sha256])}
    # The text is not normalized: that would change the digest that the runs name.
    rows = b"".join(encode_canonical(prompt.to_row()) + b"\n" for prompt in prompts.prompts)
    return files | {f"{folder}/items.jsonl": rows}


def _dump_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(dump_canonical(dict(row)) + b"\n" for row in rows)


def _name(text: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in text)
