"""People of tests: claims as a provider sends them, and persons made of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from audit_core.governance.people import Person, PersonRole, identify_person

ISSUER = "https://idp.example"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROLE_FILE = """
[roles]
team-view = ["viewer"]
team-research = ["researcher"]
team-review = ["reviewer"]
team-approve = ["approver"]
team-admin = ["admin"]
"""


def make_claims(
    subject: str, *groups: str, lasts_s: float = 3600, ago_s: float = 60, now: datetime | None = None
) -> dict[str, Any]:
    """Claims of an id token that was given `ago_s` before now and ends `lasts_s` after it."""
    moment = datetime.now(UTC) if now is None else now
    return {
        "iss": ISSUER, "sub": subject, "name": subject.capitalize(), "groups": list(groups), "is_logged_in": True,
        "auth_time": int((moment - timedelta(seconds=ago_s)).timestamp()), "exp": int((moment + timedelta(seconds=lasts_s)).timestamp()),
    }  # fmt: skip


def make_person(
    subject: str, *roles: PersonRole, lasts_s: float = 3600, ago_s: float = 60, now: datetime | None = None
) -> Person:
    return identify_person(make_claims(subject, lasts_s=lasts_s, ago_s=ago_s, now=now), frozenset(roles))
