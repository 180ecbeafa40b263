"""A small genuine evidence pack with fixed keys, and the means to make false ones of it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from audit_core.evidence.canonical import dump_canonical, hash_document
from audit_core.evidence.container import make_manifest
from audit_core.evidence.statement import Approval, sign_statement
from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.documents import read_documents
from audit_core.verifier.log_entry import hash_entry
from audit_core.verifier.manifest import MANIFEST, PACK_ENVELOPE
from audit_core.verifier.note import hash_note_key
from audit_core.verifier.policy_table import resolve_policy
from audit_core.verifier.schemas_signed import APPROVAL_PREDICATE_TYPE, PACK_PREDICATE_TYPE
from audit_core.verifier.semantics import recompute_verdict
from audit_core.verifier.trust import read_trust
from audit_core.verifier.verification import Verification
from audit_core.verifier.walk import verify_pack

LOG_ID = "assay/0123456789abcdef"
PACK_ID = "01JD5ZK3M8Q4V7W9X2Y6T0R1SN"
RUNS = ("a" * 32, "b" * 32)
LOST, BROKEN = "c" * 32, "d" * 32
AT = "2026-11-21T12:00:00.000000Z"
POLICY = b"""schema = "assay/policy/1"
id = "toy"
applies_to = { model = "*", claim_kind = ["necessity", "sufficiency"] }
[gate]
required = ["integrity", "prereg_frozen_before_run", "attempts_disclosed", "effect", "rerun", "four_eyes"]
ci_level = 0.95
multiplicity = { method = "holm", alpha = 0.05 }
[criteria.effect]
metric = "necessity_drop"
op = ">="
threshold = 0.30
bound = "lower"
min_n = 20
over_ablations = ["mean", "resample"]
aggregate = "min"
source = "default"
why = "a toy"
"""


@dataclass(frozen=True)
class ToyKey:
    """A key anybody can make again from its name."""

    person: str

    @property
    def _secret(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(hashlib.sha256(self.person.encode()).digest())

    @property
    def public_key(self) -> bytes:
        return self._secret.public_key().public_bytes_raw()

    @property
    def keyid(self) -> str:
        return f"sha256:{hashlib.sha256(self.public_key).hexdigest()}"

    def sign(self, message: bytes) -> bytes:
        return self._secret.sign(message)


ANNA, BEN, CLEO, MALLORY, LOG = (ToyKey(name) for name in ("anna", "ben", "cleo", "mallory", "the log"))
"""Preparer, reviewer, approver, nobody, and the log's own."""


def write_trust(*rows: tuple[ToyKey, str], log: ToyKey | None = LOG, more: Mapping[ToyKey, str] | None = None) -> bytes:
    """A trust file; by default of Anna, Ben and Cleo in their roles, and of the log."""
    text = 'schema = "assay/trust/1"\n'
    for key, role in rows or ((ANNA, "preparer"), (BEN, "reviewer"), (CLEO, "approver")):
        text += (
            f'[[keys]]\nkeyid = "{key.keyid}"\npublic_key = "{base64.b64encode(key.public_key).decode()}"\n'
            f'person = "{key.person}"\nroles = ["{role}"]\nvalid_from = "2026-01-01T00:00:00Z"\n{(more or {}).get(key, "")}\n'
        )
    return text.encode() + (b"" if log is None else name_log_key(log))


def name_log_key(key: ToyKey, **dates: str) -> bytes:
    """A row of a trust file."""
    row = {"log_id": LOG_ID, "keyid": key.keyid, "public_key": base64.b64encode(key.public_key).decode(), **dates}
    return ("[[logs]]\n" + "".join(f'{name} = "{value}"\n' for name, value in row.items())).encode()


Event = tuple[str, str, dict[str, Any], bool]
"""Action, object, payload, and whether the pack shows it."""


@dataclass(frozen=True)
class Story:
    """What a pack is made of; change a copy and build it."""

    documents: dict[str, Any]
    events: list[Event]

    def copy(self) -> Story:
        return deepcopy(self)


def tell_story() -> Story:
    """Two claims; C-0001 at its second attempt, after one that was abandoned; C-0002 at its first, after a failed one."""
    claims = [_claim("C-0001", "L1.H0"), _claim("C-0002", "L1.H1")]
    plan = _plan(hashlib.sha256(POLICY).hexdigest(), claims)
    documents: dict[str, Any] = {
        "pack.json": _header(),
        "claims/claims.json": claims,
        "prereg/prereg.json": plan,
        "prereg/deviations.jsonl": [],
        "verdict/verdict.json": {
            "policy_sha256": plan["policy_sha256"], "evaluated_at": AT, "evaluator": "assay 0.1.0", "waived": [],
        },
        "log/consistency.json": None,
    }  # fmt: skip
    for run_id, claim_id, drop in zip(RUNS, ("C-0001", "C-0002"), (0.62, 0.41), strict=True):
        documents[f"runs/{run_id}/manifest.json"] = _manifest(run_id, claim_id, plan["digest"])
        documents[f"runs/{run_id}/metrics.json"] = [_metric(claim_id, name, drop) for name in ("resample", "mean")]
        documents[f"runs/{run_id}/result.json"] = {
            "claim_id": claim_id, "state": "supported", "reason": None, "sentence": "It was needed.", "conditions": {},
        }  # fmt: skip
        documents[f"runs/{run_id}/items.jsonl"] = [_item(number) for number in range(3)]
        documents[f"runs/{run_id}/reruns.json"] = [rerun("DECISION_EQUAL")]
    return Story(documents, _events(plan["digest"]))


def build_files(story: Story) -> dict[str, bytes]:
    """Every file but manifest and signatures, with digests, log and verdict made to fit unless the story gives them."""
    documents = deepcopy(story.documents)
    files = {"policy/policy.toml": POLICY, "README.txt": b"A toy.\n"}
    documents.setdefault("policy/policy.resolved.json", resolve_policy(_read_policy(files["policy/policy.toml"])))
    lines = write_log(story.events)
    files |= lines_to_files(lines, [event[3] for event in story.events])
    files |= {name: dump(name, document) for name, document in documents.items() if name != "verdict/verdict.json"}
    verdict = documents["verdict/verdict.json"]
    if "criteria" not in verdict:
        verdict |= recompute_verdict(read_documents(files, without=("verdict/verdict.json",)))
    return files | {"verdict/verdict.json": dump("verdict/verdict.json", verdict)}


def dump(name: str, document: Any) -> bytes:
    if name.endswith(".jsonl"):
        return b"".join(dump_canonical(row) + b"\n" for row in document)
    return dump_canonical(document)


def write_log(events: Sequence[Event], log_id: str = LOG_ID) -> list[bytes]:
    bodies: list[bytes] = []
    for seq, (action, object_id, payload, _) in enumerate(events):
        record = {
            "v": 1, "log_id": log_id, "seq": seq, "ts": f"2026-11-21T10:{seq:02d}:00.000000Z", "tenant": "local", "actor": "anna",
            "action": action, "object_id": object_id, "payload": payload, "prev": hash_entry(bodies[-1]) if bodies else "0" * 64,
        }  # fmt: skip
        bodies.append(dump_canonical(record))
    return bodies


def lines_to_files(
    bodies: Sequence[bytes], shown: Sequence[bool], key: ToyKey = LOG, log_id: str = LOG_ID
) -> dict[str, bytes]:
    leaves = [hashlib.sha256(b"\0" + body).digest() for body in bodies]
    seqs = [seq for seq, is_shown in enumerate(shown) if is_shown]
    rows = [
        {"seq": seq, "leaf": leaves[seq].hex(), "proof": [node.hex() for node in prove(seq, leaves)]} for seq in seqs
    ]
    return {
        "log/entries.jsonl": b"".join(bodies[seq] + b"\n" for seq in seqs),
        "log/inclusion.json": dump_canonical(rows),
        "log/checkpoint.txt": write_checkpoint(bodies, key, log_id),
    }


def write_checkpoint(bodies: Sequence[bytes], key: ToyKey = LOG, log_id: str = LOG_ID) -> bytes:
    root = base64.b64encode(root_of([hashlib.sha256(b"\0" + body).digest() for body in bodies])).decode()
    text = f"{log_id}\n{len(bodies)}\n{root}\n{hash_entry(bodies[-1])}\n"
    line = base64.b64encode(hash_note_key(log_id, key.public_key) + key.sign(text.encode())).decode()
    return f"{text}\n— {log_id} {line}\n".encode()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """RFC 6962, 2.1, as it is written."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + root_of(leaves[:split]) + root_of(leaves[split:])).digest()


def prove(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*prove(index, leaves[:split]), root_of(leaves[split:])]
    return [*prove(index - split, leaves[split:]), root_of(leaves[:split])]


def prove_growth(size: int, leaves: Sequence[bytes], whole: bool = True) -> list[bytes]:
    """RFC 6962, 2.1.2."""
    if size == len(leaves):
        return [] if whole else [root_of(leaves)]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if size <= split:
        return [*prove_growth(size, leaves[:split], whole), root_of(leaves[split:])]
    return [*prove_growth(size - split, leaves[split:], False), root_of(leaves[:split])]


def seal(files: Mapping[str, bytes], key: ToyKey = ANNA, **said: str) -> dict[str, bytes]:
    """Manifest and signature over whatever the files say."""
    plain = {name: data for name, data in files.items() if not name.startswith(("attestations/", MANIFEST))}
    manifest = make_manifest(plain)
    predicate = {"pack_id": PACK_ID, "role": "preparer", "person": key.person, "organisation": "Toy", "at": AT} | said
    return {**plain, MANIFEST: manifest, PACK_ENVELOPE: sign_statement(manifest, PACK_PREDICATE_TYPE, predicate, key)}


def approve(members: Mapping[str, bytes], key: ToyKey, role: str, **said: Any) -> dict[str, bytes]:
    approval = Approval(
        **{"role": role, "person": key.person, "organisation": "Toy", "decision": "approve", "at": AT} | said
    )
    envelope = sign_statement(members[MANIFEST], APPROVAL_PREDICATE_TYPE, approval.predicate(), key)
    number = sum("approval" in name for name in members)
    return {**members, f"attestations/approval-{role}-{number}.dsse.json": envelope}


def zip_up(members: Mapping[str, bytes] | Sequence[tuple[str, bytes]], **options: Any) -> bytes:
    """An archive by the standard library's own writer, as anybody would make it."""
    buffer = io.BytesIO()
    rows = members.items() if isinstance(members, Mapping) else members
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, data in rows:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


@cache
def _genuine() -> tuple[tuple[str, bytes], ...]:
    return tuple(seal(build_files(tell_story())).items())


def genuine_members() -> dict[str, bytes]:
    return dict(_genuine())


def retell(change: Callable[[Story], None]) -> dict[str, bytes]:
    """A pack sealed by the preparer around a changed story; what is derived is derived again."""
    story = tell_story()
    change(story)
    return seal(build_files(story))


def edit(name: str, change: Callable[[Any], Any]) -> dict[str, bytes]:
    """A pack sealed by the preparer after one document was changed and nothing else."""
    members = genuine_members()
    if name.endswith(".jsonl"):
        document = [json.loads(line) for line in members[name].splitlines()]
    else:
        document = json.loads(members[name])
    changed = change(document)
    rows = document if changed is None else changed
    data = (
        b"".join(encode_canonical(row) + b"\n" for row in rows) if name.endswith(".jsonl") else encode_canonical(rows)
    )
    return seal({**members, name: data})


def _read_policy(data: bytes) -> dict[str, Any]:
    import tomllib

    return tomllib.loads(data.decode())


def _header() -> dict[str, Any]:
    return {
        "schema": "assay/pack/1", "pack_id": PACK_ID, "created_at": AT, "organisation": "Toy", "system_name": "toy",
        "intended_purpose": "tests",
        "producer": {"name": "assay", "version": "0.1.0", "git_commit": None, "git_dirty": None, "wheel_sha256": None},
        "claim_ids": ["C-0001", "C-0002"], "run_ids": list(RUNS), "supersedes": None,
        "attempts": {"total": 4, "completed": 2, "failed": 1, "abandoned": 1}, "withheld_count": 0,
        "limitations": ["A toy."], "not_assessed": ["Everything else."], "disclaimer_id": "D1",
    }  # fmt: skip


def _claim(claim_id: str, component: str) -> dict[str, Any]:
    fixed = {
        "name": f"{component} is needed", "components": [component], "universe": "heads", "role": "necessary",
        "metric": "logit_difference", "ablation": "resample", "delta": 0.1, "alpha": 0.05,
    }  # fmt: skip
    digest = hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest()
    return {
        "claim_id": claim_id, "statement": "On toy prompts it is needed.", "kind": "necessity",
        "scope": {
            "model_id": "toy", "prompt_set_id": "toy", "intervention": "resample", "positions": "all", "dtype": "float32",
            "languages": ["en"],
        },
        "estimand": {"name": "necessity_drop", "formula": "(F(M)-F(M\\C))/(F(M)-F0)", "unit": "ratio"},
        "status": "tested", "evidence": [], "counter_evidence": [], "owner": "anna", "reviewer": "ben", "expires_at": "2027-05-21",
        "claim": {**fixed, "sha256": digest},
    }  # fmt: skip


def _plan(policy_sha256: str, claims: list[dict[str, Any]]) -> dict[str, Any]:
    plan = {
        "schema": "assay/prereg/1", "prereg_id": "P-0001", "version": 1, "title": "Toy", "authors": ["anna"], "created_at": AT,
        "frozen_at": AT, "research_question": "Is it needed?",
        "hypotheses": [{"id": "H1", "text": "It is.", "directional": True, "null": "It is not."}],
        "claims": [{"claim_id": claim["claim_id"], "claim_sha256": claim["claim"]["sha256"]} for claim in claims],
        "prior_access": "nothing_run",
        "model": {"repo": "toy", "revision": None, "weights_tree_sha256": "1" * 64},
        "prompts": {"set_id": "toy", "sha256": "2" * 64, "n_items": 40, "split": "confirmatory"},
        "interventions": [
            {"type": "ablation", "site": "L1.H0", "value_source": "other run", "direction": "noise", "ablation": "resample"}
        ],
        "primary_metrics": [{"name": "necessity_drop", "formula": "", "unit": "ratio"}], "secondary_metrics": [],
        "policy_sha256": policy_sha256, "sample_size": {"n": 40, "rationale": "toy", "mde": None, "power": None},
        "exclusions": [], "stopping_rule": "none", "multiplicity": {"family": "pack", "method": "holm", "alpha": 0.05},
        "seeds": [0], "analysis_code": {"git_commit": None, "path": "audit_core", "sha256": None}, "exploratory": [],
    }  # fmt: skip
    return plan | {"digest": hash_document(plan)}


def _manifest(run_id: str, claim_id: str, digest: str) -> dict[str, Any]:
    config = {"seed": 0}
    nothing = dict.fromkeys
    return {
        "schema": "assay/run/1",
        "identity": {
            "run_id": run_id, "claim_ids": [claim_id], "prereg_digest": digest, "attempt_no": 2, "started_at": AT, "ended_at": AT,
            "duration_s": 1.5, "status": "done",
        },
        "model": {
            "repo": "toy", "revision": None, "weights_tree_sha256": "1" * 64,
            "files": [{"path": "model.safetensors", "sha256": "3" * 64, "bytes": 100}], "param_count": 10, "dtype_on_disk": "float32",
            "dtype_run": "float32", "quantisation": None, "adapters": [], "config_sha256": None, "tokenizer_tree_sha256": None,
            "chat_template_sha256": None, "remote_code": False,
        },
        "prompts": {"set_id": "toy", "prompt_set_sha256": "2" * 64, "n_items": 40, "tokenised_sha256": None},
        "config": {"resolved_config": config, "config_sha256": hash_document(config), "interventions_sha256": None},
        "seeds": nothing(("python", "numpy", "torch", "cuda", "data_order")) | {"generator": {"bootstrap": 0}},
        "determinism": nothing(
            ("use_deterministic_algorithms", "cublas_workspace", "tf32", "attention_impl", "batch_size", "padding_side", "num_threads",
             "compile")
        ),
        "environment": nothing(
            ("os", "kernel", "cpu_model", "n_cpu", "gpu_model", "gpu_count", "driver", "cuda", "torch", "transformers", "numpy", "blas",
             "python", "container_digest", "lock_sha256", "git_commit", "git_dirty", "diff_sha256")
        ),
        "cost": nothing(("wall_s", "gpu_s", "peak_rss_bytes", "peak_vram_bytes", "energy_j")),
        "outputs": {"items.jsonl": _describe(b"".join(dump_canonical(_item(number)) + b"\n" for number in range(3)))},
    }  # fmt: skip


def _describe(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def _metric(claim_id: str, ablation: str, drop: float) -> dict[str, Any]:
    return {
        "metric": "necessity_drop", "claim_id": claim_id, "ablation": ablation, "estimate": drop, "unit": "ratio", "n": 40,
        "n_templates": 5, "ci_low": round(drop - 0.1, 3), "ci_high": round(drop + 0.1, 3), "ci_level": 0.95, "ci_method": "bootstrap",
        "reason": None, "denominator_abs_min": 2.0,
    }  # fmt: skip


def _item(number: int) -> dict[str, Any]:
    return {
        "item_id": f"p{number}", "item_commitment": None, "clean": 3.0, "corrupt": -1.0, "patched": 1.0, "effect": 0.5, "unit": "logit",
        "excluded_reason": None,
    }  # fmt: skip


def rerun(decision: str, numeric: str = "WITHIN_TOLERANCE") -> dict[str, Any]:
    return {
        "at": AT, "by": "ben", "environment": "cpu", "L0": "COMPARABLE", "L1": "BITWISE_EQUAL", "L2": numeric, "L3": decision,
    }  # fmt: skip


def _started(run_id: str, claim_id: str, number: int, digest: str) -> Event:
    payload = {
        "kind": "claim_test", "claim_id": claim_id, "prereg_digest": digest, "attempt_no": number, "content_key": "4" * 64,
        "prompts_sha256": "2" * 64, "model_digest": "1" * 64,
    }  # fmt: skip
    return "run.started", run_id, payload, True


def _ended(run_id: str, outcome: str) -> Event:
    return "run.ended", run_id, {"outcome": outcome, "reason": "", "result_sha256": None, "wall_s": 1.5}, True


def _events(digest: str) -> list[Event]:
    return [
        ("key.made", ANNA.keyid, {}, False),
        ("claim.registered", "C-0001", {}, True),
        ("claim.registered", "C-0002", {}, True),
        (
            "prereg.frozen",
            "P-0001",
            {"claim_id": "C-0001", "version": 1, "digest": digest, "prior_access": "nothing_run"},
            True,
        ),
        ("half.opened", "toy", {}, False),
        _started(LOST, "C-0001", 1, digest),
        _started(BROKEN, "C-0002", 1, digest),
        _ended(BROKEN, "failed"),
        ("log.verified", LOG_ID, {}, False),
        _started(RUNS[0], "C-0001", 2, digest),
        _ended(RUNS[0], "done"),
        _started(RUNS[1], "C-0002", 2, digest),
        _ended(RUNS[1], "done"),
        ("pack.exported", PACK_ID, {"claims": {"C-0001": {"attempts": 2}, "C-0002": {"attempts": 2}}}, True),
    ]


def check(pack: bytes | Mapping[str, bytes], trust: bytes | None = None, saved: bytes | None = None) -> Verification:
    """Verify with the usual trust file, unless another is given."""
    data = pack if isinstance(pack, bytes) else zip_up(pack)
    return verify_pack(data, read_trust(trust or write_trust()), saved)


def name_failure(found: Verification) -> str:
    """Steps that failed, each with what it says."""
    return "; ".join(f"{step.name}: {step.detail}" for step in found.steps if step.result == "FAILED")
