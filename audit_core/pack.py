"""Gathers what the home knows of claims, logs the export, and writes one signed pack."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from audit_core.crosswalk import SHIPPED_CROSSWALK
from audit_core.errors import AuditError, Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.environment import list_packages
from audit_core.evidence.keys import SigningKey
from audit_core.evidence.schema_files import render_schemas
from audit_core.evidence.statement import seal_pack
from audit_core.pack_documents import (
    LIMITATIONS,
    NOT_ASSESSED,
    Attempt,
    describe_claim,
    describe_result,
    describe_run,
    list_deviations,
    list_items,
    list_metrics,
)
from audit_core.pack_log import choose_events, log_export, write_log
from audit_core.policy import Policy, parse_policy
from audit_core.run import list_versions
from audit_core.store import load_kept_prompts
from audit_core.store.database import open_database
from audit_core.store.events import Action, AuditEvent, append_event, read_clock
from audit_core.store.home import load_kept_policy
from audit_core.store.log import RunLog
from audit_core.store.register import Register, RegisteredClaim
from audit_core.verifier.attempts import count_attempts, list_attempts
from audit_core.verifier.documents import read_documents
from audit_core.verifier.semantics import recompute_verdict

DISCLAIMER = "findings-not-assurance-1"
_BASE32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
README = """Evidence pack of Assay.

What this is: claims about parts of a language model, the plan that was frozen before the run, every attempt, the numbers with
their intervals, the policy they are held against, and signatures. report/report.html reads it aloud.

What this is not: an assurance, a legal assessment, or a statement about anything beyond the tested conditions.

How to check it: python -I -S verify_pack.py THIS_FILE --trust trust.toml
Take verify_pack.py and trust.toml from people you trust, by another way than this pack. docs/reference/pack.md says what is
checked, and how to do it by hand with sha256sum and openssl.
"""


@dataclass(frozen=True)
class Issue:
    """On whose behalf a pack is made, and of what."""

    person: str
    organisation: str = ""
    system_name: str = ""
    intended_purpose: str = ""


@dataclass(frozen=True)
class Exported:
    """A pack that was written."""

    path: Path
    pack_id: str
    root_digest: str
    """SHA-256 of the manifest, which stands for the pack."""
    attempts: Mapping[str, int]
    overall: str
    """What the policy says of it: `verdict.json`."""


def export_pack(
    home: Path, claim_ids: Sequence[str], out: Path, *, key: SigningKey, issue: Issue, supersedes: str | None = None
) -> Exported:
    """Write one pack about registered claims: every attempt disclosed, the export logged before the file exists.

    Raises:
        Refused: no claims, a claim that was never run, frozen under another policy, or files no pack can hold.
        IntegrityError: a plan is not what was frozen.
    """
    claims = [Register(home).find(claim_id) for claim_id in dict.fromkeys(claim_ids)]
    policy = _read_policy(claims)
    pack_id = make_ulid()
    events, note = log_export(home, pack_id, claims, issue.person)
    shown = choose_events(events, claims, pack_id)
    attempts = {known.claim_id: _read_attempts(home, known, shown) for known in claims}
    try:
        files = _write_documents(claims, attempts, shown, issue, policy, pack_id, supersedes)
        files |= write_log(events, shown, note)
        files |= _write_verdict(files, policy)
        files |= _write_renderings(files)
        overall = str(json.loads(files["verdict/verdict.json"])["overall"])
        digest = seal_pack(
            out, files, key, pack_id=pack_id, person=issue.person, organisation=issue.organisation, at=read_clock()
        )
    except AuditError as error:
        with open_database(home) as connection:
            told = {"reason": type(error).__name__}
            append_event(connection, actor=issue.person, action=Action.PACK_REFUSED, object_id=pack_id, payload=told)
        raise
    return Exported(out, pack_id, digest, {name: len(runs) for name, runs in attempts.items()}, overall)


def make_ulid() -> str:
    """48 bits of milliseconds and 80 random bits, 26 characters of Crockford's base 32."""
    number = (time.time_ns() // 1_000_000 << 80) | secrets.randbits(80)
    return "".join(_BASE32[number >> shift & 31] for shift in range(125, -1, -5))


def _read_policy(claims: Sequence[RegisteredClaim]) -> Policy:
    """The one that all these claims were frozen under."""
    if not claims:
        raise Refused("No claims.", wanted="at least one claim id.", remedy="name one: `claims` lists them.")
    digests = {known.plan.pins.policy_sha256 for known in claims}
    if len(digests) > 1:
        raise Refused(
            f"Claims frozen under {len(digests)} policies.",
            wanted="claims of one policy.",
            remedy="make a pack for each; `gate` holds any pack against any policy.",
        )
    (digest,) = digests
    return parse_policy(load_kept_policy(digest), f"{digest[:12]}.toml")


def _read_attempts(home: Path, known: RegisteredClaim, shown: Sequence[AuditEvent]) -> list[Attempt]:
    """Runs under the plan as it stands that came to a result: all of them, as none may be left out."""
    started = {
        event.object_id: event
        for event in shown
        if event.action == Action.RUN_STARTED and event.payload["prereg_digest"] == known.plan.digest
    }
    ended = {event.object_id: event for event in shown if event.action == Action.RUN_ENDED}
    return [
        Attempt(record, int(started[record.run_id].payload["attempt_no"]), started[record.run_id], ended[record.run_id])
        for record in RunLog(home).read_runs(list(started))
        if record.outcome == "done"
    ]


def _write_documents(
    claims: Sequence[RegisteredClaim], attempts: Mapping[str, Sequence[Attempt]], shown: Sequence[AuditEvent], issue: Issue,
    policy: Policy, pack_id: str, supersedes: str | None,
) -> dict[str, bytes]:  # fmt: skip
    runs = [run for known in claims for run in attempts[known.claim_id]]
    entries = [json.loads(event.body) for event in shown]
    plans = [known.plan.to_document() for known in claims]
    header = {
        "schema": "assay/pack/1", "pack_id": pack_id, "created_at": read_clock(), "organisation": issue.organisation,
        "system_name": issue.system_name, "intended_purpose": issue.intended_purpose,
        "producer": {
            "name": "assay", "version": list_versions()["assay"], "git_commit": None, "git_dirty": None, "wheel_sha256": None,
        },
        "claim_ids": [known.claim_id for known in claims], "run_ids": [run.record.run_id for run in runs],
        "supersedes": supersedes, "attempts": count_attempts(list_attempts(entries, [known.claim_id for known in claims])),
        "withheld_count": 0, "limitations": list(LIMITATIONS), "not_assessed": list(NOT_ASSESSED), "disclaimer_id": DISCLAIMER,
    }  # fmt: skip
    files = {
        "README.txt": README.encode(),
        "pack.json": dump_canonical(header),
        "claims/claims.json": dump_canonical([describe_claim(known, attempts[known.claim_id]) for known in claims]),
        "prereg/prereg.json": dump_canonical(plans[0] if len(plans) == 1 else plans),
        "prereg/deviations.jsonl": _dump_lines(list_deviations(claims)),
        "policy/policy.toml": policy.text,
        "policy/policy.resolved.json": dump_canonical(policy.resolved()),
        "crosswalk/crosswalk.json": dump_canonical(json.loads(SHIPPED_CROSSWALK.read_bytes())),
        "environment/env.json": dump_canonical({"packages": [list(row) for row in list_packages()]}),
        "environment/requirements.lock.txt": "".join(f"{name}=={found}\n" for name, found in list_packages()).encode(),
    }
    for known in claims:
        files |= _write_prompts(known)
        for attempt in attempts[known.claim_id]:
            files |= _write_run(known, attempt) | _write_reruns(attempt.record.run_id, shown)
    return files | {f"schemas/{name}": data for name, data in render_schemas().items()}


def _write_run(known: RegisteredClaim, attempt: Attempt) -> dict[str, bytes]:
    folder = f"runs/{attempt.record.run_id}"
    whole = json.loads(attempt.record.result or "")
    whole["verdict"].pop("items")
    files = {
        "metrics.json": dump_canonical(list_metrics(known, attempt)),
        "result.json": dump_canonical(describe_result(known, attempt)),
        "answers.json": dump_canonical(whole),
        "items.jsonl": _dump_lines(list_items(known, attempt)),
    }
    outputs = {name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)} for name, data in files.items()}
    files["manifest.json"] = dump_canonical(describe_run(known, attempt, outputs))
    identity = {name: value for name, value in attempt.identity.items() if name not in ("folder", "environment")}
    files = {f"{folder}/{name}": data for name, data in files.items()}
    return files | {f"models/{_name(str(identity['short']))}/identity.json": dump_canonical(identity)}


def _write_reruns(run_id: str, shown: Sequence[AuditEvent]) -> dict[str, bytes]:
    """Every comparison that the log tells of, good or bad."""
    fields = ("at", "by", "environment", "L0", "L1", "L2", "L3")
    rows = [
        {name: event.payload[name] for name in fields}
        for event in shown
        if event.action == Action.RERUN_COMPARED and event.object_id == run_id
    ]
    return {f"runs/{run_id}/reruns.json": dump_canonical(rows)} if rows else {}


def _write_prompts(known: RegisteredClaim) -> dict[str, bytes]:
    prompts, pins = load_kept_prompts(known.prompts), known.plan.pins
    folder = f"prompts/{pins.prompts_sha256[:16]}"
    rows = [{name: value for name, value in vars(prompt).items() if value} for prompt in prompts.prompts]
    said = {
        "set_id": pins.prompts, "sha256": pins.prompts_sha256, "n_items": pins.n_prompts, "split": "confirmatory",
        "whole_sha256": prompts.sha256, "n_whole": len(prompts.prompts),
    }  # fmt: skip
    return {f"{folder}/set.json": dump_canonical(said), f"{folder}/items.jsonl": _dump_lines(rows)}


def _write_verdict(files: Mapping[str, bytes], policy: Policy) -> dict[str, bytes]:
    found = recompute_verdict(read_documents(files, without=("verdict/verdict.json",)))
    said = {
        "policy_sha256": policy.sha256, "evaluated_at": read_clock(), "evaluator": f"assay {list_versions()['assay']}", "waived": [],
    }  # fmt: skip
    return {"verdict/verdict.json": dump_canonical(said | found)}


def _write_renderings(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """For people and other tools; the digest that they name is of everything else, as no file can name its own."""
    # Four libraries of writers, which nothing else of the product needs: a page must not wait for them.
    from audit_core.evidence.ml_bom import dump_model_bom, dump_package_bom
    from audit_core.evidence.model_card import dump_model_card
    from audit_core.evidence.report.html import render_html
    from audit_core.evidence.report.pdf import render_pdf
    from audit_core.evidence.ro_crate import dump_crate

    documents = {name: _parse(name, data) for name, data in files.items() if name.endswith((".json", ".jsonl"))}
    listed = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    digest = hashlib.sha256(listed.encode()).hexdigest()
    what = "SHA-256 of the list of all documents that this report is made of"
    made = {
        "report/report.html": render_html(documents, root_digest=digest, digest_of=what),
        "report/report.pdf": render_pdf(documents, root_digest=digest, digest_of=what),
        "environment/sbom.cdx.json": dump_package_bom(documents),
    }
    for name in [name for name in files if name.startswith("models/")]:
        model = json.loads(files[name])["model"]
        folder = name.rsplit("/", 1)[0]
        made[f"{folder}/mlbom.cdx.json"] = dump_model_bom(documents, model_id=model)
        made[f"{folder}/README.md"] = dump_model_card(documents, model_id=model)
    return made | {"ro-crate-metadata.json": dump_crate(documents, paths=[*files, *made])}


def _parse(name: str, data: bytes) -> Any:
    return [json.loads(line) for line in data.splitlines()] if name.endswith(".jsonl") else json.loads(data)


def _dump_lines(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(dump_canonical(dict(row)) + b"\n" for row in rows)


def _name(text: str) -> str:
    return "".join(character if character.isalnum() else "-" for character in text)
