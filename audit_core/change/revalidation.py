"""Revalidate registered claims on a current model: which are stale and why, and whether their verdicts still hold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from audit_core.change.model_diff import ModelDiff, compare_models
from audit_core.change.regression import Outcome, Regression, rerun_claim
from audit_core.change.revalidation_baseline import (
    RevalidationBaseline,
    find_pinned_folder,
    read_baseline,
    read_templates,
)
from audit_core.errors import ClaimRefused
from audit_core.governance.policy import Policy
from audit_core.models import ModelIdentity, identify_model
from audit_core.prompts.prompt_set import PromptSet, divide_by_template, take_split
from audit_core.run import Actor, Auditor, list_versions
from audit_core.store import load_kept_prompts
from audit_core.store.claims.change_log import StaleRow, list_stale, record_changes
from audit_core.store.claims.register import Register, RegisteredClaim
from audit_core.subject import Progress, no_progress
from audit_core.trigger import Present, list_changes

NOT_DECIDABLE = 3


@dataclass(frozen=True)
class Artefact:
    """The model on which claims are revalidated."""

    name: str
    """Name as given by the caller; claims registered under it apply."""
    folder: Path
    was: Path | None = None
    """Folder of the previous version; claims pinned to that version apply as well."""
    policy: Policy | None = None
    """The current policy; None where none was given."""
    prompts: PromptSet | None = None
    """The current prompt set; None for the stored one."""


@dataclass(frozen=True)
class Revalidated:
    """One claim with its open triggers and the outcome of its rerun."""

    claim_id: str
    name: str
    model: str
    """Model name in the registration."""
    open_rows: tuple[StaleRow, ...]
    """Every open trigger: no later verdict has answered it."""
    n_new: int
    """Number of triggers raised by this revalidation."""
    own_parts: tuple[str, ...] | None
    """The claim's components with changed weights; None where the pinned model is not available for comparison."""
    regression: Regression | None = None
    """None where the claim was not rerun."""

    @property
    def is_stale(self) -> bool:
        return bool(self.open_rows)

    @property
    def waits_for(self) -> tuple[str, ...]:
        """Open triggers that a rerun cannot answer."""
        return tuple(row.trigger.kind.value for row in self.open_rows if not row.trigger.kind.is_answered_by_rerun)

    @property
    def exit_code(self) -> int:
        """0: not stale, or the verdict is unchanged and no trigger stays open; 1: the verdict changed; 3: not decided."""
        if not self.is_stale:
            return 0
        if self.regression is None:
            return NOT_DECIDABLE
        if self.regression.outcome in (Outcome.FLIPPED, Outcome.LOST):
            return 1
        return NOT_DECIDABLE if self.regression.outcome is Outcome.UNDECIDED or self.waits_for else 0


@dataclass(frozen=True)
class Revalidation:
    """Revalidation of every claim about one model."""

    identity: ModelIdentity
    claims: tuple[Revalidated, ...]
    diffs: tuple[ModelDiff, ...]
    """Diffs from each available pinned model to this one."""

    @property
    def exit_code(self) -> int:
        """Worst exit code of the claims, in the order 1, 3, 0; 3 without claims."""
        codes = [one.exit_code for one in self.claims]
        return 1 if 1 in codes else NOT_DECIDABLE if NOT_DECIDABLE in codes or not codes else 0


def revalidate_claims(home: Path, artefact: Artefact, claim_ids: Sequence[str] = (), *, actor: Actor) -> Revalidation:
    """Compare claims with the current model and record new triggers in the change log.

    Args:
        claim_ids: a subset of the claims about this model; all unless given.

    Raises:
        ClaimRefused: a claim about another model.
        IntegrityError: a folder, a plan or the log was changed.
    """
    identity = _identify(artefact.folder)
    known = _choose(home, artefact, identity, claim_ids)
    diffs: dict[str, ModelDiff] = {}
    claims = []
    for claim in known:
        baseline = read_baseline(home, claim)
        diff = _find_diff(baseline, artefact, identity, diffs)
        present = _describe_present(artefact, identity, claim, diff)
        if diff is not None:
            # A claim without a run has no recorded identity; read it from the pinned folder.
            baseline = replace(baseline, frozen=replace(baseline.frozen, identity=diff.before.to_json()))
        changes = list_changes(baseline.frozen, present)
        digest = claim.plan.pins.model_digest
        new = record_changes(home, claim.claim_id, changes, held_for=digest, by=actor.name)
        rows = tuple(row for row in list_stale(home, claim.claim_id) if row.is_open)
        own = _list_own_parts(claim, digest == identity.short, diff)
        claims.append(Revalidated(claim.claim_id, claim.plan.claim.name, claim.model, rows, len(new), own))
    return Revalidation(identity, tuple(claims), tuple(diffs.values()))


def rerun_stale(
    home: Path,
    found: Revalidation,
    open_auditor: Callable[[], Auditor],
    *,
    actor: Actor,
    on_progress: Progress = no_progress,
) -> Revalidation:
    """Rerun each stale claim on the compared model; see `rerun_claim`.

    Raises:
        ClaimRefused: the opened model differs from the compared one.
    """
    if not any(one.is_stale for one in found.claims):
        return found
    auditor = open_auditor()
    if auditor.subject.identity.short != found.identity.short:
        raise ClaimRefused(
            f"The opened model is {auditor.subject.identity.short}.",
            wanted=f"{found.identity.short}, the model of the comparison.",
            remedy="start again: the folder changed during the revalidation.",
        )
    claims = []
    for one in found.claims:
        if one.is_stale:
            baseline = read_baseline(home, Register(home).find(one.claim_id))
            reported = rerun_claim(baseline, auditor, actor=actor, on_progress=on_progress)
            one = replace(one, regression=reported)
        claims.append(one)
    return replace(found, claims=tuple(claims))


def describe_revalidation(found: Revalidation) -> dict[str, Any]:
    """Describe a revalidation as one JSON document."""
    return {
        "model": found.identity.to_json(),
        "exit_code": found.exit_code,
        "claims": [_describe_claim(one) for one in found.claims],
        "diffs": [diff.to_json() for diff in found.diffs],
    }


def _describe_claim(one: Revalidated) -> dict[str, Any]:
    return {
        "claim_id": one.claim_id,
        "name": one.name,
        "model": one.model,
        "state": "STALE" if one.is_stale else "NOT_STALE",
        "triggers": [row.trigger.to_json() for row in one.open_rows],
        "new": one.n_new,
        "own_parts_changed": None if one.own_parts is None else list(one.own_parts),
        "waits_for": list(one.waits_for),
        "regression": None if one.regression is None else one.regression.to_json(),
        "exit_code": one.exit_code,
    }


def _identify(folder: Path) -> ModelIdentity:
    return identify_model(folder, dtype="float32", attention="eager")


def _choose(
    home: Path, artefact: Artefact, identity: ModelIdentity, claim_ids: Sequence[str]
) -> tuple[RegisteredClaim, ...]:
    """Active claims about this artefact: by digest, by the previous version's digest, or else by name."""
    digests = {identity.short} | ({_identify(artefact.was).short} if artefact.was is not None else set())

    def is_about(claim: RegisteredClaim) -> bool:
        if claim.plan.pins.model_digest in digests:
            return True
        return artefact.was is None and (claim.model == artefact.name or _is_folder(claim.model, artefact.folder))

    register = Register(home)
    if not claim_ids:
        return tuple(one for one in register.list_claims() if not one.withdrawn and is_about(one))
    chosen = tuple(register.find(claim_id) for claim_id in dict.fromkeys(claim_ids))
    for claim in chosen:
        if claim.withdrawn or not is_about(claim):
            why = "was withdrawn" if claim.withdrawn else f"is about {claim.plan.pins.model} ({claim.model[:80]})"
            raise ClaimRefused(
                f"{claim.claim_id} {why}.",
                wanted="an active claim about this model or its previous version.",
                remedy="name the previous version: `--was`.",
            )
    return chosen


def _is_folder(name: str, folder: Path) -> bool:
    place = Path(name).expanduser()
    return place.is_dir() and place.resolve() == folder.resolve()


def _find_diff(
    baseline: RevalidationBaseline, artefact: Artefact, identity: ModelIdentity, diffs: dict[str, ModelDiff]
) -> ModelDiff | None:
    """Diff from the pinned model to this one; None where they are equal, or the pinned one is not available."""
    digest = baseline.frozen.pins.model_digest
    if digest == identity.short:
        return None
    if digest not in diffs:
        place = find_pinned_folder(baseline, () if artefact.was is None else (artefact.was,))
        if place is None:
            return None
        diffs[digest] = compare_models(place, artefact.folder)
    return diffs[digest]


def _describe_present(
    artefact: Artefact, identity: ModelIdentity, claim: RegisteredClaim, diff: ModelDiff | None
) -> Present:
    prompts, salt = artefact.prompts or load_kept_prompts(claim.prompts), claim.plan.pins.split_salt
    if artefact.prompts and salt:
        prompts = divide_by_template(prompts, salt)
    return Present(
        identity.to_json(),
        list_versions(),
        datetime.now(UTC).date(),
        None if artefact.policy is None else artefact.policy.sha256,
        take_split(prompts, exploratory=False).sha256,
        None if diff is None else read_templates(diff),
    )


def _list_own_parts(claim: RegisteredClaim, is_same: bool, diff: ModelDiff | None) -> tuple[str, ...] | None:
    """Changed components of the claim; a changed layer that cannot be split counts for each of its heads."""
    if is_same:
        return ()
    if diff is None:
        return None
    changed = {one.component for one in diff.components}
    return tuple(
        str(part)
        for part in claim.plan.claim.components
        if str(part) in changed or f"L{part.layer}.attention" in changed
    )
