"""Process criteria of a policy, answered from the pack's documents instead of metrics."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from audit_core.verifier.attempts import Attempt, find_gap, list_attempts, read_exported
from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.criteria import DOES_NOT_MEET, INCONCLUSIVE, MEETS, NOT_EVALUATED
from audit_core.verifier.documents import Documents
from audit_core.verifier.schemas_claims import PRIOR_ACCESS, SEEN
from audit_core.verifier.strict_json import NotStrictJson, load_strict

Fact = dict[str, str | None]
_FREEZING = ("prereg.frozen", "prereg.amended", "prereg.deviated")
"""Events that freeze a version; changes after the first are in `deviations.jsonl`."""


def derive_facts(documents: Documents) -> dict[str, dict[str, Fact]]:
    """Return {criterion: {result, reason}} per claim, for `evaluate_policy`.

    prereg_frozen_before_run, attempts_disclosed and rerun are always present; deviation only if one affects the claim.
    """
    claim_ids = documents.pack["claim_ids"]
    attempts = list_attempts(documents.entries, claim_ids)
    exported = read_exported(documents.entries, documents.pack["pack_id"])
    facts = {}
    for claim_id in claim_ids:
        packed = [
            run_id
            for run_id in documents.pack["run_ids"]
            if claim_id in documents.find_manifest(run_id)["identity"]["claim_ids"]
        ]
        own = [attempt for attempt in attempts if attempt.claim_id == claim_id]
        facts[claim_id] = {
            "prereg_frozen_before_run": _judge_freeze(documents, claim_id, packed, own),
            "attempts_disclosed": _judge_attempts(attempts, claim_id, exported.get(claim_id)),
            "rerun": _judge_reruns(documents, packed),
            **_find_deviations(documents.deviations, claim_id),
        }
    return facts


def derive_answers(documents: Documents) -> list[dict[str, Any]]:
    """Return the answers for `evaluate_policy`: {run_id, audit, result, freeze}, in the order of their ids.

    The last says whether the question was frozen under the pack's policy before it was answered.
    """
    return [
        {
            "run_id": run_id,
            "audit": answer["audit"],
            "result": _load_result(answer["result"]),
            "freeze": _judge_question(documents, run_id),
        }
        for run_id, answer in sorted(documents.answers.items())
    ]


def _load_result(text: str) -> Any:
    """Return None for what is no strict JSON: `check_answers` refuses that pack, and no number is read from it."""
    try:
        return load_strict(text.encode())
    except NotStrictJson:
        return None


def _judge_question(documents: Documents, run_id: str) -> Fact:
    starts = [entry for entry in documents.entries if (entry["action"], entry["object_id"]) == ("run.started", run_id)]
    if not starts:
        return _fact(NOT_EVALUATED, "the log shows no start of this run")
    asked = [
        entry
        for entry in documents.entries
        if entry["action"] == "question.frozen"
        and entry["payload"].get("content_key") == starts[0]["payload"].get("content_key")
    ]
    if not asked:
        return _fact(NOT_EVALUATED, "EXPLORATORY: the log shows no freezing of this question")
    before = [entry for entry in asked if entry["seq"] < starts[0]["seq"]]
    if not before:
        return _fact(DOES_NOT_MEET, "the run started before its question was frozen")
    policy = hashlib.sha256(encode_canonical(documents.policy)).hexdigest()
    if all(entry["payload"].get("resolved_policy_sha256") != policy for entry in before):
        return _fact(INCONCLUSIVE, "EXPLORATORY: the question was frozen under another policy")
    access = before[0]["payload"].get("prior_access")
    if access not in PRIOR_ACCESS or access in SEEN:
        return _fact(INCONCLUSIVE, f"EXPLORATORY: when the question was fixed, {str(access)[:40].replace('_', ' ')}")
    number = before[0]["payload"].get("number")
    if number == 1:
        return _fact(MEETS)
    return _fact(
        MEETS, f"question {str(number)[:9]} of this audit on this model: earlier ones need not be in this pack"
    )


def list_reruns(documents: Documents, run_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the comparable reruns of these runs."""
    rows = [row for run_id in run_ids for row in documents.parsed.get(f"runs/{run_id}/reruns.json", [])]
    return [row for row in rows if row["L0"] == "COMPARABLE"]


def _fact(result: str, reason: str | None = None) -> Fact:
    return {"result": result, "reason": reason}


def _judge_freeze(documents: Documents, claim_id: str, packed: Sequence[str], attempts: Sequence[Attempt]) -> Fact:
    """Check that every run of the claim started after its preregistration was frozen, with its model and prompts."""
    plan = documents.find_plan(claim_id)
    if not packed or plan is None:
        return _fact(NOT_EVALUATED, f"the pack shows no {'preregistration' if packed else 'run'} of this claim")
    frozen = [entry["seq"] for entry in documents.entries if _freezes(entry, plan["digest"])]
    if not frozen:
        return _fact(DOES_NOT_MEET, "the log shows no freezing of this preregistration")
    for run_id in packed:
        started = [attempt.seq for attempt in attempts if attempt.run_id == run_id]
        if not started:
            return _fact(DOES_NOT_MEET, f"the log shows no start of run {run_id}")
        if min(started) < min(frozen):
            return _fact(DOES_NOT_MEET, f"run {run_id} started before the preregistration was frozen")
        manifest = documents.find_manifest(run_id)
        if manifest["model"]["weights_tree_sha256"] != plan["model"]["weights_tree_sha256"]:
            return _fact(DOES_NOT_MEET, f"run {run_id} used another model than the preregistration names")
        if manifest["prompts"]["prompt_set_sha256"] != plan["prompts"]["sha256"]:
            return _fact(DOES_NOT_MEET, f"run {run_id} used other prompts than the preregistration names")
    if plan["prior_access"] in SEEN:
        return _fact(INCONCLUSIVE, f"EXPLORATORY: when the plan was fixed, {plan['prior_access'].replace('_', ' ')}")
    return _fact(MEETS)


def _freezes(entry: Mapping[str, Any], digest: str) -> bool:
    return entry["action"] in _FREEZING and digest in (
        entry["payload"].get("digest"),
        entry["payload"].get("prereg_digest"),
    )


def _judge_attempts(attempts: Sequence[Attempt], claim_id: str, exported: Any) -> Fact:
    if not any(attempt.claim_id == claim_id for attempt in attempts):
        return _fact(NOT_EVALUATED, "the log shows no attempt at this claim")
    gap = find_gap(attempts, claim_id, exported)
    return _fact(MEETS) if gap is None else _fact(DOES_NOT_MEET, gap)


def _judge_reruns(documents: Documents, packed: Sequence[str]) -> Fact:
    """Check that at least one comparable rerun reached the same decision, and none another."""
    decided = [row for row in list_reruns(documents, packed) if row["L3"] != "NOT_EVALUATED"]
    if not decided:
        return _fact(NOT_EVALUATED, "the pack records no comparable rerun that came to a decision")
    flipped = [row for row in decided if row["L3"] == "DECISION_FLIPPED"]
    if any(row["L2"] != "WITHIN_TOLERANCE" for row in flipped):
        return _fact(DOES_NOT_MEET, "a rerun came to another decision")
    if flipped:
        return _fact(
            INCONCLUSIVE, "a rerun within tolerance came to another decision: the threshold lies inside the noise"
        )
    return _fact(MEETS)


def _find_deviations(deviations: Sequence[Mapping[str, Any]], claim_id: str) -> dict[str, Fact]:
    """Return the deviations of a claim: changes after results could be seen make it exploratory."""
    touching = [row for row in deviations if row["prior_access"] in SEEN and claim_id in row["effect_on_claims"]]
    if not touching:
        return {}
    changes = "; ".join(f"{row['id']} changed {row['field']}" for row in touching)
    return {"deviation": _fact(INCONCLUSIVE, changes[:200])}
