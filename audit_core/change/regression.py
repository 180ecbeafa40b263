"""A claim's test made again on another model than it was frozen for: a regression test, exploratory, and no attempt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.change.revalidation_baseline import RevalidationBaseline
from audit_core.component import Kind
from audit_core.errors import NotMeasured, Refused
from audit_core.judging.faithfulness import list_kinds
from audit_core.judging.verdict import State
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import take_split
from audit_core.run import Actor, Auditor
from audit_core.stats.estimates import Estimate
from audit_core.store import load_kept_prompts
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event
from audit_core.subject import Progress, Subject, no_progress

LABEL = "regression, exploratory: the half was opened before"
"""Beside every number of these runs: no policy can be met by them."""
_TASK_GONE = "model_fails_task"


class Outcome(StrEnum):
    """What became of a claim's verdict on another model."""

    HELD = "held"
    """The same decision."""
    FLIPPED = "flipped"
    """Another decision."""
    LOST = "lost"
    """It cannot be asked any more: the model no longer does the task, or lacks the part."""
    UNDECIDED = "undecided"
    """One of the two runs came to no decision."""


@dataclass(frozen=True)
class Regression:
    """A claim's verdict as it was and as it came out here, each with its estimates."""

    claim_id: str
    run_id: str
    """Empty where nothing could be run."""
    outcome: Outcome
    reason: str
    """Why it is lost or undecided; empty otherwise."""
    state_before: str | None
    """None where the claim never reached a verdict."""
    state_after: str | None
    before: Mapping[str, Estimate | None]
    """Per ablation family, fraction of the clean – empty-circuit gap; evidence: causal."""
    after: Mapping[str, Estimate | None]
    model_digest: str
    label: str = LABEL

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"outcome": self.outcome.value, "evidence": "causal"}


def rerun_claim(
    baseline: RevalidationBaseline, auditor: Auditor, *, actor: Actor, on_progress: Progress = no_progress
) -> Regression:
    """Test one claim on this model, against the thresholds that were frozen, on the half it was frozen for.

    The run is logged as any run is, under no claim and no attempt number; what came of it is an event about the claim.

    Raises:
        AuditError: the run failed in another way than by having no answer.
    """
    subject, digest = auditor.subject, auditor.subject.identity.short
    before = None if baseline.last is None else baseline.last.result.verdict
    run_id, result, outcome, reason = "", None, Outcome.UNDECIDED, ""
    if missing := _find_missing(baseline, subject):
        outcome, reason = Outcome.LOST, f"{missing} is not in this model"
    else:
        try:
            finished = auditor.run("claim_test", _ask(baseline, subject), actor=actor, on_progress=on_progress)
            run_id, result = finished.run_id, finished.result
            outcome, reason = _compare(before, result)
        except (NotMeasured, Refused) as error:
            reason = str(error)
    found = Regression(
        baseline.claim.claim_id, run_id, outcome, reason, None if before is None else before.state,
        None if result is None else result.state, {} if before is None else before.families,
        {} if result is None else result.families, digest,
    )  # fmt: skip
    payload = {
        "claim_id": found.claim_id, "model_digest": digest, "outcome": found.outcome.value, "before": found.state_before,
        "after": found.state_after, "label": "regression",
    }  # fmt: skip
    with open_database(auditor.log.home) as connection:
        append_event(
            connection, actor=actor.name, action=Action.CLAIM_REVALIDATED, object_id=run_id or found.claim_id,
            payload=payload,
        )  # fmt: skip
    return found


def _ask(baseline: RevalidationBaseline, subject: Subject) -> ClaimTestRequest:
    plan = baseline.claim.plan
    half = take_split(load_kept_prompts(baseline.claim.prompts), exploratory=False)
    if half.sha256 != plan.pins.prompts_sha256:
        raise Refused(
            "The prompts that are kept here are not those that were frozen.",
            wanted=f"prompts of digest {plan.pins.prompts_sha256[:12]}….",
            remedy="restore the file from a copy.",
        )
    return ClaimTestRequest(tokenise(half, subject.tokenizer), plan.claim, plan.seed)


def _find_missing(baseline: RevalidationBaseline, subject: Subject) -> str:
    """The first of the claim's parts that the model lacks; empty where it has all."""
    claim = baseline.claim.plan.claim
    kinds: list[Kind] = list(list_kinds(claim.universe))
    known = {part for kind in kinds for part in subject.components(kind)}
    return next((str(part) for part in claim.components if part not in known), "")


def _compare(before: ClaimTestResult | None, after: ClaimTestResult) -> tuple[Outcome, str]:
    undecided = State.INCONCLUSIVE.value
    if before is None or before.state == undecided:
        return Outcome.UNDECIDED, "there is no earlier decision to compare with"
    if after.state == undecided:
        is_lost = after.reason == _TASK_GONE
        return Outcome.LOST if is_lost else Outcome.UNDECIDED, after.sentence
    return Outcome.HELD if before.state == after.state else Outcome.FLIPPED, ""
