"""People: who is asking, which roles they hold, and what each role may do; what is not listed is not allowed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from audit_core.errors import AccessRefused

MAX_PERSON = 400
"""Characters of a person's id, as an event can name; OpenID Connect allows 255 for the subject alone."""
MAX_DISPLAY_NAME = 120
CLOCK_SKEW_S = 60.0
"""By which a provider's clock may be ahead of ours."""


class PersonRole(StrEnum):
    """What a person is here."""

    VIEWER = "viewer"
    RESEARCHER = "researcher"
    REVIEWER = "reviewer"
    APPROVER = "approver"
    ADMIN = "admin"


class Permission(StrEnum):
    """What a person may be allowed to do."""

    LOOK = "look"
    RUN = "run"
    FREEZE = "freeze"
    AMEND = "amend"
    WITHDRAW = "withdraw"
    ATTEMPT = "attempt"
    EXPORT_PACK = "export_pack"
    REVIEW = "review"
    APPROVE = "approve"
    REJECT = "reject"
    FILL_CHECKLIST = "fill_checklist"
    DECLARE_INCIDENT = "declare_incident"
    EXPORT_LOG = "export_log"
    MANAGE_PEOPLE = "manage_people"


_VIEWER, _RESEARCHER, _REVIEWER, _APPROVER, _ADMIN = PersonRole
PERMISSIONS: Mapping[Permission, frozenset[PersonRole]] = {
    Permission.LOOK: frozenset(PersonRole),
    Permission.RUN: frozenset({_RESEARCHER, _REVIEWER}),
    Permission.FREEZE: frozenset({_RESEARCHER}),
    Permission.AMEND: frozenset({_RESEARCHER}),
    Permission.WITHDRAW: frozenset({_RESEARCHER}),
    Permission.ATTEMPT: frozenset({_RESEARCHER}),
    Permission.EXPORT_PACK: frozenset({_RESEARCHER}),
    Permission.REVIEW: frozenset({_REVIEWER}),
    Permission.APPROVE: frozenset({_APPROVER}),
    Permission.REJECT: frozenset({_REVIEWER, _APPROVER}),
    Permission.FILL_CHECKLIST: frozenset({_REVIEWER}),
    Permission.DECLARE_INCIDENT: frozenset({_RESEARCHER, _REVIEWER, _APPROVER, _ADMIN}),
    Permission.EXPORT_LOG: frozenset({_REVIEWER, _APPROVER, _ADMIN}),
    # An admin who could also approve would decide who the other pair of eyes is.
    Permission.MANAGE_PEOPLE: frozenset({_ADMIN}),
}
"""Deed → roles that allow it; what stands nowhere here is allowed to nobody."""

REFUSALS = {
    "not_signed_in": "nobody is signed in",
    "expired": "the sign-in has ended",
    "signed_out": "the person has signed out since this sign-in",
    "disabled": "an admin has disabled this person",
    "no_role": "the person holds no role here",
    "not_allowed": "none of the person's roles may do this",
    "not_recent": "the person signed in too long ago for this deed",
    "not_theirs": "what was asked for belongs to another person",
    "bad_identity": "the provider's token does not say who this is, or until when",
    "bad_configuration": "sign-in or roles are not configured in a way that can be used",
}
"""Every code of an `AccessRefused`, and what it says."""


@dataclass(frozen=True)
class Person:
    """Somebody who is asking, as the identity provider tells of them."""

    id: str
    """`issuer|subject`: the only name by which two persons are told apart."""
    name: str
    """What the screen calls them; says nothing about who they are."""
    roles: frozenset[PersonRole]
    signed_in_at: datetime | None
    """When they last showed the provider who they are; None where it does not say."""
    expires_at: datetime | None
    """End of the sign-in; None of the local person alone."""
    sign_in: str = ""
    """Digest of what tells this sign-in from every other of the same person; empty of the local person."""
    issued_at: datetime | None = None
    """When the provider gave the token; None where it does not say."""

    @property
    def is_local(self) -> bool:
        return self.expires_at is None

    def may(self, permission: Permission) -> bool:
        """Whether any of their roles allows it; `require` also asks whether they are still signed in."""
        return not self.roles.isdisjoint(PERMISSIONS.get(permission, frozenset()))


LOCAL_PERSON = Person("local, not signed in", "one local person", frozenset(PersonRole), None, None)
"""Who is asking where no sign-in is configured."""


def identify_person(claims: Mapping[str, object], roles: frozenset[PersonRole]) -> Person:
    """Read who somebody is from the claims of an id token whose signature was checked.

    Raises:
        AccessRefused: no issuer, subject or end, or one that is not what it must be.
    """
    ends = _read_time(claims.get("exp"))
    if ends is None:
        raise _bad_identity("no time at which the sign-in ends", "`exp`, in seconds")
    subject = str(claims["sub"]) if isinstance(claims.get("sub"), str) else ""
    shown = next((claims[key] for key in ("name", "preferred_username") if isinstance(claims.get(key), str)), subject)
    name = "".join(c for c in str(shown) if c.isprintable()).strip()[:MAX_DISPLAY_NAME]
    return Person(
        read_person_id(claims), name or subject, roles, _read_time(claims.get("auth_time")), ends, _name_sign_in(claims),
        _read_time(claims.get("iat")),
    )  # fmt: skip


_OF_ONE_SIGN_IN = ("iss", "sub", "jti", "nonce", "iat", "auth_time", "exp")
"""Claims of a token that differ from one sign-in to the next, beside whose it is; `sid` outlives a sign-out at some providers."""


def _name_sign_in(claims: Mapping[str, object]) -> str:
    """The same for one token however often it is sent, and another for each token that a provider gives."""
    reported = {name: str(claims[name]) for name in _OF_ONE_SIGN_IN if claims.get(name) is not None}
    return hashlib.sha256(json.dumps(reported, sort_keys=True).encode()).hexdigest()


def read_person_id(claims: Mapping[str, object]) -> str:
    """`issuer|subject` of an id token.

    Raises:
        AccessRefused: either is missing, unprintable or too long.
    """
    issuer, subject = claims.get("iss"), claims.get("sub")
    if not isinstance(issuer, str) or not isinstance(subject, str) or not issuer or not subject:
        raise _bad_identity("no issuer or no subject", "`iss` and `sub`")
    found = f"{issuer}|{subject}"
    if not found.isprintable() or len(found) > MAX_PERSON or "|" in issuer:
        raise _bad_identity(
            "an issuer or subject with odd characters, or too long", f"{MAX_PERSON} printable characters"
        )
    return found


def require(person: Person | None, permission: Permission, *, now: datetime) -> Person:
    """Let the person do it, or refuse.

    Raises:
        AccessRefused: nobody is signed in, the sign-in has ended, or no role of theirs allows it.
    """
    if person is None:
        raise AccessRefused(
            "Nobody is signed in.",
            wanted=f"a person who may {_say(permission)}.",
            remedy="sign in.",
            why="not_signed_in",
        )
    if person.expires_at is not None and now >= person.expires_at:
        raise AccessRefused(
            f"A sign-in that ended at {person.expires_at:%H:%M} UTC.", wanted="one that lasts.", remedy="sign in again.", why="expired",
        )  # fmt: skip
    if not person.roles:
        raise AccessRefused(
            f"{person.name} ({person.id}) holds no role here.", wanted=f"a role that may {_say(permission)}.",
            remedy="give this id to whoever keeps people.toml on the server.", why="no_role",
        )  # fmt: skip
    if not person.may(permission):
        able = sorted(PERMISSIONS.get(permission, frozenset()))
        raise AccessRefused(
            f"{person.name} as {', '.join(sorted(person.roles))} may not {_say(permission)}.", wanted=f"{' or '.join(able)}.",
            remedy="ask somebody who has that role, or whoever gives roles.", why="not_allowed",
        )  # fmt: skip
    return person


def require_recent(person: Person, *, max_age_s: float, now: datetime) -> Person:
    """Let the person go on if they showed the provider who they are a short while ago, or refuse.

    The local person has no provider that could ask them, and is let through: local mode is labelled wherever it counts.

    Args:
        max_age_s: seconds since `auth_time`, by our clock.

    Raises:
        AccessRefused: longer ago, in the future, or the provider does not say when.
    """
    if person.is_local:
        return person
    age = None if person.signed_in_at is None else (now - person.signed_in_at).total_seconds()
    if age is not None and -CLOCK_SKEW_S <= age <= max_age_s:
        return person
    found = "no time at which you signed in" if age is None else f"a sign-in {age / 60:.0f} minutes ago"
    raise AccessRefused(
        f"The provider tells of {found}.", wanted=f"one within the last {max_age_s / 60:g} minutes.",
        remedy="sign in again, with your password; if that does not help, the provider must send `auth_time`.", why="not_recent",
    )  # fmt: skip


def _read_time(value: object) -> datetime | None:
    """Seconds since 1970, as a token has them; None of anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        return None
    return datetime.fromtimestamp(value, UTC)


def _bad_identity(found: str, wanted: str) -> AccessRefused:
    return AccessRefused(
        f"The provider's token has {found}.", wanted=f"{wanted}.", remedy="ask whoever runs the provider.", why="bad_identity"
    )  # fmt: skip


def _say(permission: Permission) -> str:
    return permission.value.replace("_", " ")
