"""Step 6, answers: each result of an audit is the one that the log recorded, and none was left out of the export."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from audit_core.verifier.container import BadPack
from audit_core.verifier.documents import Documents
from audit_core.verifier.strict_json import NotStrictJson, load_strict


def check_answers(documents: Documents) -> None:
    """Check the answers of a pack against its log.

    Raises:
        BadPack: an answer is missing, renamed, changed, or not in the log.
    """
    answers = documents.answers
    exported = _read_exported_answers(documents)
    if sorted(answers) != sorted(exported):
        raise BadPack(f"the pack has {len(answers)} answers, the export was logged with {ascii(exported)[:120]}")
    for name, answer in answers.items():
        _check_answer(name, answer, documents.entries)


def _read_exported_answers(documents: Documents) -> list[str]:
    """Return the ids of the runs that the pack's export event names; empty if it names none."""
    last = documents.entries[-1] if documents.entries else None
    if last is None or last["action"] != "pack.exported" or last["object_id"] != documents.pack["pack_id"]:
        return []
    found = last["payload"].get("answers", [])
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise BadPack("the export was logged with answers that are no list of runs")
    return found


def _check_answer(name: str, answer: Mapping[str, Any], entries: list[dict[str, Any]]) -> None:
    if answer["run_id"] != name:
        raise BadPack(f"answers/{name}.json belongs to run {answer['run_id']}")
    own = [entry for entry in entries if entry["object_id"] == name]
    started = [entry for entry in own if entry["action"] == "run.started"]
    ended = [entry for entry in own if entry["action"] == "run.ended"]
    if (len(started), len(ended)) != (1, 1):
        raise BadPack(f"the log shows {len(started)} starts and {len(ended)} ends of run {name}")
    start, end = started[0]["payload"], ended[0]["payload"]
    for field, key in (("audit", "kind"), ("prompts_sha256", "prompts_sha256"), ("model_digest", "model_digest")):
        if answer[field] != start.get(key):
            raise BadPack(f"answers/{name}.json and the log differ in {field}")
    if answer["model_digest"] != compute_model_digest(answer["identity"]):
        raise BadPack(f"the identity in answers/{name}.json is not the one of its model digest")
    if start.get("claim_id") is not None:
        raise BadPack(f"run {name} tested a claim: it belongs to the claim's attempts")
    if end.get("outcome") != "done":
        raise BadPack(f"run {name} ended with {ascii(end.get('outcome'))[:40]}")
    if hashlib.sha256(answer["result"].encode()).hexdigest() != end.get("result_sha256"):
        raise BadPack(f"the result in answers/{name}.json is not the one in the log")
    try:
        load_strict(answer["result"].encode())
    except NotStrictJson as error:
        raise BadPack(f"the result in answers/{name}.json: {error}") from error


def compute_model_digest(identity: Mapping[str, Any]) -> str:
    """Return the twelve digits over what determines a model's numbers, as the product computes them at each run."""
    parts = [identity.get(f"{name}_sha256") for name in ("weights", "tokenizer", "config")]
    parts += [identity.get("dtype"), identity.get("attention")]
    parts += [identity["dictionary_sha256"]] if identity.get("dictionary_sha256") else []
    parts += [f"device {identity['device']}", identity.get("device_name")] if "device" in identity else []
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
