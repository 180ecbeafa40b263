"""Tokens of the REST API in the audit log: made and revoked by events, so that no edited file brings one back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from audit_core.errors import Refused
from audit_core.governance.api_token import MAX_DAYS, ApiArea, ApiToken, make_secret
from audit_core.governance.people import MAX_DISPLAY_NAME, PersonRole
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, append_event, list_events
from audit_core.store.keys.person_keys import load_key

if TYPE_CHECKING:
    import duckdb

MAX_TOKENS = 200
"""Maximum number of tokens that are neither expired nor revoked."""


def make_token(
    home: Path,
    name: str,
    roles: Collection[PersonRole],
    *,
    by: str,
    days: int,
    areas: Collection[ApiArea] = tuple(ApiArea),
    key: str = "",
) -> tuple[str, ApiToken]:
    """Make a token; its text is returned once and stored nowhere.

    Args:
        name: what the token is for, such as the name of a pipeline.
        by: person who makes it.
        days: days until it expires.
        areas: parts of the API that it opens.
        key: name of the signing key for packs that it may write; empty for none.

    Raises:
        Refused: a name, role, area or number of days that is not accepted, too many tokens, or no such key.
    """
    if not name.strip() or len(name) > MAX_DISPLAY_NAME or not name.isprintable():
        raise Refused(
            f"The name {name[:40]!r}.", wanted=f"1 to {MAX_DISPLAY_NAME} printable characters.", remedy="name what the token is for."
        )  # fmt: skip
    if not roles or not areas:
        raise Refused("A token without a role or an area.", wanted="at least one of each.", remedy="name one.")
    if not 1 <= days <= MAX_DAYS:
        raise Refused(f"{days} days.", wanted=f"1 to {MAX_DAYS}.", remedy="make a new token when this one has expired.")
    if key:
        load_key(home, key)
    text, id, digest = make_secret()
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=days)
    payload = {
        "name": name.strip(), "roles": sorted(role.value for role in roles), "areas": sorted(area.value for area in areas), "key": key, "expires_at": expires.isoformat(),
        "secret_sha256": digest,
    }  # fmt: skip
    with open_database(home) as connection:
        now = datetime.now(UTC)
        lasting = [one for one in _read(connection) if one.revoked_at is None and one.expires_at > now]
        if len(lasting) >= MAX_TOKENS:
            raise Refused(f"{len(lasting)} valid tokens.", wanted=f"at most {MAX_TOKENS}.", remedy="revoke one first.")
        event = append_event(connection, actor=by, action=Action.TOKEN_MADE, object_id=id, payload=payload)
    return text, _read_made(event)


def revoke_token(home: Path, id: str, *, by: str) -> ApiToken:
    """Revoke a token from the next request on.

    Raises:
        Refused: no such token, or one that is revoked already.
    """
    with open_database(home) as connection:
        token = _find(connection, id)
        if token is None or token.revoked_at is not None:
            raise Refused(
                f"{'No token' if token is None else 'The revoked token'} {id[:40]!r}.", wanted="the id of a token that is not revoked.",
                remedy="list them: `api token list`.",
            )  # fmt: skip
        event = append_event(connection, actor=by, action=Action.TOKEN_REVOKED, object_id=id, payload={})
        return replace(token, revoked_at=event.ts)


def find_token(home: Path, id: str) -> ApiToken | None:
    """The token with this id, whether valid, expired or revoked; None where there is none."""
    with open_database(home) as connection:
        return _find(connection, id)


def list_tokens(home: Path) -> tuple[ApiToken, ...]:
    """Every token, oldest first."""
    with open_database(home) as connection:
        return _read(connection)


def _find(connection: duckdb.DuckDBPyConnection, id: str) -> ApiToken | None:
    return next(iter(_combine(list_events(connection, object_id=id))), None)


def _read(connection: duckdb.DuckDBPyConnection) -> tuple[ApiToken, ...]:
    return _combine(list_events(connection, action=(Action.TOKEN_MADE, Action.TOKEN_REVOKED)))


def _combine(events: tuple[AuditEvent, ...]) -> tuple[ApiToken, ...]:
    revoked = {event.object_id: event.ts for event in events if event.action == Action.TOKEN_REVOKED}
    made = (_read_made(event) for event in events if event.action == Action.TOKEN_MADE)
    return tuple(replace(token, revoked_at=revoked.get(token.id)) for token in made)


def _read_made(event: AuditEvent) -> ApiToken:
    said = event.payload
    return ApiToken(
        event.object_id,
        str(said["name"]),
        frozenset(map(PersonRole, said["roles"])),
        frozenset(map(ApiArea, said["areas"])),
        str(said["key"]),
        event.actor,
        event.ts,
        datetime.fromisoformat(str(said["expires_at"])),
        str(said["secret_sha256"]),
    )
