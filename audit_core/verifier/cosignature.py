"""Cosignatures of witnesses on checkpoints (C2SP tlog-cosignature, Ed25519), and the keys that a reader lists for them."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from audit_core.verifier.ed25519 import is_signed_by
from audit_core.verifier.note import BadNote, decode_exactly, split_note
from audit_core.verifier.strict_toml import load_toml

WITNESSES_SCHEMA = "assay/witnesses/1"
MAX_WITNESSES = 32
MAX_WITNESSES_BYTES = 64 << 10
_COSIGNATURE_TYPE = b"\x04"
_COSIGNATURE_BYTES = 4 + 8 + 64
_LAST_SECOND = 253_402_300_799
"""31 December 9999: the last second that a date can name."""
_WITNESS_NAME = re.compile(r"[!-*,-~]{1,200}")
"""Printable ASCII without space and plus, a subset of the names that signed notes allow."""
_VKEY = re.compile(r"([!-*,-~]{1,200})\+([0-9a-f]{8})\+([A-Za-z0-9+/=]{1,100})")


class BadWitnessList(ValueError):
    """The witness list is unusable; a caller's error, not a fault of the pack."""


@dataclass(frozen=True)
class Witness:
    """A witness that the reader trusts."""

    name: str
    public_key: bytes
    """32 bytes."""
    url: str
    """Submission prefix, used by the log's owner only; may be empty."""

    @property
    def vkey(self) -> str:
        return write_vkey(self.name, self.public_key)


@dataclass(frozen=True)
class WitnessList:
    """Witnesses, and how many of them must have cosigned."""

    quorum: int
    witnesses: tuple[Witness, ...]


def hash_witness_key(name: str, public_key: bytes) -> bytes:
    """Return the four bytes that identify a witness's key in a signature line."""
    return hashlib.sha256(name.encode() + b"\n" + _COSIGNATURE_TYPE + public_key).digest()[:4]


def describe_cosigned(text: str, timestamp: int) -> bytes:
    """Return the bytes that a cosignature signs.

    Args:
        text: the checkpoint's signed text, with its final line break.
        timestamp: POSIX seconds.
    """
    return f"cosignature/v1\ntime {timestamp}\n{text}".encode()


def write_vkey(name: str, public_key: bytes) -> str:
    """Return a witness's key as a C2SP verifier key: name, key id and key."""
    encoded = base64.b64encode(_COSIGNATURE_TYPE + public_key).decode()
    return f"{name}+{hash_witness_key(name, public_key).hex()}+{encoded}"


def is_witness_name(name: str) -> bool:
    return bool(_WITNESS_NAME.fullmatch(name))


def find_cosignature(note: str, witness: Witness) -> int | None:
    """Return when this witness cosigned a checkpoint, in POSIX seconds; the earliest time, or None without a cosignature.

    Lines of other keys are ignored, as the format requires.

    Raises:
        BadNote: malformed, or an invalid cosignature under this witness's name and key id.
    """
    text, signatures = split_note(note)
    known, times = hash_witness_key(witness.name, witness.public_key), []
    for name, signature in signatures:
        if name != witness.name or signature[:4] != known:
            continue
        timestamp = int.from_bytes(signature[4:12], "big")
        if len(signature) != _COSIGNATURE_BYTES or timestamp > _LAST_SECOND:
            raise BadNote("a cosignature of the wrong size, or with an impossible time")
        if not is_signed_by(witness.public_key, describe_cosigned(text, timestamp), signature[12:]):
            raise BadNote(f"an invalid cosignature under the name {witness.name}")
        times.append(timestamp)
    return min(times, default=None)


def show_seconds(timestamp: int) -> str:
    """Return POSIX seconds as a time in UTC."""
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_witnesses(data: bytes) -> WitnessList:
    """Parse a witness list.

    Raises:
        BadWitnessList: not TOML, an unknown field, a key that does not match its id, one key twice, or an impossible quorum.
    """
    if len(data) > MAX_WITNESSES_BYTES:
        raise BadWitnessList(f"larger than {MAX_WITNESSES_BYTES:,} bytes")
    try:
        table = load_toml(data)
    except ValueError as error:
        raise BadWitnessList(f"not TOML: {str(error)[:120]}") from error
    if table.get("schema") != WITNESSES_SCHEMA or set(table) != {"schema", "quorum", "witnesses"}:
        raise BadWitnessList(f'wanted schema = "{WITNESSES_SCHEMA}", quorum and [[witnesses]], and nothing else')
    rows, quorum = table["witnesses"], table["quorum"]
    if not isinstance(rows, list) or not 0 < len(rows) <= MAX_WITNESSES:
        raise BadWitnessList(f"1 to {MAX_WITNESSES} [[witnesses]] are wanted")
    witnesses = tuple(_read_witness(row) for row in rows)
    for field in ("name", "public_key"):
        # The signed bytes do not name the witness, so that one key under two names would count twice.
        if len({getattr(one, field) for one in witnesses}) < len(witnesses):
            raise BadWitnessList(f"one {field} is listed twice")
    if type(quorum) is not int or not 0 < quorum <= len(witnesses):
        raise BadWitnessList(f"a quorum from 1 to the number of witnesses, {len(witnesses)}, is wanted")
    return WitnessList(quorum, witnesses)


def _read_witness(row: Any) -> Witness:
    if not isinstance(row, Mapping) or not {"key"} <= set(row) <= {"key", "url"}:
        raise BadWitnessList("a witness has the fields key and url, and no other")
    if not all(isinstance(value, str) for value in row.values()):
        raise BadWitnessList("key and url are text in quotes")
    name, public_key = read_vkey(row["key"])
    return Witness(name, public_key, row.get("url", ""))


def read_vkey(text: str) -> tuple[str, bytes]:
    """Return name and public key of a witness's verifier key.

    Raises:
        BadWitnessList: malformed, of another kind, or with an id that does not match.
    """
    found = _VKEY.fullmatch(text)
    if found is None:
        raise BadWitnessList(f"{text[:80]!a} is not a key as `witness key` prints it")
    try:
        material = decode_exactly(found[3])
    except BadNote as error:
        raise BadWitnessList(f"the key of {found[1]}: {error}") from error
    if len(material) != 33 or material[:1] != _COSIGNATURE_TYPE:
        raise BadWitnessList(f"the key of {found[1]} is not an Ed25519 key for cosignatures")
    if hash_witness_key(found[1], material[1:]).hex() != found[2]:
        raise BadWitnessList(f"the key of {found[1]} does not match its id")
    return found[1], material[1:]
