"""Documents of one registered claim before any pack is exported: what a report needs, without prompts and signatures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.report.disclosure import say_beginning
from audit_core.governance.policy import Policy, parse_policy
from audit_core.packs.disclosure import describe_disclosure
from audit_core.packs.family import list_family, read_attempts
from audit_core.packs.finding_documents import describe_findings
from audit_core.packs.pack import ExportOptions, describe_header
from audit_core.packs.pack_documents import (
    PRIVATE_IDENTITY,
    Attempt,
    describe_claim,
    describe_result,
    describe_run,
    list_deviations,
    list_metrics,
)
from audit_core.packs.pack_log import choose_events
from audit_core.packs.withholding import Withholding
from audit_core.store.claims.register import Register, RegisteredClaim
from audit_core.store.data_directory import load_kept_policy
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import AuditEvent, list_events
from audit_core.store.findings.rows import read_findings
from audit_core.verifier.criteria import NOT_EVALUATED, evaluate_policy
from audit_core.verifier.documents import Documents
from audit_core.verifier.facts import derive_facts
from audit_core.verifier.schemas_disclosure import DISCLOSURE_MEMBER

NO_PACK = "no pack of this claim is exported yet"


def read_claim_documents(home: Path, claim_id: str) -> dict[str, Any]:
    """Return path → parsed document, as a pack of this claim would have them; nothing is logged or written.

    The criterion `attempts_disclosed` is not evaluated, because only an export discloses attempts.

    Raises:
        ClaimRefused: no such claim.
        IntegrityError: a plan or policy differs from the frozen one.
        StoreRefused: the policy of the claim is not stored.
    """
    known = Register(home).find(claim_id)
    digest = known.plan.pins.policy_sha256
    policy = parse_policy(load_kept_policy(digest, home=home), f"{digest[:12]}.toml")
    with open_database(home) as connection:
        events = list_events(connection)
        shown = choose_events(events, [known], "")
        findings = tuple(one for one in read_findings(connection) if claim_id in one.claims)
    attempts = read_attempts(home, known, shown)
    disclosure = describe_disclosure(home, [known], events)
    header = describe_header(
        [known], {claim_id: attempts}, shown, ExportOptions(""), Withholding(), say_beginning(disclosure)
    )
    documents: dict[str, Any] = {
        "pack.json": header | {"pack_id": None, "supersedes": None},
        "claims/claims.json": [describe_claim(known, attempts, list_family(home, known))],
        "prereg/prereg.json": known.plan.to_document(),
        "prereg/deviations.jsonl": list_deviations([known]),
        DISCLOSURE_MEMBER: disclosure,
        "policy/policy.resolved.json": policy.resolved(),
        "log/entries.jsonl": [json.loads(event.body) for event in shown],
        **_describe_prompts(known),
        **describe_findings(findings),
    }
    for attempt in attempts:
        documents |= _describe_attempt(known, attempt)
    return documents | {"verdict/verdict.json": _evaluate(documents, policy, shown, str(header["created_at"]))}


def digest_documents(documents: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the list of all documents with their digests."""
    listed = "".join(
        f"{hashlib.sha256(dump_canonical(documents[name])).hexdigest()}  {name}\n" for name in sorted(documents)
    )
    return hashlib.sha256(listed.encode()).hexdigest()


def _describe_prompts(known: RegisteredClaim) -> dict[str, Any]:
    pins = known.plan.pins
    header = {
        "set_id": pins.prompts,
        "sha256": pins.prompts_sha256,
        "n_items": pins.n_prompts,
        "split": "confirmatory",
    }
    return {f"prompts/{pins.prompts_sha256[:16]}/set.json": header}


def _describe_attempt(known: RegisteredClaim, attempt: Attempt) -> dict[str, Any]:
    folder = f"runs/{attempt.record.run_id}"
    identity = {name: value for name, value in attempt.identity.items() if name not in PRIVATE_IDENTITY}
    return {
        f"{folder}/manifest.json": describe_run(known, attempt, {}),
        f"{folder}/metrics.json": list_metrics(known, attempt),
        f"{folder}/result.json": describe_result(known, attempt),
        f"models/{identity['short']}/identity.json": identity,
    }


def _evaluate(documents: Mapping[str, Any], policy: Policy, shown: Sequence[AuditEvent], at: str) -> dict[str, Any]:
    read = Documents(documents, policy.resolved(), tuple(event.body.encode() for event in shown))
    facts = derive_facts(read)
    for rows in facts.values():
        rows["attempts_disclosed"] = {"result": NOT_EVALUATED, "reason": NO_PACK}
    found = evaluate_policy(policy.resolved(), read.claims, read.metrics, facts)
    return {"policy_sha256": policy.sha256, "evaluated_at": at, "evaluator": "assay", "waived": [], **found}
