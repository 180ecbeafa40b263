"""Where each registered claim stands now: what its last verdict says, and whether it has to be tested again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from audit_core.store.claims.card_claims import CardClaim
from audit_core.store.claims.register import Register, RegisteredClaim
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, list_events, read_clock
from audit_core.store.log.run_log import RunLog


class ClaimStatus(StrEnum):
    """State of a claim on a model card."""

    UNTESTED = "untested"
    """No attempt under the plan as it stands has come to a verdict."""
    SUPPORTED = "supported"
    NEGLIGIBLE = "negligible"
    REVERSED = "reversed"
    INCONCLUSIVE = "inconclusive"
    EXPLORATORY = "exploratory"
    """There is a verdict, and results were in reach when the plan was fixed: it meets no policy."""
    STALE = "stale"
    """It was tested, and something has changed since, or it has expired: it has to be tested again."""
    WITHDRAWN = "withdrawn"


class CardState(StrEnum):
    """State of a sentence of an imported model card."""

    UNTESTED = "untested"
    TESTED = "tested"
    """A registered claim that tests it is supported."""
    CONTRADICTED = "contradicted"
    """A registered claim that tests it is negligible or reversed."""
    OPEN = "open"
    """What tests it stayed inconclusive, or is exploratory."""
    STALE = "stale"


@dataclass(frozen=True)
class ClaimSummary:
    """One claim on one line."""

    claim_id: str
    name: str
    model: str
    """The name it is opened by."""
    model_digest: str
    standing: ClaimStatus
    why: str
    """Reason of an inconclusive verdict, what makes it stale, or why it was withdrawn; else empty."""
    found: str
    """State of the last verdict, whatever became of the claim since; empty without one."""
    sentence: str
    """The measured sentence of that verdict."""
    attempts: int
    tested_at: str
    """Of the last verdict; empty without one."""
    expires_at: str
    run_id: str
    """Of the last verdict; empty without one."""


def read_claim_statuses(home: Path, triggers: Mapping[str, Sequence[str]]) -> tuple[ClaimSummary, ...]:
    """Every claim of the register, the newest first.

    Args:
        triggers: by claim id, what has come up since its last verdict.
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
    today = read_clock()[:10]
    standings = []
    for claim in reversed(claims):
        verdict = verdicts.get(claim.claim_id)
        if verdict is not None and digests.get(verdict.object_id) != claim.plan.digest:
            verdict = None
        standing, why = _judge(claim, verdict, triggers.get(claim.claim_id, ()), today)
        plan = claim.plan
        standings.append(
            ClaimSummary(
                claim.claim_id, plan.claim.name, claim.model, plan.pins.model_digest, standing, why,
                "" if verdict is None else str(verdict.payload["state"]),
                "" if verdict is None else sentences.get(verdict.object_id, ""),
                attempts.count(claim.claim_id), "" if verdict is None else verdict.ts, claim.expires_at,
                "" if verdict is None else verdict.object_id,
            )
        )  # fmt: skip
    return tuple(standings)


def judge_sentence(sentence: CardClaim, standings: Sequence[ClaimSummary]) -> CardState:
    """State of a card's sentence by the registered claims that somebody said test it; the worst of them."""
    linked = {one.standing for one in standings if one.claim_id in sentence.claim_ids}
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
    return ClaimStatus(str(verdict.payload["state"])), str(verdict.payload["reason"] or "").replace("_", " ")


def _read_sentences(home: Path, run_ids: Sequence[str]) -> dict[str, str]:
    return {
        record.run_id: str(json.loads(record.result or "{}").get("verdict", {}).get("sentence", ""))
        for record in RunLog(home).read_runs(run_ids)
    }
