"""Preregistrations as PRML manifests (Pre-Registered ML Manifest, prml/0.1), in both directions and with the same digests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from audit_core.claim import Claim, Role, parse_claim
from audit_core.component import head
from audit_core.errors import AuditError, IntegrityError, Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.exchange.plain_yaml import read_plain_yaml
from audit_core.preregistration import SCHEMA, Preregistration
from audit_core.verifier.strict_json import NotStrictJson, load_strict

VERSION = "prml/0.1"
MAX_MANIFEST_BYTES = 256 << 10
"""A plan with its claim takes 4 to 60 kB: a claim may name every head of a model."""
SIDECAR = ".prml.sha256"
"""End of the name of the file that carries the manifest's digest, as the format's own tool names it."""
_FORBIDDEN = {*map(chr, range(0x20)), *map(chr, range(0x7F, 0xA0)), "\u2028", "\u2029", "\ufeff"}
_METRICS = {Role.NECESSARY: "necessity_share", Role.SUFFICIENT: "sufficiency_share"}
_NOTES = (
    "metric_args.plan is the whole frozen plan and metric_args.claim the claim, both as JSON texts; their SHA-256 are plan_sha256 and "
    "claim_sha256. One number against one threshold is not the verdict of this plan: that also compares the lower end of the interval "
    "over templates under three ablations, random sets of components of the same shape, and positive controls."
)


@dataclass(frozen=True)
class ImportedPlan:
    """A manifest that was read, rebuilt from its plan, and found equal."""

    manifest_sha256: str
    """SHA-256 of the canonical manifest: the digest that PRML tools print."""
    plan_sha256: str
    """Digest of the preregistration, as in the register, the log and packs."""
    plan: Mapping[str, Any]
    """The document `prereg.json` without its digest."""
    claim: Claim
    claim_id: str
    """Id of the claim in the register that froze it."""
    prior_sha256: str
    """SHA-256 of the manifest of the plan's previous version; empty for the first."""


def write_manifest(plans: Sequence[Preregistration]) -> bytes:
    """Return the canonical bytes of the last plan's manifest; their SHA-256 is the manifest's digest.

    Args:
        plans: every version of one claim's plan, oldest first; each manifest names its predecessor's digest.

    Raises:
        Refused: no plan, or a text that the format excludes.
    """
    manifest, prior = b"", ""
    for plan in plans:
        document = plan.to_document()
        del document["digest"]
        claim = json.dumps(plan.claim.to_json(), sort_keys=True)
        manifest = _dump(_build(dump_canonical(document).decode(), claim, prior))
        prior = hashlib.sha256(manifest).hexdigest()
    if not manifest:
        raise Refused("No plan.", wanted="a frozen claim.", remedy="freeze it first: `prereg`.")
    return manifest


def read_manifest(raw: bytes, *, name: str, expected: str = "") -> ImportedPlan:
    """Read a manifest of a plan, and check every digest in it.

    Args:
        name: the file's name in messages.
        expected: SHA-256 of the canonical manifest, known from elsewhere; empty if unknown.

    Raises:
        Refused: not a manifest, or a manifest without a plan of this format.
        IntegrityError: a digest differs, or a field is not what the plan says.
    """
    found = read_plain_yaml(raw, name=name, most=MAX_MANIFEST_BYTES)
    _refuse_foreign(found, name)
    digest = hashlib.sha256(_dump(found)).hexdigest()
    if expected and digest != expected:
        raise IntegrityError(
            f"{name} was changed: found the digest {digest}, wanted {expected}. What to do: ask for the manifest as it was frozen, and "
            "compare the digest with the one that its author published."
        )
    plan_text, claim_text = str(found["metric_args"]["plan"]), str(found["metric_args"]["claim"])
    plan, claim = _read_plan(plan_text, name), _read_claim(claim_text, name)
    if hashlib.sha256(claim_text.encode()).hexdigest() != plan["claims"][0]["claim_sha256"]:
        raise IntegrityError(
            f"{name} was changed: the claim in it is not the one whose digest the plan in it names, {claim.name[:80]!a}. What to do: ask "
            "for the manifest as it was frozen."
        )
    prior = found.get("prior_hash", "")
    rebuilt = _build(plan_text, claim_text, prior)
    if differing := sorted(key for key in found.keys() | rebuilt.keys() if found.get(key) != rebuilt.get(key)):
        key = differing[0]
        raise IntegrityError(
            f"{name} was changed: {key} is {str(found.get(key))[:80]!a}, and the plan in it says {str(rebuilt.get(key))[:80]!a}. What "
            "to do: ask for the manifest as it was frozen."
        )
    plan_sha256 = hashlib.sha256(plan_text.encode()).hexdigest()
    return ImportedPlan(digest, plan_sha256, plan, claim, str(plan["claims"][0]["claim_id"]), prior)


def _build(plan_text: str, claim_text: str, prior: str) -> dict[str, Any]:
    """Build the manifest of a plan from the texts of its plan and claim alone, so that a reader can build it again."""
    plan, claim = json.loads(plan_text), parse_claim(json.loads(claim_text))
    digest = hashlib.sha256(plan_text.encode()).hexdigest()
    manifest = {
        "version": VERSION,
        "claim_id": _make_uuid(plan["frozen_at"], digest),
        "created_at": plan["frozen_at"],
        "metric": f"{_METRICS[claim.role]}:{claim.metric}",
        "metric_args": {
            "claim": claim_text,
            "claim_sha256": hashlib.sha256(claim_text.encode()).hexdigest(),
            "plan": plan_text,
            "plan_sha256": digest,
        },
        "comparator": ">",
        "threshold": claim.delta,
        "dataset": {"id": plan["prompts"]["set_id"], "hash": plan["prompts"]["sha256"]},
        "model": {"id": plan["model"]["repo"], "hash": plan["model"]["weights_tree_sha256"]},
        "seed": plan["seeds"][0],
        "producer": {"id": plan["authors"][0]},
        "notes": _NOTES,
    }
    return manifest | ({"prior_hash": prior} if prior else {})


def _make_uuid(frozen_at: str, digest: str) -> str:
    """Return a UUID of version 7 with the time of the freeze and bits of the plan's digest: equal plans, equal ids."""
    milliseconds = int(datetime.fromisoformat(frozen_at).timestamp() * 1000)
    chance = int(digest[:19], 16) & (1 << 74) - 1
    number = milliseconds << 80 | 7 << 76 | (chance >> 62) << 64 | 0b10 << 62 | chance & (1 << 62) - 1
    return str(UUID(int=number))


def _dump(manifest: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of a manifest: sorted keys in block style, UTF-8, one newline at the end."""
    import yaml

    _refuse_texts(manifest)
    table = dict(manifest) | {"threshold": float(manifest["threshold"])}
    # The format is defined by what this writer does with these options, and by published vectors.
    text = yaml.safe_dump(table, default_flow_style=False, sort_keys=True, width=float("inf"), allow_unicode=True)
    return (text.rstrip() + "\n").encode()


def _refuse_texts(value: Any) -> None:
    """Refuse characters that other writers of the format would encode otherwise."""
    if isinstance(value, str) and (found := _FORBIDDEN & set(value)):
        raise Refused(
            f"A text with the character {min(found)!a}: {value[:60]!a}.",
            wanted="texts without control characters and line ends.",
            remedy="remove it from the claim's name or the author's, and freeze again.",
        )
    for inner in value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ():
        _refuse_texts(inner)


def _refuse_foreign(found: Mapping[str, Any], name: str) -> None:
    arguments = found.get("metric_args")
    parts = [arguments.get(part) for part in ("plan", "claim")] if isinstance(arguments, dict) else []
    threshold = found.get("threshold")
    if found.get("version") != VERSION or not isinstance(threshold, int | float) or isinstance(threshold, bool):
        raise Refused(
            f"{name} has version {str(found.get('version'))[:40]!a} and threshold {str(threshold)[:40]!a}.",
            wanted=f"a manifest of {VERSION} with a number as threshold.",
            remedy="check it with a tool of its own format.",
        )
    if len(parts) != 2 or not all(isinstance(part, str) for part in parts):
        producer = found.get("producer")
        author = producer.get("id") if isinstance(producer, dict) else None
        raise Refused(
            f"{name} is the manifest of {str(author)[:60]!a} about {str(found.get('metric'))[:60]!a}, without a plan of this format.",
            wanted="a manifest with metric_args.plan and metric_args.claim, as `exchange plan` writes it.",
            remedy="check it with a tool of PRML; to test such a statement here, write a claim in TOML and freeze it.",
        )


def _read_plan(text: str, name: str) -> dict[str, Any]:
    """Read the plan: canonical JSON of the known schema, or its digest would not be the register's."""
    try:
        plan = load_strict(text.encode())
        is_known = dump_canonical(plan) == text.encode() and plan["schema"] == SCHEMA
        # With any claim: whether the plan has every field that a manifest is built from.
        _build(text, json.dumps(Claim("any", (head(0, 0),)).to_json()), "")
        _ = plan["claims"][0]["claim_id"], plan["claims"][0]["claim_sha256"]
    except (NotStrictJson, AuditError, KeyError, IndexError, TypeError, ValueError) as error:
        raise _refuse_part(name, "plan", str(error)) from error
    if not is_known or len(plan["claims"]) != 1:
        raise _refuse_part(name, "plan", f"schema {str(plan['schema'])[:40]!a}, or not in canonical form")
    return dict(plan)


def _read_claim(text: str, name: str) -> Claim:
    try:
        table = load_strict(text.encode())
        claim = parse_claim(table)
        same = json.dumps(claim.to_json(), sort_keys=True) == text
    except (NotStrictJson, AuditError, TypeError, ValueError) as error:
        raise _refuse_part(name, "claim", str(error)) from error
    if not same:
        raise _refuse_part(name, "claim", "another spelling than the one whose digest was frozen")
    return claim


def _refuse_part(name: str, part: str, why: str) -> Refused:
    return Refused(
        f"metric_args.{part} of {name} cannot be read: {why[:200]}.",
        wanted=f"a {part} as `exchange plan` writes it.",
        remedy="ask for the manifest as it was frozen.",
    )
