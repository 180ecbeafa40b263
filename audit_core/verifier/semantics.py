"""Step 6: the documents agree with each other, with the log, and with the verdict that anybody can compute from them again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from audit_core.verifier.attempts import Attempt, count_attempts, find_gap, list_attempts, read_exported
from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.container import BadPack
from audit_core.verifier.criteria import DocumentsMalformed, evaluate_policy
from audit_core.verifier.documents import Documents
from audit_core.verifier.facts import derive_facts
from audit_core.verifier.schemas_claims import SEEN
from audit_core.verifier.withheld import check_prompt_sets

PLAN_FIELDS = {
    "pins.model": ("model", "repo"),
    "pins.weights_sha256": ("model", "weights_tree_sha256"),
    "pins.prompts": ("prompts", "set_id"),
    "pins.prompts_sha256": ("prompts", "sha256"),
    "pins.n_prompts": ("prompts", "n_items"),
    "pins.policy_sha256": ("policy_sha256",),
    "pins.code_sha256": ("analysis_code", "sha256"),
}
"""Where a field that the product changes stands in `prereg.json`; others are named as they stand there, or are not there."""


def check_semantics(documents: Documents, members: Mapping[str, bytes], signed_pack_id: str | None) -> None:
    """Check everything that is said in two places.

    Args:
        signed_pack_id: the pack that the signed statement is about; None where there is no such statement.

    Raises:
        BadPack: two places say different things.
    """
    if signed_pack_id is not None and signed_pack_id != documents.pack["pack_id"]:
        raise BadPack(f"the signature is for pack {signed_pack_id}, the header names {documents.pack['pack_id']}")
    _check_claims(documents)
    _check_plans(documents, members["policy/policy.toml"])
    attempts = list_attempts(documents.entries, documents.pack["claim_ids"])
    _check_attempts(documents, attempts)
    starts: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in attempts:
        starts.setdefault((attempt.run_id, attempt.claim_id), []).append(attempt)
    for run_id in documents.pack["run_ids"]:
        _check_run(documents, members, run_id, starts)
    check_prompt_sets(documents, members)
    _check_deviations(documents)
    _check_verdict(documents)


def recompute_verdict(documents: Documents) -> dict[str, Any]:
    """Criteria, overall and coverage, from claims, metrics, policy and log.

    Raises:
        BadPack: claims or metrics that no policy can be held against.
    """
    try:
        return evaluate_policy(documents.policy, documents.claims, documents.metrics, derive_facts(documents))
    except DocumentsMalformed as error:
        raise BadPack(f"the verdict cannot be computed: {error}") from error


def compute_plan_digest(preregistration: Mapping[str, Any]) -> str:
    """SHA-256 of a preregistration's canonical bytes, without the field that holds it."""
    return hashlib.sha256(
        encode_canonical({name: value for name, value in preregistration.items() if name != "digest"})
    ).hexdigest()


def _check_claims(documents: Documents) -> None:
    named, there = documents.pack["claim_ids"], [claim["claim_id"] for claim in documents.claims]
    if sorted(named) != sorted(there) or len(set(named)) < len(named):
        raise BadPack("pack.json and claims.json name different claims, or one twice")
    for claim in documents.claims:
        if claim["owner"] == claim["reviewer"]:
            raise BadPack(f"{claim['claim_id']} is owned and reviewed by one person")
        if claim["claim"]["sha256"] != _hash_claim(claim["claim"]):
            raise BadPack(f"{claim['claim_id']} is not the claim that its digest names")


def _hash_claim(claim: Mapping[str, Any]) -> str:
    """As the product takes it when it freezes a claim; shares are doubles there, whatever they look like here."""
    fields = {name: value for name, value in claim.items() if name != "sha256"}
    fields |= {name: float(fields[name]) for name in ("delta", "alpha")}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def _check_plans(documents: Documents, policy: bytes) -> None:
    """Each preregistration is what was frozen, under the policy that is applied, and each claim is named by one of them."""
    policy_sha256 = hashlib.sha256(policy).hexdigest()
    for plan in documents.plans:
        if compute_plan_digest(plan) != plan["digest"]:
            raise BadPack(f"{plan['prereg_id']} is not what its digest says: it was changed after it was frozen")
        if plan["policy_sha256"] != policy_sha256:
            raise BadPack(f"{plan['prereg_id']} names another policy than policy.toml")
    if _read_verdict(documents)["policy_sha256"] != policy_sha256:
        raise BadPack("verdict.json names another policy than policy.toml")
    if encode_canonical(documents.policy) != encode_canonical(documents.parsed["policy/policy.resolved.json"]):
        raise BadPack("policy.resolved.json is not what policy.toml says")
    named = sorted((row["claim_id"], row["claim_sha256"]) for plan in documents.plans for row in plan["claims"])
    if documents.claims and named != sorted(
        (claim["claim_id"], claim["claim"]["sha256"]) for claim in documents.claims
    ):
        raise BadPack("the preregistrations and claims.json are not about the same claims, or name one twice")


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
    said, config = manifest["identity"], manifest["config"]
    if said["run_id"] != run_id:
        raise BadPack(f"runs/{run_id}/manifest.json is of run {said['run_id']}")
    for claim_id in said["claim_ids"]:
        plan = documents.find_plan(claim_id)
        if plan is None or said["prereg_digest"] != plan["digest"]:
            raise BadPack(f"run {run_id} names another preregistration than {claim_id} has")
        own = starts.get((run_id, claim_id), [])
        if len(own) != 1:
            raise BadPack(f"the log shows {len(own)} starts of run {run_id} for {claim_id}")
        logged = (own[0].number, own[0].prereg_digest, own[0].outcome or "abandoned")
        if logged != (said["attempt_no"], said["prereg_digest"], said["status"]):
            raise BadPack(f"run {run_id} says other things of itself than the log: attempt, preregistration or outcome")
    if hashlib.sha256(encode_canonical(config["resolved_config"])).hexdigest() != config["config_sha256"]:
        raise BadPack(f"the configuration of run {run_id} is not what its digest says")
    for path, output in manifest["outputs"].items():
        held = members.get(f"runs/{run_id}/{path}")
        found = None if held is None else {"sha256": hashlib.sha256(held).hexdigest(), "bytes": len(held)}
        if found is not None and found != output:
            raise BadPack(f"runs/{run_id}/{path} is not the output that the run's manifest names")
    about = {row["claim_id"] for row in documents.parsed[f"runs/{run_id}/metrics.json"]}
    result = documents.parsed.get(f"runs/{run_id}/result.json")
    if not about | ({result["claim_id"]} if result else set()) <= set(said["claim_ids"]):
        raise BadPack(f"run {run_id} holds numbers of a claim that it did not test")


def _check_deviations(documents: Documents) -> None:
    """Each version of each plan after the first has rows that say what it changed, and an event; what changed last is what it says."""
    steps: set[tuple[str, int, bool]] = set()
    for plan in documents.plans:
        rows = [row for row in documents.deviations if row.get("prereg_id", plan["prereg_id"]) == plan["prereg_id"]]
        if len(documents.plans) > 1 and any("prereg_id" not in row for row in rows):
            raise BadPack("deviations.jsonl does not say which preregistration a row is of")
        if {row["prereg_version"] for row in rows} != set(range(1, plan["version"])):
            raise BadPack(
                f"{plan['prereg_id']} is version {plan['version']}: deviations.jsonl does not say what each version changed"
            )
        steps |= {(plan["prereg_id"], row["prereg_version"], row["prior_access"] in SEEN) for row in rows}
        _check_changes(plan, rows)
    if any(
        row.get("prereg_id") not in (None, *(plan["prereg_id"] for plan in documents.plans))
        for row in documents.deviations
    ):
        raise BadPack("deviations.jsonl tells of a preregistration that the pack does not hold")
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
            raise BadPack(f"{field[:60]!a} of {plan['prereg_id']} is not what it was last changed to")


def _check_verdict(documents: Documents) -> None:
    said = _read_verdict(documents)
    found = recompute_verdict(documents)
    for part in ("criteria", "overall", "coverage"):
        if encode_canonical(said[part]) != encode_canonical(found[part]):
            raise BadPack(f"verdict.json is not what policy, metrics and log give: {_name_difference(said, found)}")


def _name_difference(said: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    for ours, theirs in zip(found["criteria"], said["criteria"], strict=False):
        if encode_canonical(ours) != encode_canonical(theirs):
            return f"{theirs['claim_id']} {theirs['id'][:40]!a} says {theirs['result']}, computed {ours['result']}"
    if len(found["criteria"]) != len(said["criteria"]):
        return f"{len(said['criteria'])} criteria, computed {len(found['criteria'])}"
    return f"overall {said['overall']}, computed {found['overall']}"


def _read_verdict(documents: Documents) -> Mapping[str, Any]:
    found: Mapping[str, Any] = documents.parsed["verdict/verdict.json"]
    return found
