"""Preregister claims and run confirmatory tests: freeze inputs, check them before each run, label exploratory runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from audit_core.audits.confirmation import ConfirmationRequest, ConfirmationResult
from audit_core.circuits.circuit_check import list_claim_questions
from audit_core.claim import Claim
from audit_core.component import Kind
from audit_core.dictionaries.shelf import describe_choices
from audit_core.errors import ClaimRefused
from audit_core.evidence.source import hash_source
from audit_core.governance.policy import Policy
from audit_core.preregistration import Pins, Preregistration, PriorAccess
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.found_templates import describe_templates, digest_skeleton
from audit_core.prompts.prompt_set import (
    PromptSet,
    TokenisedPrompts,
    divide_by_template,
    drop_repeats,
    is_exploratory,
    take_split,
)
from audit_core.prompts.repeats import digest_texts
from audit_core.run import Actor, Auditor, list_versions
from audit_core.store import keep_prompts, load_kept_prompts
from audit_core.store.claims.earlier_runs import Sought
from audit_core.store.claims.register import MAX_EXPIRY_DAYS, Register, RegisteredClaim
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event, list_events
from audit_core.store.log.policies import keep_policy_in_force
from audit_core.store.log.run_log import ClaimRun
from audit_core.store.prompt_split import read_split_salt
from audit_core.subject import Progress, Subject, no_progress

_OTHER_INPUT = "restore it, or amend the plan with a reason: `amend`."
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
    """Why it cannot meet a policy; empty if it can."""
    notices: tuple[str, ...] = ()
    """Excluded prompts and unverified labels, with the reason."""


def freeze_claim(
    register: Register,
    subject: Subject,
    claim: Claim,
    prompts: PromptSet,
    policy: Policy,
    *,
    owner: str,
    model: str,
    questions: Sequence[str] | None = None,
    declared: PriorAccess = PriorAccess.NOTHING_RUN,
    seed: int = 0,
) -> Preregistration:
    """Register a claim and freeze its inputs before the confirmatory split is opened.

    Args:
        prompts: the whole set; the claim is judged on its confirmatory split.
        model: the name the subject was opened by.
        questions: checks that run with the claim; the usual ones if not given, see `list_claim_questions`.
        declared: prior access to the split that the owner declares; the run log can only raise it.

    Raises:
        AuditError: prompts do not align, a question is unknown, or a component is not in the model.
    """
    known = list_claim_questions(universe=claim.universe)
    questions = list_claim_questions(usual=True, universe=claim.universe) if questions is None else tuple(questions)
    if unknown := [name for name in questions if name not in known]:
        raise ClaimRefused(
            f"Question {unknown[0]!r}.",
            wanted=f"one of {', '.join(known)}." if known else "none: checks of circuits are not made of features.",
            remedy="remove it; specificity needs other tasks, use the circuit page.",
        )
    prompts = drop_repeats(prompts)
    if prompts.split_salt:
        _refuse_other_salt(register.home, prompts.split_salt)
        # A stored set is divided from its rows, so the split must not depend on rows that were left out.
        prompts = divide_by_template(prompts, prompts.split_salt)
    split, explored = _read_splits(subject, prompts)
    request = ConfirmationRequest(split, claim, explored, tuple(questions), seed=seed)
    _check_parts(subject, request)
    pins = _pin(subject, split, policy, prompts.split_salt)
    key = keep_prompts(prompts)
    keep_policy_in_force(policy, home=register.home)

    def draft(claim_id: str, now: str, access: PriorAccess) -> Preregistration:
        return Preregistration(
            f"P-{claim_id}", claim_id, 1, claim, owner, now, now, pins, tuple(questions), access, seed
        )

    expires = datetime.now(UTC).date() + timedelta(days=MAX_EXPIRY_DAYS)
    return register.freeze(
        draft, owner=owner, declared=declared, expires_at=expires.isoformat(), model=model,
        model_digest=subject.identity.short, prompts=key, sought=describe_sought(prompts, split.sha256),
    )  # fmt: skip


def list_texts(prompts: PromptSet) -> tuple[str, ...]:
    """Digests of the confirmatory split's texts, by which the register finds what was seen of it."""
    return tuple(digest_texts(prompt) for prompt in take_split(prompts, exploratory=False).prompts)


def _refuse_other_salt(home: Path, salt: str) -> None:
    if salt != read_split_salt(home):
        raise ClaimRefused(
            "These prompts were divided with the id of another log.",
            wanted="prompts that this installation divided: a person who chooses the salt chooses the split.",
            remedy="upload them again, or name their file.",
        )


def describe_sought(prompts: PromptSet, split_sha256: str) -> Sought:
    """The confirmatory split of a whole set, as it is looked for in earlier runs."""
    templates = {}
    for template in describe_templates(prompts.prompts):
        judged = [prompt for at in template.rows if not is_exploratory(prompt := prompts.prompts[at])]
        # A skeleton that the exploratory split has too is used there rightly.
        if len(judged) == len(template.rows):
            templates[digest_skeleton(template.skeleton)] = tuple(map(digest_texts, judged))
    return Sought((split_sha256, prompts.sha256), list_texts(prompts), templates, bool(prompts.split_salt))


def run_confirmatory(
    register: Register,
    claim_id: str,
    open_auditor: Callable[[str], Auditor],
    *,
    actor: Actor,
    on_progress: Progress = no_progress,
) -> Confirmation:
    """Run the next attempt at a frozen claim; refused if any frozen input has changed.

    Args:
        open_auditor: model name → auditor with its log.

    Raises:
        ClaimRefused: no such claim, it was withdrawn, or model, prompts or code differ from the frozen ones.
        AuditError: any error of the run, after it is logged as an attempt.
    """
    known = register.find(claim_id)
    if known.withdrawn:
        raise ClaimRefused(f"{claim_id} was withdrawn.", wanted="an active claim.", remedy="freeze a new claim.")
    auditor, plan = open_auditor(known.model), known.plan
    request = _ask_as_frozen(known, auditor.subject)
    _log_split_opened(register.home, plan, actor)
    why = explain_exploratory(known)
    claim = ClaimRun(claim_id, plan.digest, why)
    found = auditor.run("confirmation", request, actor=actor, on_progress=on_progress, claim=claim)
    assert found.attempt_no is not None
    return Confirmation(found.run_id, found.attempt_no, found.result, found.wall_s, why, found.notices)


def predict_attempt_s(known: RegisteredClaim, auditor: Auditor) -> float | None:
    """Predicted seconds of the next attempt; None before the first timing.

    Raises:
        ClaimRefused: model, prompts or code differ from the frozen ones.
    """
    return auditor.predict_s("confirmation", _ask_as_frozen(known, auditor.subject))


def _ask_as_frozen(known: RegisteredClaim, subject: Subject) -> ConfirmationRequest:
    split, explored = _read_splits(subject, load_kept_prompts(known.prompts))
    plan = known.plan
    _check_pins(plan, subject, split)
    return ConfirmationRequest(split, plan.claim, explored, plan.questions, seed=plan.seed)


def explain_exploratory(known: RegisteredClaim) -> str:
    """Why runs of a claim are exploratory; empty if they are confirmatory."""
    if known.plans[0].is_exploratory:
        return "results on this split existed before the plan was frozen"
    if known.has_deviated:
        return "the plan was changed after results existed"
    return ""


def describe_registered(known: RegisteredClaim) -> dict[str, Any]:
    """A registered claim as JSON, with every plan and deviation."""
    return {
        "claim_id": known.claim_id,
        "owner": known.owner,
        "created_at": known.created_at,
        "expires_at": known.expires_at,
        "withdrawn": known.withdrawn or None,
        "exploratory": explain_exploratory(known) or None,
        "plans": [plan.to_document() for plan in known.plans],
        "deviations": [row.to_document(number) for number, row in enumerate(known.deviations, start=1)],
    }


def _read_splits(subject: Subject, prompts: PromptSet) -> tuple[TokenisedPrompts, TokenisedPrompts]:
    """Confirmatory and exploratory split."""
    splits = (take_split(prompts, exploratory=explored) for explored in (False, True))
    confirmatory, exploratory = (tokenise(split, subject.tokenizer) for split in splits)
    return confirmatory, exploratory


def _check_parts(subject: Subject, request: ConfirmationRequest) -> None:
    """Refuse a claim about components that the model lacks before it is frozen."""
    known = {part for kind in request.kinds for part in subject.components(kind)}
    if unknown := [part for part in request.claim.components if part not in known]:
        if unknown[0].kind is Kind.FEATURE and not subject.components(Kind.FEATURE):
            raise ClaimRefused(
                f"{unknown[0]} on a model that was opened without a dictionary.",
                wanted="the dictionary that gives this feature its meaning.",
                remedy=_name_dictionaries(subject, unknown[0].layer),
            )
        if unknown[0].kind is Kind.FEATURE:
            raise ClaimRefused(
                f"{unknown[0]} is not in the dictionary that this model was opened with.",
                wanted="a feature of it.", remedy=_name_dictionaries(subject, unknown[0].layer),
            )  # fmt: skip
        raise ClaimRefused(
            f"{unknown[0]} is not in this model.", wanted="components of the model.", remedy="fix the claim."
        )


def _name_dictionaries(subject: Subject, layer: int) -> str:
    """What to open so that a feature of a layer has one meaning."""
    choices = describe_choices(subject, layer)
    if not choices:
        return f"no dictionary of this model is at layer {layer}: name a feature of another layer, or add one on the page Features."
    return f"name the dictionary that is meant, by opening the model with it: {choices}."


def _pin(subject: Subject, split: TokenisedPrompts, policy: Policy, salt: str) -> Pins:
    identity = subject.identity
    return Pins(
        identity.model,
        identity.weights_sha256,
        identity.short,
        split.name,
        split.sha256,
        len(split),
        len(set(split.templates)),
        policy.sha256,
        list_versions()["assay"],
        hash_source(),
        salt,
        identity.dictionary_sha256,
    )


def _check_pins(plan: Preregistration, subject: Subject, split: TokenisedPrompts) -> None:
    pins, identity = plan.pins, subject.identity
    now = {
        "model": (pins.model_digest, identity.short),
        "weights": (pins.weights_sha256, identity.weights_sha256),
        # A plan of before this field has the dictionary in its model digest alone.
        "dictionary": (pins.dictionary_sha256, identity.dictionary_sha256 if pins.dictionary_sha256 else ""),
        "prompts": (pins.prompts_sha256, split.sha256),
        "code": (pins.code_sha256, hash_source()),
    }
    if changed := {name: pair for name, pair in now.items() if pair[0] != pair[1]}:
        differences = "; ".join(f"{name} was {was[:12]}…, is {found[:12]}…" for name, (was, found) in changed.items())
        raise ClaimRefused(
            f"{plan.claim_id} was frozen with other inputs: {differences}.",
            wanted="the frozen inputs.",
            remedy=_OTHER_CODE.format(claim_id=plan.claim_id) if set(changed) == {"code"} else _OTHER_INPUT,
        )


def _log_split_opened(home: Path, plan: Preregistration, actor: Actor) -> None:
    """Logged once per claim: later changes of its plan are deviations."""
    with open_database(home) as connection:
        reported = list_events(connection, action=Action.HALF_OPENED)
        if not any(event.payload["claim_id"] == plan.claim_id for event in reported):
            payload = {"claim_id": plan.claim_id, "prompts_sha256": plan.pins.prompts_sha256, "digest": plan.digest}
            append_event(
                connection, actor=actor.name, action=Action.HALF_OPENED, object_id=plan.pins.prompts, payload=payload
            )


def pin_now(subject: Subject, prompts: PromptSet, policy: Policy) -> Pins:
    """Pins of an amended plan: current model, prompts and code."""
    split, _ = _read_splits(subject, prompts)
    return _pin(subject, split, policy, prompts.split_salt)
