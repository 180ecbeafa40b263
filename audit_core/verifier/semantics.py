"""Step 6, semantics: documents agree with each other, with the log, and with the recomputed verdict."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from audit_core.verifier.answers import check_answers
from audit_core.verifier.attempts import Attempt, count_attempts, find_gap, list_attempts, read_exported
from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.container import BadPack
from audit_core.verifier.criteria import DocumentsMalformed, evaluate_policy
from audit_core.verifier.disclosure import check_disclosed_prompts, check_disclosure
from audit_core.verifier.documents import Documents
from audit_core.verifier.facts import derive_answers, derive_facts
from audit_core.verifier.findings import check_findings
from audit_core.verifier.schemas_claims import PRIOR_ACCESS, SEEN
from audit_core.verifier.withheld import check_prompt_sets

PLAN_FIELDS = {
    "pins.model": ("model", "repo"),
    "pins.weights_sha256": ("model", "weights_tree_sha256"),
    "pins.dictionary_sha256": ("model", "dictionary_sha256"),
    "pins.prompts": ("prompts", "set_id"),
    "pins.prompts_sha256": ("prompts", "sha256"),
    "pins.n_prompts": ("prompts", "n_items"),
    "pins.split_salt": ("prompts", "split_salt"),
    "pins.policy_sha256": ("policy_sha256",),
    "pins.code_sha256": ("analysis_code", "sha256"),
}
"""Field of a deviation → its path in `prereg.json`; other fields have the same name there, or are absent."""


def check_semantics(documents: Documents, members: Mapping[str, bytes], signed_pack_id: str | None) -> None:
    """Check that documents which state the same fact agree.

    Args:
        signed_pack_id: pack id in the signed statement; None if there is no statement.

    Raises:
        BadPack: two documents contradict each other.
    """
    if signed_pack_id is not None and signed_pack_id != documents.pack["pack_id"]:
        raise BadPack(f"the signature is for pack {signed_pack_id}, the header names {documents.pack['pack_id']}")
    _check_claims(documents)
    _check_plans(documents, members["policy/policy.toml"])
    _check_access(documents)
    attempts = list_attempts(documents.entries, documents.pack["claim_ids"])
    _check_attempts(documents, attempts)
    starts: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in attempts:
        starts.setdefault((attempt.run_id, attempt.claim_id), []).append(attempt)
    for run_id in documents.pack["run_ids"]:
        _check_run(documents, members, run_id, starts)
    check_disclosure(documents, members)
    check_prompt_sets(documents, members)
    check_disclosed_prompts(documents, members)
    _check_deviations(documents)
    check_findings(documents)
    check_answers(documents)
    _check_verdict(documents)


def recompute_verdict(documents: Documents) -> dict[str, Any]:
    """Compute criteria, overall result and coverage from claims, metrics, policy and log.

    Raises:
        BadPack: claims or metrics that cannot be evaluated.
    """
    try:
        return evaluate_policy(
            documents.policy, documents.claims, documents.metrics, derive_facts(documents), derive_answers(documents)
        )
    except DocumentsMalformed as error:
        raise BadPack(f"the verdict cannot be computed: {error}") from error


def compute_plan_digest(preregistration: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a preregistration's canonical bytes without its `digest` field."""
    return hashlib.sha256(
        encode_canonical({name: value for name, value in preregistration.items() if name != "digest"})
    ).hexdigest()


def _check_claims(documents: Documents) -> None:
    named, there = documents.pack["claim_ids"], [claim["claim_id"] for claim in documents.claims]
    if sorted(named) != sorted(there) or len(set(named)) < len(named):
        raise BadPack("pack.json and claims.json name different claims, or one of them twice")
    for claim in documents.claims:
        if claim["owner"] == claim["reviewer"]:
            raise BadPack(f"{claim['claim_id']} has the same owner and reviewer")
        if claim["claim"]["sha256"] != _hash_claim(claim["claim"]):
            raise BadPack(f"{claim['claim_id']} does not match its digest")


def _hash_claim(claim: Mapping[str, Any]) -> str:
    """Return a claim's digest as the product computes it on freezing, with `delta` and `alpha` as floats."""
    fields = {name: value for name, value in claim.items() if name != "sha256"}
    fields |= {name: float(fields[name]) for name in ("delta", "alpha")}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _check_plans(documents: Documents, policy: bytes) -> None:
    """Check that preregistrations match digest and policy, and that exactly one names each claim."""
    policy_sha256 = hashlib.sha256(policy).hexdigest()
    for plan in documents.plans:
        if compute_plan_digest(plan) != plan["digest"]:
            raise BadPack(f"{plan['prereg_id']} does not match its digest: it was changed after it was frozen")
        if plan["policy_sha256"] != policy_sha256:
            raise BadPack(f"{plan['prereg_id']} names another policy than policy.toml")
    if _read_verdict(documents)["policy_sha256"] != policy_sha256:
        raise BadPack("verdict.json names another policy than policy.toml")
    if encode_canonical(documents.policy) != encode_canonical(documents.parsed["policy/policy.resolved.json"]):
        raise BadPack("policy.resolved.json is not the resolved policy.toml")
    named = sorted((row["claim_id"], row["claim_sha256"]) for plan in documents.plans for row in plan["claims"])
    if documents.claims and named != sorted(
        (claim["claim_id"], claim["claim"]["sha256"]) for claim in documents.claims
    ):
        raise BadPack("the preregistrations and claims.json name different claims, or one of them twice")


def _check_access(documents: Documents) -> None:
    """Check that no plan states less access to results than the log does of its freezing, or of an earlier version's."""
    for entry in documents.entries:
        logged, plan = entry["payload"].get("prior_access"), documents.find_plan(str(entry["payload"].get("claim_id")))
        if not entry["action"].startswith("prereg.") or logged not in PRIOR_ACCESS or plan is None:
            continue
        if PRIOR_ACCESS.index(logged) > PRIOR_ACCESS.index(plan["prior_access"]):
            raise BadPack(f"{plan['prereg_id']} states {plan['prior_access']}, the log of its freezing {logged}")


def _check_attempts(documents: Documents, attempts: tuple[Attempt, ...]) -> None:
    exported = read_exported(documents.entries, documents.pack["pack_id"])
    claim_ids = documents.pack["claim_ids"]
    if sorted(exported) != sorted(claim_ids):
        raise BadPack("the last entry of the log is not the export of this pack with these claims")
    for claim_id in claim_ids:
        if gap := find_gap(attempts, claim_id, exported[claim_id]):
            raise BadPack(gap)
    if (counted := count_attempts(attempts)) != documents.pack["attempts"]:
        raise BadPack(f"pack.json counts {documents.pack['attempts']} attempts, the log shows {counted}")


def _check_run(
    documents: Documents,
    members: Mapping[str, bytes],
    run_id: str,
    starts: Mapping[tuple[str, str], list[Attempt]],
) -> None:
    manifest = documents.find_manifest(run_id)
    identity, config = manifest["identity"], manifest["config"]
    if identity["run_id"] != run_id:
        raise BadPack(f"runs/{run_id}/manifest.json belongs to run {identity['run_id']}")
    for claim_id in identity["claim_ids"]:
        plan = documents.find_plan(claim_id)
        if plan is None or identity["prereg_digest"] != plan["digest"]:
            raise BadPack(f"run {run_id} names another preregistration than {claim_id} has")
        own = starts.get((run_id, claim_id), [])
        if len(own) != 1:
            raise BadPack(f"the log shows {len(own)} starts of run {run_id} for {claim_id}")
        logged = (own[0].number, own[0].prereg_digest, own[0].outcome or "abandoned")
        if logged != (identity["attempt_no"], identity["prereg_digest"], identity["status"]):
            raise BadPack(f"run {run_id} and the log differ in attempt, preregistration or outcome")
    if hashlib.sha256(encode_canonical(config["resolved_config"])).hexdigest() != config["config_sha256"]:
        raise BadPack(f"the configuration of run {run_id} does not match its digest")
    for path, output in manifest["outputs"].items():
        data = members.get(f"runs/{run_id}/{path}")
        found = None if data is None else {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        if found is not None and found != output:
            raise BadPack(f"runs/{run_id}/{path} does not match its digest in the run's manifest")
    about = {row["claim_id"] for row in documents.parsed[f"runs/{run_id}/metrics.json"]}
    result = documents.parsed.get(f"runs/{run_id}/result.json")
    if not about | ({result["claim_id"]} if result else set()) <= set(identity["claim_ids"]):
        raise BadPack(f"run {run_id} contains results of a claim that it did not test")


def _check_deviations(documents: Documents) -> None:
    """Check that each version after the first has its changes and its event, and that the plan has the last values."""
    steps: set[tuple[str, int, bool]] = set()
    for plan in documents.plans:
        rows = [row for row in documents.deviations if row.get("prereg_id", plan["prereg_id"]) == plan["prereg_id"]]
        if len(documents.plans) > 1 and any("prereg_id" not in row for row in rows):
            raise BadPack("deviations.jsonl does not state which preregistration a row belongs to")
        if {row["prereg_version"] for row in rows} != set(range(1, plan["version"])):
            raise BadPack(
                f"{plan['prereg_id']} is version {plan['version']}: deviations.jsonl does not state what each version changed"
            )
        steps |= {(plan["prereg_id"], row["prereg_version"], row["prior_access"] in SEEN) for row in rows}
        _check_changes(plan, rows)
    if any(
        row.get("prereg_id") not in (None, *(plan["prereg_id"] for plan in documents.plans))
        for row in documents.deviations
    ):
        raise BadPack("deviations.jsonl names a preregistration that is not in the pack")
    actions = [entry["action"] for entry in documents.entries]
    for action, is_late in (("prereg.amended", False), ("prereg.deviated", True)):
        shown = sum(late is is_late for _, _, late in steps)
        if shown != actions.count(action):
            raise BadPack(
                f"{shown} changes of a plan in deviations.jsonl, {actions.count(action)} events {action} in the log"
            )


def _check_changes(plan: Mapping[str, Any], rows: list[dict[str, Any]]) -> None:
    last: dict[str, Any] = {}
    for row in sorted(rows, key=lambda row: int(row["prereg_version"])):
        if row["field"] in last and last[row["field"]] != row["before"]:
            raise BadPack(
                f"{row['id']}: {row['field'][:60]!a} was not {ascii(row['before'])[:60]} before it was changed"
            )
        last[row["field"]] = row["after"]
    for field, after in last.items():
        *path, name = PLAN_FIELDS.get(field, (field,))
        part: Any = plan
        for step in path:
            part = part[step]
        if name in part and after not in (part[name], str(part[name])):
            raise BadPack(f"{field[:60]!a} of {plan['prereg_id']} does not have the value of its last change")


def _check_verdict(documents: Documents) -> None:
    stated = _read_verdict(documents)
    found = recompute_verdict(documents)
    for part in ("criteria", "overall", "coverage"):
        if encode_canonical(stated[part]) != encode_canonical(found[part]):
            raise BadPack(f"verdict.json differs from the recomputed verdict: {_name_difference(stated, found)}")


def _name_difference(stated: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    for computed, row in zip(found["criteria"], stated["criteria"], strict=False):
        if encode_canonical(computed) != encode_canonical(row):
            return f"{row['claim_id']} {row['id'][:40]!a} states {row['result']}, computed {computed['result']}"
    if len(found["criteria"]) != len(stated["criteria"]):
        return f"{len(stated['criteria'])} criteria, computed {len(found['criteria'])}"
    return f"overall {stated['overall']}, computed {found['overall']}"


def _read_verdict(documents: Documents) -> Mapping[str, Any]:
    found: Mapping[str, Any] = documents.parsed["verdict/verdict.json"]
    return found
