"""What people do that is kept, apart from runs: each begins by asking whether whoever asks may do it now."""

from __future__ import annotations

import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from audit_core import (
    AccessRefused,
    Auditor,
    ClaimRefused,
    Confirmation,
    Deed,
    Issue,
    PersonLog,
    Preregistration,
    PromptSet,
    Register,
    RegisteredClaim,
    Report,
    audit_home,
    export_pack,
    freeze_claim,
    keep_prompts,
    list_people,
    load_kept_prompts,
    load_key,
    load_prompt_set,
    load_role_map,
    load_shipped_policy,
    parse_claim,
    predict_attempt_s,
    run_confirmatory,
    take_all_cores,
)
from ui import auth, services

DataT = TypeVar("DataT")


@dataclass(frozen=True)
class FreezeForm:
    """What a person fills in to freeze a claim."""

    toml: str
    model: str
    prompts: str
    """Name of a shipped set."""
    questions: tuple[str, ...]
    declared: str
    """What they say they know of the half."""
    owner: str
    """Who answers for it; asked for only where nobody is signed in."""


@dataclass(frozen=True)
class WrittenPack:
    """A pack to take away."""

    claim_id: str
    name: str
    data: bytes
    digest: str
    overall: str


def may(deed: Deed) -> bool:
    """Whether a button is worth showing; the deed itself asks again."""
    return services.person().may(deed)


def keep_own(prompts: PromptSet) -> str:
    """Keep prompts that somebody typed or brought; theirs alone, where people sign in."""
    person = services.admit(Deed.RUN, "own prompts")
    return keep_prompts(prompts, owner=auth.name_owner(person))


def load_own(key: str) -> PromptSet:
    """Prompts of whoever asks; another person's id opens nothing."""
    return load_kept_prompts(key, owner=auth.name_owner(services.person()))


def freeze(auditor: Auditor, form: FreezeForm) -> Preregistration:
    """Freeze a claim; its owner is whoever is signed in."""
    person = services.admit(Deed.FREEZE, f"a claim about {form.model}")
    try:
        claim = parse_claim(tomllib.loads(form.toml))
    except tomllib.TOMLDecodeError as error:
        raise ClaimRefused(
            f"The claim is not TOML: {error}.", wanted="TOML.", remedy="begin with the example that the form came with."
        ) from error
    return freeze_claim(
        Register(audit_home()), auditor.subject, claim, load_prompt_set(form.prompts), load_shipped_policy(),
        owner=form.owner if person.is_local else person.id, model=form.model, questions=form.questions, declared=form.declared,
    )  # fmt: skip


def attempt(auditor: Auditor, known: RegisteredClaim, title: str) -> str:
    """Open a claim's half in the background; returns the job's id."""
    services.admit(Deed.ATTEMPT, known.claim_id)
    who, home, claim_id = services.asker(), audit_home(), known.claim_id

    def work(report: Report) -> Confirmation:
        take_all_cores()
        return run_confirmatory(Register(home), claim_id, lambda name: auditor, asker=who, on_progress=report)

    return services.jobs().submit(
        f"{claim_id} {title}", title, work, owner=who.session, predicted_s=predict_attempt_s(known, auditor)
    )


def list_signers() -> tuple[str, ...]:
    """Names of the keys that whoever asks may sign with: without sign-in all of this home, else their own."""
    person, home = services.person(), audit_home()
    if person.is_local:
        return list_people(home)
    own = load_role_map(home).keys.get(person.id)
    return tuple(name for name in list_people(home) if name == own)


def write_pack(claim_id: str, signer: str, organisation: str) -> WrittenPack:
    """Write and sign a pack with a key of one's own."""
    person = services.admit(Deed.EXPORT_PACK, claim_id)
    if signer not in list_signers():
        refusal = AccessRefused(
            f"The key {signer[:60]!r} for {person.name}.", wanted="a key of their own.",
            remedy="whoever runs the server names it under [keys] in people.toml.", why="not_theirs",
        )  # fmt: skip
        PersonLog(audit_home()).refuse(person, Deed.EXPORT_PACK, about=claim_id, refusal=refusal)
        raise refusal
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"{claim_id}.evidence.zip"
        found = export_pack(
            audit_home(), [claim_id], out, key=load_key(audit_home(), signer), issue=Issue(signer, organisation)
        )
        name = f"{claim_id}_{found.root_digest[:12]}.evidence.zip"
        return WrittenPack(claim_id, name, out.read_bytes(), found.root_digest, found.overall)


def offer(deed: Deed, about: str, make: Callable[[], DataT]) -> Callable[[], DataT]:
    """What a download button runs when it is clicked: it asks then, and not only when the button was drawn.

    The click arrives outside the page's run, where nobody could be asked who is asking: so that is settled now.
    """
    person, log = services.person(), PersonLog(audit_home())

    def made() -> DataT:
        log.admit(person, deed, about=about)
        return make()

    return made


def disable(person_id: str, reason: str) -> None:
    """Keep somebody out from their next action on."""
    PersonLog(audit_home()).disable(person_id, by=services.person(), reason=reason)


def enable(person_id: str, reason: str) -> None:
    """Let somebody in again."""
    PersonLog(audit_home()).enable(person_id, by=services.person(), reason=reason)
