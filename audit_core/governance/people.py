"""People: the signed-in user, their roles, and the permissions of each role; anything not listed is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from audit_core.errors import AccessRefused

MAX_PERSON = 400
"""Longest person id in characters, as events allow; OpenID Connect allows 255 for the subject alone."""
MAX_DISPLAY_NAME = 120
CLOCK_SKEW_S = 60.0
"""How far the identity provider's clock may be ahead of the server's."""


class PersonRole(StrEnum):
    """Role of a person in this installation."""

    VIEWER = "viewer"
    RESEARCHER = "researcher"
    REVIEWER = "reviewer"
    APPROVER = "approver"
    ADMIN = "admin"


class Permission(StrEnum):
    """One action that a role can allow."""

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
    RECORD_FINDING = "record_finding"
    CHANGE_FINDING = "change_finding"
    CLOSE_FINDING = "close_finding"
    ACCEPT_FINDING = "accept_finding"
    EXPORT_LOG = "export_log"
    MANAGE_PEOPLE = "manage_people"
    SET_POLICY = "set_policy"


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
    Permission.RECORD_FINDING: frozenset({_REVIEWER, _APPROVER}),
    Permission.CHANGE_FINDING: frozenset({_RESEARCHER, _REVIEWER, _APPROVER}),
    # A person who works on a finding does not say that it is done: the register also refuses its owner.
    Permission.CLOSE_FINDING: frozenset({_REVIEWER, _APPROVER}),
    Permission.ACCEPT_FINDING: frozenset({_APPROVER}),
    # A person who prepares or reviews evidence does not choose what it must reach.
    Permission.SET_POLICY: frozenset({_APPROVER}),
    Permission.EXPORT_LOG: frozenset({_REVIEWER, _APPROVER, _ADMIN}),
    # An admin who could also approve could choose the second person of a four-eyes review.
    Permission.MANAGE_PEOPLE: frozenset({_ADMIN}),
}
"""Permission → roles that have it; a permission that is missing here is refused to every role."""

REFUSALS = {
    "not_signed_in": "no user is signed in",
    "expired": "the sign-in has ended",
    "signed_out": "the person has signed out since this sign-in",
    "disabled": "an admin has disabled this person",
    "no_role": "the person has no role here",
    "not_allowed": "none of the person's roles may do this",
    "not_recent": "the person signed in too long ago for this action",
    "not_theirs": "the requested item belongs to another person",
    "bad_token": "no valid API token: missing, unknown, expired or revoked",
    "out_of_area": "the API token is not for this part of the API",
    "bad_identity": "the provider's token lacks the person's identity or an expiry time",
    "bad_configuration": "the configuration of sign-in or roles is invalid",
}
"""Code of an `AccessRefused` → its meaning."""


@dataclass(frozen=True)
class Person:
    """A signed-in user as reported by the identity provider."""

    id: str
    """`issuer|subject`: the only value that identifies a person."""
    name: str
    """Display name; not an identifier."""
    roles: frozenset[PersonRole]
    signed_in_at: datetime | None
    """When they last authenticated with the provider; None where it does not report that."""
    expires_at: datetime | None
    """End of the sign-in; None only for the local person."""
    sign_in: str = ""
    """Digest that identifies this sign-in among all of the same person; empty for the local person."""
    issued_at: datetime | None = None
    """When the provider issued the token; None where it does not report that."""

    @property
    def is_local(self) -> bool:
        return self.expires_at is None

    def may(self, permission: Permission) -> bool:
        """Whether any of their roles allows it; `require` also checks that the sign-in is still valid."""
        return not self.roles.isdisjoint(PERMISSIONS.get(permission, frozenset()))


LOCAL_PERSON = Person("local, not signed in", "one local person", frozenset(PersonRole), None, None)
"""The user where no sign-in is configured."""


def identify_person(claims: Mapping[str, object], roles: frozenset[PersonRole]) -> Person:
    """Read a person's identity from the claims of an id token whose signature was checked.

    Raises:
        AccessRefused: issuer, subject or expiry is missing or invalid.
    """
    ends = _read_time(claims.get("exp"))
    if ends is None:
        raise _bad_identity("no expiry time", "`exp`, in seconds")
    subject = str(claims["sub"]) if isinstance(claims.get("sub"), str) else ""
    shown = next((claims[key] for key in ("name", "preferred_username") if isinstance(claims.get(key), str)), subject)
    name = "".join(c for c in str(shown) if c.isprintable()).strip()[:MAX_DISPLAY_NAME]
    return Person(
        read_person_id(claims), name or subject, roles, _read_time(claims.get("auth_time")), ends, _name_sign_in(claims),
        _read_time(claims.get("iat")),
    )  # fmt: skip


_OF_ONE_SIGN_IN = ("iss", "sub", "jti", "nonce", "iat", "auth_time", "exp")
"""Token claims that identify one sign-in of one person; not `sid`, which outlives a sign-out at some providers."""


def _name_sign_in(claims: Mapping[str, object]) -> str:
    """Digest of a token's identifying claims: equal for the same token, different for each token that a provider issues."""
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
            "an issuer or subject that is too long or has unprintable characters",
            f"at most {MAX_PERSON} printable characters",
        )
    return found


def require(person: Person | None, permission: Permission, *, now: datetime) -> Person:
    """Return the person if they have the permission.

    Raises:
        AccessRefused: no user is signed in, the sign-in has ended, or none of their roles allows it.
    """
    if person is None:
        raise AccessRefused(
            "No user is signed in.",
            wanted=f"a person who may {_name_permission(permission)}.",
            remedy="sign in.",
            why="not_signed_in",
        )
    if person.expires_at is not None and now >= person.expires_at:
        raise AccessRefused(
            f"The sign-in ended at {person.expires_at:%H:%M} UTC.", wanted="a valid sign-in.", remedy="sign in again.", why="expired",
        )  # fmt: skip
    if not person.roles:
        raise AccessRefused(
            f"{person.name} ({person.id}) has no role here.", wanted=f"a role that may {_name_permission(permission)}.",
            remedy="send this id to the administrator of people.toml on the server.", why="no_role",
        )  # fmt: skip
    if not person.may(permission):
        able = sorted(PERMISSIONS.get(permission, frozenset()))
        raise AccessRefused(
            f"{person.name} as {', '.join(sorted(person.roles))} may not {_name_permission(permission)}.", wanted=f"{' or '.join(able)}.",
            remedy="ask a person with that role, or the administrator who assigns roles.", why="not_allowed",
        )  # fmt: skip
    return person


def require_recent(person: Person, *, max_age_s: float, now: datetime) -> Person:
    """Return the person if they authenticated with the provider recently.

    The local person has no provider and always passes; local mode is labelled wherever that matters.

    Args:
        max_age_s: seconds since `auth_time`, by the server's clock.

    Raises:
        AccessRefused: the authentication is older, in the future, or its time is not reported.
    """
    if person.is_local:
        return person
    age = None if person.signed_in_at is None else (now - person.signed_in_at).total_seconds()
    if age is not None and -CLOCK_SKEW_S <= age <= max_age_s:
        return person
    found = "no time of your sign-in" if age is None else f"a sign-in {age / 60:.0f} minutes ago"
    raise AccessRefused(
        f"The provider reports {found}.", wanted=f"one within the last {max_age_s / 60:g} minutes.",
        remedy="sign in again, with your password; if that does not help, the provider must send `auth_time`.", why="not_recent",
    )  # fmt: skip


def _read_time(value: object) -> datetime | None:
    """A token's time, in seconds since 1970; None for any other value."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e11:
        return None
    return datetime.fromtimestamp(value, UTC)


def _bad_identity(found: str, wanted: str) -> AccessRefused:
    return AccessRefused(
        f"The provider's token has {found}.", wanted=f"{wanted}.", remedy="ask the provider's administrator.", why="bad_identity"
    )  # fmt: skip


def _name_permission(permission: Permission) -> str:
    return permission.value.replace("_", " ")
