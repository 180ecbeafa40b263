"""Regression test: repeat a claim's test on another model than it was frozen for; exploratory, not an attempt."""

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
"""Label of these runs' numbers: they meet no policy."""
_TASK_GONE = "model_fails_task"


class Outcome(StrEnum):
    """Outcome of a claim's test on another model."""

    HELD = "held"
    """The same decision."""
    FLIPPED = "flipped"
    """A different decision."""
    LOST = "lost"
    """The test is not possible: the model fails the task, or lacks a component."""
    UNDECIDED = "undecided"
    """One of the two runs has no decision."""


@dataclass(frozen=True)
class Regression:
    """A claim's verdict before and on this model, each with its estimates."""

    claim_id: str
    run_id: str
    """Empty where no run was possible."""
    outcome: Outcome
    reason: str
    """Why the outcome is lost or undecided; empty otherwise."""
    state_before: str | None
    """None where the claim had no verdict."""
    state_after: str | None
    before: Mapping[str, Estimate | None]
    """Effect per ablation family, as a fraction of the clean – empty-circuit gap; evidence: causal."""
    after: Mapping[str, Estimate | None]
    model_digest: str
    label: str = LABEL

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"outcome": self.outcome.value, "evidence": "causal"}


def rerun_claim(
    baseline: RevalidationBaseline, auditor: Auditor, *, actor: Actor, on_progress: Progress = no_progress
) -> Regression:
    """Test one claim on this model with its frozen thresholds and split.

    The run is logged without claim or attempt number; its outcome is logged as an event of the claim.

    Raises:
        AuditError: the run failed with an error other than a missing result.
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
            "The stored prompts differ from the frozen ones.",
            wanted=f"prompts of digest {plan.pins.prompts_sha256[:12]}….",
            remedy="restore the file from a backup.",
        )
    return ClaimTestRequest(tokenise(half, subject.tokenizer), plan.claim, plan.seed)


def _find_missing(baseline: RevalidationBaseline, subject: Subject) -> str:
    """First component of the claim that the model lacks; empty where it has all."""
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
