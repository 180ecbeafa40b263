"""Signing keys of people, as logged: made, rotated, revoked; and which key is in force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from audit_core.errors import Refused
from audit_core.evidence import keys
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.keys import SigningKey
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, append_event, list_events, read_clock
from audit_core.store.database.key_chain import CHANGES, PACKS, read_public_key
from audit_core.verifier.ed25519 import is_signed_by

if TYPE_CHECKING:
    import duckdb

ROTATION_SCHEMA = "assay/key-rotation/1"


@dataclass(frozen=True)
class PersonKey:
    """One key of one person with its period of use."""

    person: str
    keyid: str
    public_key: bytes
    valid_from: str
    valid_to: str | None = None
    """When it was rotated."""
    revoked_at: str | None = None
    reason: str = ""

    @property
    def is_in_force(self) -> bool:
        return self.valid_to is None and self.revoked_at is None


def make_key(home: Path, person: str, *, passphrase: str | None = None) -> SigningKey:
    """Make a person's key; it comes into use once it is logged, so that every signing key has an event.

    Args:
        passphrase: encrypts the key's file; None reads `ASSAY_KEY_PASSPHRASE`, empty leaves it to the file's mode, 0600.

    Raises:
        Refused: a name that is not a file name, or a key that exists already.
    """
    keys.check_new(home, person)
    with open_database(home) as connection:
        _finish(_read_lives(connection), home, person, passphrase)
        keys.check_new(home, person)
        key = keys.make_next_key(home, person, passphrase=passphrase)
        payload = {"keyid": key.keyid, "public_key": key.public_key.hex(), "signs": PACKS, "person": person}
        append_event(connection, actor=person, action=Action.KEY_MADE, object_id=key.keyid, payload=payload)
    with open_database(home) as connection:
        return _hold(connection, home, person, passphrase)


def load_key(home: Path, person: str, *, passphrase: str | None = None) -> SigningKey:
    """Load a person's key, for signing.

    Raises:
        Refused: no such key, a revoked or rotated key, a file that others can read, or a wrong passphrase.
    """
    with open_database(home) as connection:
        return _hold(connection, home, person, passphrase)


def rotate_key(home: Path, person: str) -> SigningKey:
    """Rotate a person's key: the old key signs the new one, and its private key is then destroyed."""
    with open_database(home) as connection:
        old = _hold(connection, home, person)
        if old.keyid not in _read_lives(connection):
            raise Refused(
                f"The key of {person} was not made here.",
                wanted="a key with an event in this log.",
                remedy="rotate it where it was made.",
            )
        new = keys.make_next_key(home, person)
        statement = {
            "schema": ROTATION_SCHEMA, "person": person, "at": read_clock(), "keyid": old.keyid, "public_key": old.public_key.hex(),
            "next_keyid": new.keyid, "next_public_key": new.public_key.hex(),
        }  # fmt: skip
        payload = {
            "keyid": new.keyid, "public_key": new.public_key.hex(), "signs": PACKS, "person": person, "statement": statement,
            "signature": old.sign(dump_canonical(statement)).hex(),
        }  # fmt: skip
        append_event(connection, actor=person, action=Action.KEY_ROTATED, object_id=old.keyid, payload=payload)
    with open_database(home) as connection:
        return _hold(connection, home, person)


def revoke_key(home: Path, person: str, *, actor: str, reason: str) -> PersonKey:
    """Revoke a person's key and destroy its file, which may be missing already.

    Raises:
        Refused: no reason, or the person has no key in force.
    """
    if not reason.strip():
        raise Refused("The revocation has no reason.", wanted="what happened.", remedy="give --reason.")
    with open_database(home) as connection:
        last = (list_keys(connection, person) or (None,))[-1]
        if last is None or not last.is_in_force:
            raise Refused(
                f"{person[:64]!r} has no key in force that was made here.",
                wanted="a person with such a key.",
                remedy="check the name; revoke a key from elsewhere where it was made.",
            )
        # The file first: after a crash here, the revocation can be repeated, but the key cannot sign.
        keys.destroy_key(home, person)
        payload = {
            "keyid": last.keyid, "public_key": last.public_key.hex(), "signs": PACKS, "person": person, "reason": reason.strip(),
        }  # fmt: skip
        append_event(connection, actor=actor, action=Action.KEY_REVOKED, object_id=last.keyid, payload=payload)
        return list_keys(connection, person)[-1]


def list_keys(connection: duckdb.DuckDBPyConnection, person: str) -> tuple[PersonKey, ...]:
    """All logged keys of a person, newest last."""
    return tuple(key for key in _read_lives(connection).values() if key.person == person)


def is_rotation_signed(payload: Mapping[str, Any]) -> bool:
    """Whether the old key signed the new one, and both match the event."""
    said, signature = payload.get("statement"), payload.get("signature")
    if not isinstance(said, dict) or not isinstance(signature, str) or said.get("schema") != ROTATION_SCHEMA:
        return False
    old = read_public_key({"keyid": said.get("keyid"), "public_key": said.get("public_key")})
    names = (said.get("person"), said.get("next_keyid"), said.get("next_public_key"))
    if old is None or names != (payload.get("person"), payload.get("keyid"), payload.get("public_key")):
        return False
    try:
        return is_signed_by(old, dump_canonical(said), bytes.fromhex(signature))
    except (ValueError, Refused):
        return False


def _hold(connection: duckdb.DuckDBPyConnection, home: Path, person: str, passphrase: str | None = None) -> SigningKey:
    lives = _read_lives(connection)
    _finish(lives, home, person, passphrase)
    mine = [key for key in lives.values() if key.person == person]
    if not keys.has_key(home, person) and mine and mine[-1].revoked_at is not None:
        raise _refuse(mine[-1])
    key = keys.load_key(home, person, passphrase=passphrase)
    life = lives.get(key.keyid)
    if life is not None and not life.is_in_force:
        raise _refuse(life)
    return key


def _finish(lives: Mapping[str, PersonKey], home: Path, person: str, passphrase: str | None) -> None:
    """Complete a rotation that a crash interrupted: the event decides which key file is used."""
    following = None if person == keys.LOG_KEY else keys.find_next_key(home, person, passphrase=passphrase)
    if following is not None and following.keyid in lives:
        keys.take_next_key(home, person)


def _refuse(life: PersonKey) -> Refused:
    was = f"revoked at {life.revoked_at}: {life.reason}" if life.revoked_at else f"rotated at {life.valid_to}"
    return Refused(
        f"The key {life.keyid[:19]}… of {life.person} was {was}.",
        wanted="a key in force.",
        remedy="install the newer key, or make one: python -m audit_core keys make NAME.",
    )


def _read_lives(connection: duckdb.DuckDBPyConnection) -> dict[str, PersonKey]:
    """Every logged key by id, in order of creation."""
    lives: dict[str, PersonKey] = {}
    for event in list_events(connection, action=(Action.KEY_MADE, *CHANGES)):
        public_key = read_public_key(event.payload)
        if event.payload.get("signs") == PACKS and public_key is not None:
            _take(lives, event, public_key)
    return lives


def _take(lives: dict[str, PersonKey], event: AuditEvent, public_key: bytes) -> None:
    keyid, person = str(event.payload["keyid"]), str(event.payload.get("person", event.actor))
    if event.action == Action.KEY_REVOKED:
        if keyid in lives:
            lives[keyid] = replace(lives[keyid], revoked_at=event.ts, reason=str(event.payload.get("reason", "")))
        return
    if event.action == Action.KEY_ROTATED and event.object_id in lives:
        lives[event.object_id] = replace(lives[event.object_id], valid_to=event.ts)
    lives.setdefault(keyid, PersonKey(person, keyid, public_key, event.ts))
