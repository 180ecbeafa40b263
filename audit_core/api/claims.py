"""Registered claims, as the API lists and reads them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from audit_core.api.endpoint import Call
from audit_core.api.errors import refuse_missing
from audit_core.confirm import describe_registered
from audit_core.home.claim_history import AttemptLine, read_claim_history
from audit_core.store import Register, list_stale
from audit_core.store.claims.register import RegisteredClaim

CLAIM_ID = re.compile(r"C-\d{4,9}", re.ASCII)


@dataclass(frozen=True)
class ClaimLine:
    """One claim of the register."""

    claim_id: str
    name: str
    owner: str
    created_at: str
    expires_at: str
    version: int
    digest: str
    """Digest of the plan in force."""
    withdrawn: str
    """Reason; empty for an active claim."""
    stale: tuple[str, ...]
    """What has changed since its last result; empty if nothing has."""


@dataclass(frozen=True)
class ClaimList:
    """The register, oldest claim first."""

    claims: tuple[ClaimLine, ...]


@dataclass(frozen=True)
class Reached:
    """Verdict of the last attempt under the plan in force."""

    state: str
    reason: str
    sentence: str
    families: dict[str, Any]
    """Estimate of each ablation as value, low, high, n, unit, level; null where it was not measured."""


@dataclass(frozen=True)
class ClaimDocument:
    """One claim with its plans and every attempt."""

    claim: ClaimLine
    registered: dict[str, Any]
    """Plans and deviations in full, as `claims --json` prints them."""
    attempts: tuple[AttemptLine, ...]
    latest: Reached | None
    packs: tuple[str, ...]
    """Ids of the packs that contain it."""


def list_claims(call: Call) -> ClaimList:
    """Every registered claim."""
    stale = _list_stale(call)
    return ClaimList(tuple(_describe(known, stale) for known in Register(call.home).list_claims()))


def read_claim(call: Call) -> ClaimDocument:
    """One registered claim."""
    claim_id = require_claim(call)
    found = read_claim_history(call.home, claim_id)
    verdict = None if found.latest is None else found.latest.verdict
    reached = (
        None
        if verdict is None
        else Reached(str(verdict.state), verdict.reason or "", verdict.sentence, dict(verdict.families))
    )
    return ClaimDocument(
        _describe(found.claim, _list_stale(call)), describe_registered(found.claim), found.attempts, reached, found.packs
    )  # fmt: skip


def require_claim(call: Call) -> str:
    """The claim of the address.

    Raises:
        ApiRefused: there is none.
    """
    claim_id = call.path["claim_id"]
    if not CLAIM_ID.fullmatch(claim_id) or all(
        known.claim_id != claim_id for known in Register(call.home).list_claims()
    ):
        raise refuse_missing("claim", "list them: GET /claims.")
    return claim_id


def _list_stale(call: Call) -> dict[str, list[str]]:
    stale: dict[str, list[str]] = {}
    for row in list_stale(call.home):
        if row.is_open:
            stale.setdefault(row.trigger.claim_id, []).append(row.trigger.kind.value)
    return stale


def _describe(known: RegisteredClaim, stale: dict[str, list[str]]) -> ClaimLine:
    plan = known.plan
    return ClaimLine(
        known.claim_id, plan.claim.name, known.owner, known.created_at, known.expires_at, plan.version, plan.digest, known.withdrawn or "",
        tuple(stale.get(known.claim_id, ())),
    )  # fmt: skip
