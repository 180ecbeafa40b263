"""From a claim to a confirmatory run: freeze what decides, hold the run to it, and say what is exploratory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from audit_core.audits.confirmation import CIRCUIT_QUESTIONS, ConfirmationRequest, ConfirmationResult
from audit_core.claim import Claim
from audit_core.errors import ClaimRefused
from audit_core.evidence.source import hash_source
from audit_core.governance.policy import Policy
from audit_core.preregistration import Pins, Preregistration, PriorAccess
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import PromptSet, TokenisedPrompts, drop_repeats, take_split
from audit_core.run import Actor, Auditor, list_versions
from audit_core.store import keep_prompts, load_kept_prompts
from audit_core.store.claims.register import MAX_EXPIRY_DAYS, Register, RegisteredClaim
from audit_core.store.data_directory import keep_policy
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event, list_events
from audit_core.store.log.run_log import ClaimRun
from audit_core.subject import Progress, Subject, no_progress

QUESTIONS = ("circuit", "stability", "transfer")
"""Asked beside the claim unless others are named: what the default policy wants to know."""

_OTHER_INPUT = "put it back, or amend the plan and say why: `amend`."
_OTHER_CODE = (
    "after an update of Assay, pin its code: `amend {claim_id} --repin --reason TEXT`. This is an amendment before the first "
    "run of the claim, and a deviation after it. Or run the version that the claim was frozen with."
)


@dataclass(frozen=True)
class Confirmation:
    """One attempt at a claim."""

    run_id: str
    attempt: int
    result: ConfirmationResult
    wall_s: float
    exploratory: str
    """Why no policy can be met by it; empty where nothing stands in the way."""
    notices: tuple[str, ...] = ()
    """What of the prompts was set aside or not believed, and why."""


def freeze_claim(
    register: Register,
    subject: Subject,
    claim: Claim,
    prompts: PromptSet,
    policy: Policy,
    *,
    owner: str,
    model: str,
    questions: Sequence[str] = QUESTIONS,
    declared: PriorAccess = PriorAccess.NOTHING_RUN,
    seed: int = 0,
) -> Preregistration:
    """Register a claim and freeze everything that decides it, before its half is opened.

    Args:
        prompts: the whole set; the claim is judged on its confirmatory half.
        model: the name the subject was opened by.
        declared: what the owner knew of the half; the run log can only make it worse.

    Raises:
        AuditError: prompts that do not align, a question there is not, components that are not in the model.
    """
    if unknown := [name for name in questions if name not in CIRCUIT_QUESTIONS or name == "specificity"]:
        raise ClaimRefused(
            f"Question {unknown[0]!r}.",
            wanted=f"of {', '.join(name for name in CIRCUIT_QUESTIONS if name != 'specificity')}.",
            remedy="leave it out; specificity needs other tasks and is asked on the circuit page.",
        )
    prompts = drop_repeats(prompts)
    half, explored = _read_halves(subject, prompts)
    request = ConfirmationRequest(half, claim, explored, tuple(questions), seed=seed)
    _check_parts(subject, request)
    pins = _pin(subject, half, policy)
    key = keep_prompts(prompts)
    keep_policy(policy.text)

    def draft(claim_id: str, now: str, access: PriorAccess) -> Preregistration:
        return Preregistration(
            f"P-{claim_id}", claim_id, 1, claim, owner, now, now, pins, tuple(questions), access, seed
        )

    expires = datetime.now(UTC).date() + timedelta(days=MAX_EXPIRY_DAYS)
    return register.freeze(
        draft, owner=owner, declared=declared, expires_at=expires.isoformat(), model=model,
        model_digest=subject.identity.short, prompts=key, prompts_sha256=(half.sha256, prompts.sha256),
    )  # fmt: skip


def run_confirmatory(
    register: Register,
    claim_id: str,
    open_auditor: Callable[[str], Auditor],
    *,
    actor: Actor,
    on_progress: Progress = no_progress,
) -> Confirmation:
    """The next attempt at a frozen claim; refused where anything is not as it was fixed.

    Args:
        open_auditor: gives the model of a name with its log.

    Raises:
        ClaimRefused: no such claim, withdrawn, or model, prompts or code differ from what was frozen; names what.
        AuditError: whatever the run raised, after it was logged as an attempt.
    """
    known = register.find(claim_id)
    if known.withdrawn:
        raise ClaimRefused(f"{claim_id} was withdrawn.", wanted="a claim that stands.", remedy="freeze a new claim.")
    auditor, plan = open_auditor(known.model), known.plan
    request = _ask_as_frozen(known, auditor.subject)
    _log_split_opened(register.home, plan, actor)
    why = explain_exploratory(known)
    claim = ClaimRun(claim_id, plan.digest, why)
    found = auditor.run("confirmation", request, actor=actor, on_progress=on_progress, claim=claim)
    assert found.attempt_no is not None
    return Confirmation(found.run_id, found.attempt_no, found.result, found.wall_s, why, found.notices)


def predict_attempt_s(known: RegisteredClaim, auditor: Auditor) -> float | None:
    """Predicted seconds of the next attempt; None before this machine's pace is known.

    Raises:
        ClaimRefused: model, prompts or code differ from what was frozen.
    """
    return auditor.predict_s("confirmation", _ask_as_frozen(known, auditor.subject))


def _ask_as_frozen(known: RegisteredClaim, subject: Subject) -> ConfirmationRequest:
    half, explored = _read_halves(subject, load_kept_prompts(known.prompts))
    plan = known.plan
    _check_pins(plan, subject, half)
    return ConfirmationRequest(half, plan.claim, explored, plan.questions, seed=plan.seed)


def explain_exploratory(known: RegisteredClaim) -> str:
    """Why runs of a claim are exploratory; empty where they are confirmatory."""
    if known.plans[0].is_exploratory:
        return "results on this half were there before the plan was frozen"
    if known.has_deviated:
        return "the plan was changed after results were there"
    return ""


def _read_halves(subject: Subject, prompts: PromptSet) -> tuple[TokenisedPrompts, TokenisedPrompts]:
    """Confirmatory and exploratory."""
    halves = (take_split(prompts, exploratory=explored) for explored in (False, True))
    confirmatory, exploratory = (tokenise(half, subject.tokenizer) for half in halves)
    return confirmatory, exploratory


def _check_parts(subject: Subject, request: ConfirmationRequest) -> None:
    """A claim about parts that the model lacks is refused before it is frozen, not when it is run."""
    known = {part for kind in request.kinds for part in subject.components(kind)}
    if strangers := [part for part in request.claim.components if part not in known]:
        raise ClaimRefused(
            f"{strangers[0]} is not in this model.", wanted="components of the model.", remedy="mend the claim."
        )


def _pin(subject: Subject, half: TokenisedPrompts, policy: Policy) -> Pins:
    identity = subject.identity
    return Pins(
        identity.model,
        identity.weights_sha256,
        identity.short,
        half.name,
        half.sha256,
        len(half),
        len(set(half.templates)),
        policy.sha256,
        list_versions()["assay"],
        hash_source(),
    )


def _check_pins(plan: Preregistration, subject: Subject, half: TokenisedPrompts) -> None:
    pins, identity = plan.pins, subject.identity
    now = {
        "model": (pins.model_digest, identity.short),
        "weights": (pins.weights_sha256, identity.weights_sha256),
        "prompts": (pins.prompts_sha256, half.sha256),
        "code": (pins.code_sha256, hash_source()),
    }
    if changed := {name: pair for name, pair in now.items() if pair[0] != pair[1]}:
        said = "; ".join(f"{name} was {was[:12]}…, is {found[:12]}…" for name, (was, found) in changed.items())
        raise ClaimRefused(
            f"{plan.claim_id} was frozen for something else: {said}.",
            wanted="what was frozen.",
            remedy=_OTHER_CODE.format(claim_id=plan.claim_id) if set(changed) == {"code"} else _OTHER_INPUT,
        )


def _log_split_opened(home: Path, plan: Preregistration, actor: Actor) -> None:
    """Told once for each claim: from then on a change of its plan is a deviation."""
    with open_database(home) as connection:
        reported = list_events(connection, action=Action.HALF_OPENED)
        if not any(event.payload["claim_id"] == plan.claim_id for event in reported):
            payload = {"claim_id": plan.claim_id, "prompts_sha256": plan.pins.prompts_sha256, "digest": plan.digest}
            append_event(
                connection, actor=actor.name, action=Action.HALF_OPENED, object_id=plan.pins.prompts, payload=payload
            )


def pin_now(subject: Subject, prompts: PromptSet, policy: Policy) -> Pins:
    """What an amended plan is held to: model, prompts and code as they are now."""
    half, _ = _read_halves(subject, prompts)
    return _pin(subject, half, policy)
