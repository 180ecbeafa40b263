"""Log checkpoints as C2SP signed notes, checked with a key from outside the note."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from audit_core.verifier.ed25519 import is_signed_by

MAX_NOTE_BYTES = 64 << 10
_MAX_SIGNATURES = 100
_ED25519_NOTE = b"\x01"
_HEAD_ENTRY = re.compile(r"[0-9a-f]{64}")
_NOTE_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_SIGNATURE_LINE = re.compile(r"— ([^\s+]+) ([A-Za-z0-9+/=]+)")


class BadNote(ValueError):
    """The text is not a checkpoint signed by this key."""


class NoSigner(BadNote):
    """None of the given keys signed the note."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint: number of entries in the log, and their Merkle root."""

    origin: str
    """Name of the log."""
    size: int
    root: bytes
    head: str
    """Hash of the last entry; 64 zeros for an empty log."""

    @property
    def text(self) -> str:
        """The signed text."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n{self.head}\n"


def hash_note_key(name: str, public_key: bytes) -> bytes:
    """Return the four bytes that identify the key of a signature line (C2SP signed-note)."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519_NOTE + public_key).digest()[:4]


def read_checkpoint(note: str, *, origin: str, public_key: bytes) -> Checkpoint:
    """Return the checkpoint in a note of this log, signed with this key.

    Signatures by other keys are ignored, as the format requires; an invalid signature by this key makes the note invalid.

    Raises:
        BadNote: malformed, of another log, or not signed with this key.
    """
    checkpoint = read_unsigned(note)
    if checkpoint.origin != origin:
        raise BadNote(f"a checkpoint of {checkpoint.origin[:60]!r}, not of {origin!r}")
    list_signers(note, origin=origin, public_keys=[public_key])
    return checkpoint


def list_signers(note: str, *, origin: str, public_keys: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return which of a log's keys signed a note: usually one, two at a key rotation.

    Raises:
        NoSigner: signed by none of them.
        BadNote: malformed, or with an invalid signature.
    """
    text, signatures = split_note(note)
    found = []
    for key in public_keys:
        known = hash_note_key(origin, key)
        own = [signature[4:] for name, signature in signatures if name == origin and signature[:4] == known]
        if not all(is_signed_by(key, text.encode(), signature) for signature in own):
            raise BadNote("an invalid signature")
        found += [key] if own else []
    if not found:
        raise NoSigner("no signature of this log's key")
    return tuple(found)


def split_note(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return the signed text of a note, and name and bytes (key id, then signature) of each signature line.

    Raises:
        BadNote: not in the format of signed notes.
    """
    if len(note) > MAX_NOTE_BYTES or any(ord(character) < 32 and character != "\n" for character in note):
        raise BadNote("too long, or control characters")
    text, gap, below = note.rpartition("\n\n")
    if not gap or not below.endswith("\n"):
        raise BadNote("no signatures below a blank line")
    lines = below[:-1].split("\n")
    if len(lines) > _MAX_SIGNATURES:
        raise BadNote(f"more than {_MAX_SIGNATURES} signatures")
    found = []
    for line in lines:
        match = _SIGNATURE_LINE.fullmatch(line)
        if match is None:
            raise BadNote("a line that is not a signature")
        found.append((match[1], decode_exactly(match[2])))
    return text + "\n", found


def _read_body(text: str) -> Checkpoint:
    lines = text[:-1].split("\n")
    if len(lines) != 4 or not lines[0] or not _NOTE_SIZE.fullmatch(lines[1]) or not _HEAD_ENTRY.fullmatch(lines[3]):
        raise BadNote("not origin, size, root and head, one per line")
    root = decode_exactly(lines[2])
    if len(root) != 32:
        raise BadNote(f"a root of {len(root)} bytes")
    return Checkpoint(lines[0], int(lines[1]), root, lines[3])


def decode_exactly(encoded: str) -> bytes:
    """Decode base64, accepting only the canonical encoding of the bytes."""
    try:
        data = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise BadNote("not base64") from error
    if base64.b64encode(data).decode() != encoded:
        raise BadNote("base64 in a non-canonical encoding")
    return data


def read_unsigned(note: str) -> Checkpoint:
    """Return the checkpoint in a note without verifying signatures, for readers without a key.

    Raises:
        BadNote: malformed.
    """
    return _read_body(split_note(note)[0])
