"""Tokens of the REST API: what they contain, and the person that a request with one acts as."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from audit_core.governance.people import Person, PersonRole

MAX_DAYS = 366
"""Longest life of a token in days."""
_FORM = re.compile(r"assay_([0-9a-f]{12})_([A-Za-z0-9_-]{43})", re.ASCII)
_NO_TOKEN = hashlib.sha256(b"").hexdigest()


class ApiArea(StrEnum):
    """Part of the API that a token opens; the roles of the token decide what it may do there."""

    RUNS = "runs"
    CLAIMS = "claims"
    PACKS = "packs"
    VERIFY = "verify"
    GATE = "gate"
    JOBS = "jobs"


@dataclass(frozen=True)
class ApiToken:
    """One token as logged: never its secret."""

    id: str
    """12 hexadecimal digits, the middle part of the token."""
    name: str
    roles: frozenset[PersonRole]
    areas: frozenset[ApiArea]
    key: str
    """Name of the signing key for packs; empty for a token that signs none."""
    made_by: str
    made_at: str
    expires_at: datetime
    secret_sha256: str
    revoked_at: str | None = None

    @property
    def person(self) -> Person:
        """The person that requests with this token act as; every refusal names it."""
        return Person(
            f"api token|{self.id}", self.name, self.roles, None, self.expires_at, hashlib.sha256(self.id.encode()).hexdigest()
        )  # fmt: skip

    @property
    def owner(self) -> str:
        """Digest that names the runs and jobs of this token."""
        return hashlib.sha256(self.person.id.encode()).hexdigest()[:32]


def make_secret() -> tuple[str, str, str]:
    """A new token as text, its id, and the digest of its secret.

    The secret has 256 random bits, so that a plain SHA-256 of it cannot be searched.
    """
    id, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return f"assay_{id}_{secret}", id, digest_secret(secret)


def read_token(text: str) -> tuple[str, str] | None:
    """Id and secret of a token's text; None where it has another form."""
    found = _FORM.fullmatch(text)
    return None if found is None else (found[1], found[2])


def digest_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def is_secret_of(token: ApiToken | None, secret: str) -> bool:
    """Whether the secret belongs to the token, in a time that depends neither on the secret nor on whether the token exists."""
    wanted = _NO_TOKEN if token is None else token.secret_sha256
    return hmac.compare_digest(digest_secret(secret), wanted) and token is not None
