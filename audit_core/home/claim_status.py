"""Current status of each registered claim: its last verdict, and whether revalidation is due."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from audit_core.judging.verdict import REASONS
from audit_core.store.claims.card_claims import CardClaim
from audit_core.store.claims.register import Register, RegisteredClaim
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, list_events
from audit_core.store.database.read_only import read_record_clock
from audit_core.store.log.run_log import RunLog


class ClaimStatus(StrEnum):
    """State of a claim on a model card."""

    UNTESTED = "untested"
    """No attempt under the current plan has a verdict."""
    SUPPORTED = "supported"
    NEGLIGIBLE = "negligible"
    REVERSED = "reversed"
    INCONCLUSIVE = "inconclusive"
    EXPLORATORY = "exploratory"
    """The claim has a verdict, but results were available when its plan was frozen: it meets no policy."""
    STALE = "stale"
    """The claim was tested and has changed or expired since: it needs revalidation."""
    WITHDRAWN = "withdrawn"


class CardState(StrEnum):
    """State of a sentence from an imported model card."""

    UNTESTED = "untested"
    TESTED = "tested"
    """A linked claim is supported."""
    CONTRADICTED = "contradicted"
    """A linked claim is negligible or reversed."""
    OPEN = "open"
    """The linked claims are inconclusive or exploratory."""
    STALE = "stale"


@dataclass(frozen=True)
class ClaimSummary:
    """One claim with its status, for a table row."""

    claim_id: str
    name: str
    model: str
    """Name that opens the model."""
    model_digest: str
    standing: ClaimStatus
    why: str
    """Reason of an inconclusive verdict, of staleness or of the withdrawal; else empty."""
    found: str
    """State of the last verdict, whatever the claim's status now; empty without one."""
    sentence: str
    """Sentence of that verdict, with its numbers."""
    attempts: int
    tested_at: str
    """Time of the last verdict; empty without one."""
    expires_at: str
    run_id: str
    """Run of the last verdict; empty without one."""


def read_claim_statuses(home: Path, triggers: Mapping[str, Sequence[str]]) -> tuple[ClaimSummary, ...]:
    """Status of every claim in the register, newest first.

    Args:
        triggers: claim id → revalidation triggers since its last verdict.
    """
    claims = Register(home).list_claims()
    with open_database(home) as connection:
        events = list_events(connection)
    verdicts = {str(event.payload["claim_id"]): event for event in events if event.action == Action.VERDICT_REACHED}
    digests = {
        event.object_id: event.payload.get("prereg_digest") for event in events if event.action == Action.RUN_STARTED
    }
    sentences = _read_sentences(home, [event.object_id for event in verdicts.values()])
    attempts = [event.payload.get("claim_id") for event in events if event.action == Action.RUN_STARTED]
    today = read_record_clock(home)[:10]
    statuses = []
    for claim in reversed(claims):
        verdict = verdicts.get(claim.claim_id)
        if verdict is not None and digests.get(verdict.object_id) != claim.plan.digest:
            verdict = None
        status, why = _judge(claim, verdict, triggers.get(claim.claim_id, ()), today)
        plan = claim.plan
        statuses.append(
            ClaimSummary(
                claim.claim_id, plan.claim.name, claim.model, plan.pins.model_digest, status, why,
                "" if verdict is None else str(verdict.payload["state"]),
                "" if verdict is None else sentences.get(verdict.object_id, ""),
                attempts.count(claim.claim_id), "" if verdict is None else verdict.ts, claim.expires_at,
                "" if verdict is None else verdict.object_id,
            )
        )  # fmt: skip
    return tuple(statuses)


def judge_sentence(sentence: CardClaim, claims: Sequence[ClaimSummary]) -> CardState:
    """State of a card's sentence: the worst status of its linked claims."""
    linked = {one.standing for one in claims if one.claim_id in sentence.claim_ids}
    if linked & {ClaimStatus.NEGLIGIBLE, ClaimStatus.REVERSED}:
        return CardState.CONTRADICTED
    if ClaimStatus.STALE in linked:
        return CardState.STALE
    if linked & {ClaimStatus.INCONCLUSIVE, ClaimStatus.EXPLORATORY}:
        return CardState.OPEN
    return CardState.TESTED if ClaimStatus.SUPPORTED in linked else CardState.UNTESTED


def _judge(
    claim: RegisteredClaim, verdict: AuditEvent | None, triggers: Sequence[str], today: str
) -> tuple[ClaimStatus, str]:
    if claim.withdrawn:
        return ClaimStatus.WITHDRAWN, claim.withdrawn
    if verdict is None:
        return ClaimStatus.UNTESTED, ""
    if triggers:
        return ClaimStatus.STALE, "; ".join(triggers)
    if claim.expires_at <= today:
        return ClaimStatus.STALE, f"expired {claim.expires_at}"
    if verdict.payload["exploratory"]:
        return ClaimStatus.EXPLORATORY, str(verdict.payload["exploratory"])
    reason = str(verdict.payload["reason"] or "")
    return ClaimStatus(str(verdict.payload["state"])), REASONS.get(reason, reason.replace("_", " "))


def _read_sentences(home: Path, run_ids: Sequence[str]) -> dict[str, str]:
    return {
        record.run_id: str(json.loads(record.result or "{}").get("verdict", {}).get("sentence", ""))
        for record in RunLog(home).read_runs(run_ids)
    }
