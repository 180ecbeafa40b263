"""Frozen plans of a data directory as files for others, and such files compared with the register."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from audit_core.errors import ClaimRefused, IntegrityError, Refused
from audit_core.exchange.prml import SIDECAR, ImportedPlan, read_manifest, write_manifest
from audit_core.store.claims.register import Register, RegisteredClaim

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ComparedPlan:
    """A manifest that was read, and what its digest was compared with."""

    plan: ImportedPlan
    compared_with: str
    """given digest | digest beside the file | this register"""
    registered: str
    """Id of the claim in this register that has this plan; empty if none has."""


def export_plan(home: Path, claim_id: str, version: int | None = None) -> bytes:
    """Return the manifest of a frozen plan.

    Args:
        version: of the plan; None for the current one.

    Raises:
        ClaimRefused: no such claim, or no such version.
    """
    known = Register(home).find(claim_id)
    plans = known.plans if version is None else known.plans[: max(version, 0)]
    if version is not None and len(plans) != version:
        raise ClaimRefused(
            f"{claim_id} has no version {version}.",
            wanted=f"1 to {len(known.plans)}.",
            remedy="leave it out for the newest.",
        )
    return write_manifest(plans)


def name_sidecar(path: Path) -> Path:
    """Path of the file with the manifest's digest, where the tools of PRML look for it."""
    return path.with_suffix("").with_name(path.with_suffix("").name + SIDECAR)


def import_plan(
    home: Path, raw: bytes, *, name: str, expected: str, sidecar: str = "", claim_id: str = ""
) -> ComparedPlan:
    """Read a manifest, and compare its digest with one that was known before.

    Args:
        expected: digest that the reader has from elsewhere; empty if none.
        sidecar: content of the file beside it; empty if none.
        claim_id: claim of this register that it must be the plan of; empty for any.

    Raises:
        Refused: not a manifest of a plan, or nothing to compare its digest with.
        IntegrityError: it was changed, or is the plan of another claim.
    """
    for text in (expected, sidecar):
        if text and not _DIGEST.fullmatch(text):
            raise Refused(
                f"The digest {text[:80]!a}.", wanted="64 lowercase hexadecimal digits.", remedy="copy it again."
            )
    found = read_manifest(raw, name=name, expected=expected or sidecar)
    claims = Register(home).list_claims()
    own = next((known.claim_id for known in claims if _has_plan(known, found)), "")
    if claim_id:
        _require_claim(Register(home).find(claim_id), found, name)
    if not (expected or sidecar or own):
        raise Refused(
            f"Nothing to compare {name} with: its digest is {found.manifest_sha256}.",
            wanted="the digest that its author published before the run, or a plan of this register.",
            remedy="give it with --sha256, or put the author's .prml.sha256 file beside the manifest.",
        )
    compared = "given digest" if expected else "digest beside the file" if sidecar else "this register"
    return ComparedPlan(found, compared, own)


def _has_plan(known: RegisteredClaim, found: ImportedPlan) -> bool:
    """Whether one of the claim's plans has this manifest: equal plans after different ones are different manifests."""
    digests = [plan.digest for plan in known.plans]
    if found.plan_sha256 not in digests:
        return False
    version = 1 + digests.index(found.plan_sha256)
    return hashlib.sha256(write_manifest(known.plans[:version])).hexdigest() == found.manifest_sha256


def _require_claim(known: RegisteredClaim, found: ImportedPlan, name: str) -> None:
    if not _has_plan(known, found):
        raise IntegrityError(
            f"{name} is not a plan of {known.claim_id} here: found the plan {found.plan_sha256[:12]}… of {found.claim_id} "
            f"({found.claim.name[:60]!a}), wanted {', '.join(plan.digest[:12] + '…' for plan in known.plans)}. What to do: compare the two "
            "plans, and ask for the manifest of this claim."
        )
