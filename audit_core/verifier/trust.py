"""Step 4, signature: verifies signers with a trust file obtained separately from the pack."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit_core.verifier.clock import NotATime, read_time
from audit_core.verifier.container import BadPack
from audit_core.verifier.ed25519 import is_signed_by
from audit_core.verifier.statement import Statement
from audit_core.verifier.strict_toml import load_toml

TRUST_SCHEMA = "assay/trust/1"
ROLES = ("preparer", "reviewer", "approver")
MAX_TRUST_BYTES = 1 << 20
UNKNOWN = "by an unknown key: not counted"
_KEY_FIELDS = {"keyid", "public_key", "person", "roles", "valid_from", "valid_to", "revoked_at"}
_LOG_FIELDS = {"log_id", "keyid", "public_key", "valid_from", "valid_to", "revoked_at"}


class BadTrust(ValueError):
    """The trust file is unusable; a caller's error, not a fault of the pack."""


@dataclass(frozen=True)
class TrustedKey:
    """One person's key, with permitted roles and validity."""

    keyid: str
    public_key: bytes
    person: str
    roles: tuple[str, ...]
    valid_from: datetime
    valid_to: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class TrustedLogKey:
    """One key of a log, with its period of use."""

    log_id: str
    keyid: str
    public_key: bytes
    valid_from: datetime | None
    valid_to: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class Trust:
    """Trusted keys of people and logs."""

    keys: Mapping[str, TrustedKey]
    logs: Mapping[str, tuple[TrustedLogKey, ...]]
    """Keys of each log, by log id."""


@dataclass(frozen=True)
class Signer:
    """The signer of one statement with a valid signature."""

    member: str
    person: str
    role: str
    keyid: str
    at: str
    decision: str | None
    """approve | reject | approve_with_conditions; None for the preparer, who makes no decision."""
    expires_at: str | None
    sha256: str
    """SHA-256 of the envelope."""
    decisions_seen: tuple[str, ...] | None
    """SHA-256 of each decision in the pack at the time of signing; None if not recorded."""


@dataclass(frozen=True)
class Signatures:
    """Result of checking a pack's statements with a trust file."""

    signers: tuple[Signer, ...]
    uncounted: Mapping[str, str]
    """Members whose signature does not count, and why: an unknown key, or one revoked later."""


def name_key(public_key: bytes) -> str:
    """Return a key's id: its digest, which is unique."""
    return "sha256:" + hashlib.sha256(public_key).hexdigest()


def read_trust(data: bytes) -> Trust:
    """Parse a trust file.

    Raises:
        BadTrust: not TOML, an unknown field, or a key that does not match its id.
    """
    if len(data) > MAX_TRUST_BYTES:
        raise BadTrust(f"larger than {MAX_TRUST_BYTES:,} bytes")
    try:
        table = load_toml(data)
    except ValueError as error:
        raise BadTrust(f"not TOML: {str(error)[:120]}") from error
    if table.get("schema") != TRUST_SCHEMA or not set(table) <= {"schema", "keys", "logs"}:
        raise BadTrust(f'wanted schema = "{TRUST_SCHEMA}", [[keys]] and [[logs]], and nothing else')
    keys, logs = _list_tables(table, "keys"), _list_tables(table, "logs")
    try:
        trust = Trust(
            {row["keyid"]: _read_key(row) for row in keys}, _group_by_log([_read_log_key(row) for row in logs])
        )
    except (KeyError, TypeError, NotATime) as error:
        raise BadTrust(f"a row without {error}" if isinstance(error, KeyError) else str(error)) from error
    if len(trust.keys) < len(keys):
        raise BadTrust("a key is listed twice")
    return trust


def check_signatures(statements: Sequence[Statement], trust: Trust, last_event_at: datetime | None) -> Signatures:
    """Verify every statement with the keys trusted for its role.

    A signature cannot be older than the last event of the pack's log, whatever its stated date: a key that was revoked or
    expired by then is rejected, so backdating does not help a thief. If the key was revoked later, only the signature's own
    date places it before the revocation, and a thief could have chosen it: the signature does not count.

    Raises:
        BadPack: an invalid signature, or a key that is not trusted for the statement's person and role.
    """
    found = [(statement.member, _find_signer(statement, trust, last_event_at)) for statement in statements]
    return Signatures(
        tuple(signer for _, signer in found if isinstance(signer, Signer)),
        {member: signer for member, signer in found if isinstance(signer, str)},
    )


def _find_signer(statement: Statement, trust: Trust, last_event_at: datetime | None) -> Signer | str:
    """Return the signer, or why the signature does not count."""
    stated = statement.predicate
    at = read_time(stated["at"])
    known = [(trust.keys[keyid], signature) for keyid, signature in statement.signatures if keyid in trust.keys]
    for key, signature in known:
        if not is_signed_by(key.public_key, statement.message, signature):
            raise BadPack(f"{statement.member}: the signature of {show(key.person)} is invalid")
    fitting = [key for key, _ in known if stated["role"] in key.roles and stated["person"] == key.person]
    if known and not fitting:
        raise BadPack(
            f"{statement.member} names {show(stated['person'])} as {stated['role']}; its key is not trusted for that"
        )
    for key in fitting:
        _check_validity(key, max(at, last_event_at or at), at, statement.member)
        if key.revoked_at is None:
            return _name_signer(statement, key)
    return (
        f"by a key of {show(fitting[0].person)} that was revoked later: only its own date precedes the revocation"
        if fitting
        else UNKNOWN
    )


def _name_signer(statement: Statement, key: TrustedKey) -> Signer:
    stated = statement.predicate
    seen = stated.get("decisions_seen")
    return Signer(
        statement.member, key.person, stated["role"], key.keyid, stated["at"], stated.get("decision"), stated.get("expires_at"),
        statement.sha256, None if seen is None else tuple(seen),
    )  # fmt: skip


def _check_validity(key: TrustedKey, latest: datetime, at: datetime, member: str) -> None:
    if at < key.valid_from:
        raise BadPack(f"{member} was signed before the key of {show(key.person)} was valid")
    if key.valid_to is not None and latest > key.valid_to:
        raise BadPack(f"{member} was signed after the key of {show(key.person)} had expired")
    if key.revoked_at is not None and latest >= key.revoked_at:
        raise BadPack(f"{member} was signed after the key of {show(key.person)} was revoked")


def show(text: str) -> str:
    """Escape untrusted text for a terminal: control and direction characters become numbers."""
    return "".join(letter if letter.isprintable() else f"\\u{ord(letter):04x}" for letter in text[:120])


def _list_tables(table: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    rows = table.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise BadTrust(f"[[{name}]] is not a list of tables")
    return rows


def _read_key(row: Mapping[str, Any]) -> TrustedKey:
    _check_fields(row, _KEY_FIELDS)
    roles = row["roles"]
    if not isinstance(roles, list) or not roles or not set(roles) <= set(ROLES):
        raise BadTrust(f"roles are one or more of {', '.join(ROLES)}")
    if not row["person"]:
        raise BadTrust("a key without a person")
    return TrustedKey(
        row["keyid"], _read_public_key(row), row["person"], tuple(roles), read_time(row["valid_from"]),
        _read_end(row, "valid_to"), _read_end(row, "revoked_at"),
    )  # fmt: skip


def _read_log_key(row: Mapping[str, Any]) -> TrustedLogKey:
    _check_fields(row, _LOG_FIELDS)
    dates = [_read_end(row, name) for name in ("valid_from", "valid_to", "revoked_at")]
    return TrustedLogKey(row["log_id"], row["keyid"], _read_public_key(row), *dates)


def _read_end(row: Mapping[str, Any], name: str) -> datetime | None:
    return read_time(row[name]) if name in row else None


def _group_by_log(keys: Sequence[TrustedLogKey]) -> dict[str, tuple[TrustedLogKey, ...]]:
    logs = {key.log_id: tuple(one for one in keys if one.log_id == key.log_id) for key in keys}
    for log_id, own in logs.items():
        if len({key.keyid for key in own}) < len(own):
            raise BadTrust("a key is listed twice")
        if sum(key.valid_to is None and key.revoked_at is None for key in own) > 1:
            raise BadTrust(f"log {log_id[:80]!a} has two keys without an end, and one log signs with one")
    return logs


def _check_fields(row: Mapping[str, Any], fields: set[str]) -> None:
    if unknown := sorted(set(row) - fields):
        raise BadTrust(f"unknown field {unknown[0]!a}")
    if wrong := [name for name in row if name != "roles" and not isinstance(row[name], str)]:
        raise BadTrust(f"{wrong[0]} is not text in quotes")


def _read_public_key(row: Mapping[str, Any]) -> bytes:
    try:
        key = base64.b64decode(row["public_key"], validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadTrust(f"public_key is not base64: {error}") from error
    if len(key) != 32 or name_key(key) != row["keyid"]:
        raise BadTrust(f"public_key is not the 32 bytes that {row['keyid'][:80]!a} names")
    return key
