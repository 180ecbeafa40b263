"""User actions that write, apart from runs; each first checks the permission of the signed-in user."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from audit_core import Auditor, PromptSet, RunLog, audit_home, load_prompt_set, open_subject
from audit_core.change import EffectDiff, EffectQuestion, ModelDiff, compare_models, measure_effect_diff
from audit_core.claim import parse_claim
from audit_core.confirm import Confirmation, freeze_claim, predict_attempt_s, run_confirmatory
from audit_core.engine import use_all_cores
from audit_core.errors import AccessRefused, ClaimRefused, Refused
from audit_core.evidence import list_people
from audit_core.freeze_question import freeze_request
from audit_core.governance import Permission, Person, Policy, load_role_map, name_person
from audit_core.jobs import Report
from audit_core.models import PAGE
from audit_core.packs import ExportOptions, export_pack, list_answers
from audit_core.policy_choice import load_policy_choice
from audit_core.preregistration import Preregistration, PriorAccess
from audit_core.prompts import take_split
from audit_core.references import Checklist, FilledChecklist
from audit_core.request import Request
from audit_core.review import Decider, PackReading, ReviewDecision, decide, load_home_trust, read_pack, take_pack
from audit_core.run import find_folder
from audit_core.shipped import is_shipped_set
from audit_core.store import (
    ChecklistDraft,
    Checklists,
    DeskDecision,
    DeskPack,
    FrozenQuestion,
    PersonLog,
    Register,
    RegisteredClaim,
    RunRecord,
    add_card_claim,
    declare_incident,
    divide_prompts,
    keep_prompts,
    link_card_claim,
    load_kept_prompts,
    load_key,
)
from ui.flow import sample, services
from ui.parts.sample_mark import find_shown
from ui.shell import auth

DataT = TypeVar("DataT")


@dataclass(frozen=True)
class FreezeForm:
    """Input of the form that freezes a claim."""

    toml: str
    model: str
    prompts: str
    """Name of a shipped prompt set, or the id of a stored one."""
    questions: tuple[str, ...]
    declared: str
    """Declared prior access to the confirmatory split."""
    owner: str
    """Person responsible for the claim; used only without sign-in."""
    policy: str = ""
    """Key of a policy, as `list_policy_choices` gives it; the shipped one unless given."""


def freeze_question(auditor: Auditor, audit: str, request: Request, policy: Policy, *, is_seen: bool) -> FrozenQuestion:
    """Log a question with the policy for its result, before it runs.

    Args:
        is_seen: whether the user says that results were seen elsewhere.

    Raises:
        Refused: the policy compares no number of this audit, or names one that its result does not have.
    """
    who = services.authorize(Permission.FREEZE, audit)
    return freeze_request(
        audit_home(),
        auditor,
        audit,
        request,
        policy,
        actor=who.id,
        declared=PriorAccess.RESULTS_SEEN if is_seen else PriorAccess.NOTHING_RUN,
    )


@dataclass(frozen=True)
class WrittenPack:
    """A written pack, ready to download."""

    claim_id: str
    name: str
    data: bytes
    digest: str
    overall: str
    withheld: int
    """Number of prompts whose text is withheld."""


def may(permission: Permission) -> bool:
    """Whether to show a button; the action itself checks the permission again."""
    if permission in sample.NOT_OFFERED and find_shown() is not None:
        return False
    return services.person().may(permission)


def keep_own(prompts: PromptSet) -> str:
    """Store typed or uploaded prompts; with sign-in, only their owner can load them."""
    person = services.authorize(Permission.RUN, "own prompts")
    return keep_prompts(divide_own(prompts), owner=auth.name_owner(person))


def divide_own(prompts: PromptSet) -> PromptSet:
    """Divide typed or uploaded prompts by template; a copy of a shipped set keeps the rule of the shipped one."""
    return prompts if is_shipped_set(prompts) else divide_prompts(prompts)


def load_own(key: str) -> PromptSet:
    """Load stored prompts of the signed-in user."""
    return load_kept_prompts(key, owner=auth.name_owner(services.person()))


def load_set(name: str) -> PromptSet:
    """Load a shipped prompt set by name, or the user's own by id."""
    return load_own(name) if name.startswith("own-") else load_prompt_set(name)


def freeze(auditor: Auditor, form: FreezeForm) -> Preregistration:
    """Freeze a claim; its owner is the signed-in user."""
    person = services.authorize(Permission.FREEZE, f"a claim about {form.model}")
    try:
        claim = parse_claim(tomllib.loads(form.toml))
    except tomllib.TOMLDecodeError as error:
        raise ClaimRefused(
            f"The claim is not TOML: {error}.", wanted="TOML.", remedy="start from the example in the form."
        ) from error
    return freeze_claim(
        Register(audit_home()), auditor.subject, claim, load_set(form.prompts), load_policy_choice(audit_home(), form.policy),
        owner=form.owner if person.is_local else person.id, model=form.model, questions=form.questions, declared=form.declared,
    )  # fmt: skip


def attempt(auditor: Auditor, known: RegisteredClaim, title: str) -> str:
    """Make a confirmatory attempt in the background; returns the job's id."""
    sample.refuse_on_sample("no attempt was made")
    services.authorize(Permission.ATTEMPT, known.claim_id)
    who, home, claim_id = services.current_actor(), audit_home(), known.claim_id

    def work(report: Report) -> Confirmation:
        use_all_cores()
        return run_confirmatory(Register(home), claim_id, lambda name: auditor, actor=who, on_progress=report)

    return services.jobs().submit(
        f"{claim_id} {title}", title, work, owner=who.session, predicted_s=predict_attempt_s(known, auditor)
    )


def list_signers() -> tuple[str, ...]:
    """Names of the keys that the user may sign with: without sign-in all keys, else their own."""
    if (people := sample.list_sample_signers()) is not None:
        return people
    person, home = services.person(), audit_home()
    if person.is_local:
        return list_people(home)
    own = load_role_map(home).keys.get(person.id)
    return tuple(name for name in list_people(home) if name == own)


def list_own_answers() -> tuple[RunRecord, ...]:
    """Runs of this user, or without sign-in of this browser, that a pack may contain; newest first."""
    return list_answers(audit_home(), session=services.current_actor().session)


def write_pack(claim_id: str, issue: ExportOptions, passphrase: str = "", answers: Sequence[str] = ()) -> WrittenPack:
    """Write a pack, signed with the user's own key.

    Args:
        answers: ids of runs from `list_own_answers`.

    Raises:
        Refused: a run is not one of these.
    """
    sample.refuse_on_sample("no pack was written")
    person = services.authorize(Permission.EXPORT_PACK, claim_id)
    _require_own(person, issue.person, Permission.EXPORT_PACK, claim_id)
    own = {record.run_id for record in list_own_answers()} if answers else set()
    if other := sorted(set(answers) - own):
        raise Refused(
            f"Run {other[0][:40]} is not an answer of yours.",
            wanted="answers to questions that you asked, which a pack may contain.",
            remedy="choose from the list again.",
        )
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"{claim_id}.evidence.zip"
        key = load_key(audit_home(), issue.person, passphrase=passphrase or None)
        found = export_pack(audit_home(), [claim_id], out, key=key, issue=issue, answers=answers)
        name = f"{claim_id}_{found.root_digest[:12]}.evidence.zip"
        return WrittenPack(claim_id, name, out.read_bytes(), found.root_digest, found.overall, found.withheld_count)


DECIDES = {"reviewer": Permission.REVIEW, "approver": Permission.APPROVE}
"""Role of a decision → permission it needs."""
RECENT_S = 600.0
"""Maximum age in seconds of the sign-in of a person who decides."""


def take_to_desk(data: bytes) -> DeskPack:
    """Put a pack on the review desk."""
    person = services.authorize(Permission.EXPORT_PACK, "a pack for the desk")
    return take_pack(audit_home(), data, by=person.id, trust=load_home_trust(audit_home()))


def read_only(data: bytes) -> PackReading:
    """Verify and read a pack that is not on the desk; nothing is stored."""
    services.authorize(Permission.LOOK, "a pack to read")
    return read_pack(audit_home(), data, now=datetime.now(UTC))


def decide_case(root_digest: str, review_decision: ReviewDecision, signer: str, passphrase: str) -> DeskDecision:
    """Sign a decision with the user's own key; needs a recent sign-in."""
    sample.refuse_on_sample("nothing was signed")
    permission = DECIDES.get(review_decision.role, Permission.APPROVE)
    person = services.authorize(permission, root_digest, max_age_s=RECENT_S)
    if review_decision.decision == "reject":
        services.authorize(Permission.REJECT, root_digest, max_age_s=RECENT_S)
    _require_own(person, signer, permission, root_digest)
    # Without sign-in, the passphrase variable of the server's environment applies, as on the command line.
    key = load_key(audit_home(), signer, passphrase=passphrase or (None if person.is_local else ""))
    return decide(audit_home(), root_digest, review_decision, Decider(key, "" if person.is_local else person.id))


def list_names(signer: str) -> frozenset[str]:
    """Every name under which the user may appear in a decision."""
    person = services.person()
    return frozenset(name_person(name) for name in (signer, "" if person.is_local else person.id) if name)


def list_own_names() -> frozenset[str]:
    """Every name under which the user may appear in a decision; without sign-in, the names of all keys."""
    return list_names("") | {name_person(name) for name in list_signers()}


def keep_sentence(model: str, text: str, card_sha256: str) -> None:
    """Store a sentence of a model card as a claim to test."""
    person = services.authorize(Permission.RUN, f"a card of {model}")
    add_card_claim(audit_home(), model, text, card_sha256=card_sha256, by=person.id)


def link_sentence(number: int, claim_id: str) -> None:
    """Record that a registered claim tests a sentence."""
    sample.refuse_on_sample("nothing was linked")
    person = services.authorize(Permission.RUN, claim_id)
    link_card_claim(audit_home(), number, claim_id, by=person.id)


def save_checklist(checklist: Checklist, draft: ChecklistDraft, answered_by: str) -> FilledChecklist:
    """Save a filled checklist as its next version, answered by the signed-in user."""
    person = services.authorize(Permission.FILL_CHECKLIST, draft.checklist_id or "a new checklist")
    by = answered_by if person.is_local else person.id
    return Checklists(audit_home()).save(checklist, draft, by=by)


def compare(before: str, after: str, prompts: str) -> str:
    """Compare two models in the background, and measure both if a prompt set is named; returns the job's id."""
    services.authorize(Permission.RUN, f"{before} and {after}"[:200])
    who, log = services.current_actor(), RunLog(audit_home())
    question = EffectQuestion(take_split(load_prompt_set(prompts), exploratory=True)) if prompts else None

    def work(report: Report) -> tuple[ModelDiff, EffectDiff | None]:
        folders = [find_folder(name, access=PAGE) for name in (before, after)]
        found = compare_models(folders[0], folders[1])
        if question is None:
            return found, None
        use_all_cores()
        auditors = [Auditor(open_subject(str(folder)), log) for folder in folders]
        return found, measure_effect_diff(auditors[0], auditors[1], question, actor=who, on_progress=report)

    return services.jobs().submit(
        f"changes {before} {after} {prompts}", "Compare", work, owner=who.session, predicted_s=None
    )


def declare(claim_id: str, reason: str) -> None:
    """Mark a claim as stale because of an incident."""
    sample.refuse_on_sample("no incident was reported")
    person = services.authorize(Permission.DECLARE_INCIDENT, claim_id)
    digest = Register(audit_home()).find(claim_id).plan.pins.model_digest
    declare_incident(audit_home(), claim_id, held_for=digest, by=person.id, reason=reason)


def offer(permission: Permission, about: str, make: Callable[[], DataT]) -> Callable[[], DataT]:
    """Callback of a download button that checks the permission again at the click.

    The click arrives outside the page's run, where the session's user is not available: so the user is read now.
    """
    person, log = services.person(), PersonLog(audit_home())

    def made() -> DataT:
        log.authorize(person, permission, about=about)
        return make()

    return made


def disable(person_id: str, reason: str) -> None:
    """Disable a person's access from their next action on."""
    PersonLog(audit_home()).disable(person_id, by=services.person(), reason=reason)
    auth.note_change()


def enable(person_id: str, reason: str) -> None:
    """Re-enable a person's access."""
    PersonLog(audit_home()).enable(person_id, by=services.person(), reason=reason)


def _require_own(person: Person, signer: str, permission: Permission, about: str) -> None:
    if signer in list_signers():
        return
    refusal = AccessRefused(
        f"The key {signer[:60]!r} for {person.name}.", wanted="a key of their own.",
        remedy="ask the server's administrator to name it under [keys] in people.toml.", why="not_theirs",
    )  # fmt: skip
    PersonLog(audit_home()).refuse(person, permission, about=about, refusal=refusal)
    raise refusal
