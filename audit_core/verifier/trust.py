"""Step 4: who signed, held against a trust file that came by another way than the pack."""

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
    """The trust file cannot be used: the caller's mistake, not the pack's."""


@dataclass(frozen=True)
class TrustedKey:
    """One person's key, the roles they may sign in, and when."""

    keyid: str
    public_key: bytes
    person: str
    roles: tuple[str, ...]
    valid_from: datetime
    valid_to: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class TrustedLogKey:
    """One key of a log, and when it signed that log's checkpoints."""

    log_id: str
    keyid: str
    public_key: bytes
    valid_from: datetime | None
    valid_to: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class Trust:
    """Whose signatures count."""

    keys: Mapping[str, TrustedKey]
    logs: Mapping[str, tuple[TrustedLogKey, ...]]
    """Keys of each log, by log id."""


@dataclass(frozen=True)
class Signer:
    """One statement whose signature holds."""

    member: str
    person: str
    role: str
    keyid: str
    at: str
    decision: str | None
    """approve | reject | approve_with_conditions; None of the preparer, who decides nothing."""
    expires_at: str | None
    sha256: str
    """Of the envelope's bytes."""
    decisions_seen: tuple[str, ...] | None
    """SHA-256 of each decision that was in the pack as this one was signed; None where that was not recorded."""


@dataclass(frozen=True)
class Signatures:
    """What the trust file says of a pack's statements."""

    signers: tuple[Signer, ...]
    uncounted: Mapping[str, str]
    """Members whose signature is neither held nor broken, and why: an unknown key, or one revoked since."""


def name_key(public_key: bytes) -> str:
    """The id of a key: its own digest, so that no name can stand for two."""
    return "sha256:" + hashlib.sha256(public_key).hexdigest()


def read_trust(data: bytes) -> Trust:
    """Parse a trust file.

    Raises:
        BadTrust: not TOML, an unknown field, or a key that is not what its id says.
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
        raise BadTrust("one key stands there twice")
    return trust


def check_signatures(statements: Sequence[Statement], trust: Trust, last_event_at: datetime | None) -> Signatures:
    """Hold every statement against the keys that are trusted for its role.

    A signature is at least as young as the last event that the pack's log shows, whatever time it gives itself: a key that
    was revoked or had run out by then signs nothing, even for a thief who dates back. Of a key that was revoked later, the
    date is all that speaks for the signature, and a thief can write any: it is not counted.

    Raises:
        BadPack: a signature that does not hold, or by a key that is not trusted for what the statement says.
    """
    found = [(statement.member, _find_signer(statement, trust, last_event_at)) for statement in statements]
    return Signatures(
        tuple(signer for _, signer in found if isinstance(signer, Signer)),
        {member: signer for member, signer in found if isinstance(signer, str)},
    )


def _find_signer(statement: Statement, trust: Trust, last_event_at: datetime | None) -> Signer | str:
    """Who signed, or why nobody who counts did."""
    said = statement.predicate
    at = read_time(said["at"])
    known = [(trust.keys[keyid], signature) for keyid, signature in statement.signatures if keyid in trust.keys]
    for key, signature in known:
        if not is_signed_by(key.public_key, statement.message, signature):
            raise BadPack(f"{statement.member}: the signature of {show(key.person)} does not hold")
    fitting = [key for key, _ in known if said["role"] in key.roles and said["person"] == key.person]
    if known and not fitting:
        raise BadPack(
            f"{statement.member} speaks for {show(said['person'])} as {said['role']}; its key is trusted for other things"
        )
    for key in fitting:
        _check_validity(key, max(at, last_event_at or at), at, statement.member)
        if key.revoked_at is None:
            return _name_signer(statement, key)
    return (
        f"by a key of {show(fitting[0].person)} that was revoked since: its date is its own word"
        if fitting
        else UNKNOWN
    )


def _name_signer(statement: Statement, key: TrustedKey) -> Signer:
    said = statement.predicate
    seen = said.get("decisions_seen")
    return Signer(
        statement.member, key.person, said["role"], key.keyid, said["at"], said.get("decision"), said.get("expires_at"),
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
    """Text of a stranger, for a terminal: letters that steer it or turn the line around are written as numbers."""
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
            raise BadTrust("one key stands there twice")
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
