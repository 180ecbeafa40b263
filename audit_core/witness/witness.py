"""A witness: checks that each checkpoint extends the last one it cosigned, and cosigns it (C2SP tlog-witness)."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from audit_core.errors import IntegrityError
from audit_core.evidence.whole_file import write_whole
from audit_core.verifier.cosignature import Witness, describe_cosigned, find_cosignature, hash_witness_key
from audit_core.verifier.merkle import compute_root, is_consistent
from audit_core.verifier.note import (
    MAX_NOTE_BYTES,
    BadNote,
    Checkpoint,
    NoSigner,
    decode_exactly,
    list_signers,
    read_unsigned,
    split_note,
)
from audit_core.verifier.trust import Trust
from audit_core.witness.identity import WitnessIdentity

MAX_REQUEST_BYTES = MAX_NOTE_BYTES + (16 << 10)
SIZE_TYPE = "text/x.tlog.size"
_TEXT_TYPE = "text/plain; charset=utf-8"
_MAX_PROOF_LINES = 63
_OLD = re.compile(r"old (0|[1-9][0-9]{0,17})")


@dataclass(frozen=True)
class Response:
    """Response to one request."""

    status: int
    body: bytes
    content_type: str = _TEXT_TYPE


@dataclass(frozen=True)
class _Submission:
    old_size: int
    proof: tuple[bytes, ...]
    note: str
    checkpoint: Checkpoint


class LogWitness:
    """A witness of the logs in a trust file; its memory is one note per log, in the folder of its key."""

    def __init__(
        self, folder: Path, identity: WitnessIdentity, trust: Trust, clock: Callable[[], float] = time.time
    ) -> None:
        self.folder, self.identity, self.trust, self.clock = folder, identity, trust, clock
        self.turn = threading.Lock()
        for origin in trust.logs:
            self._read_last(origin)

    def add_checkpoint(self, body: bytes) -> Response:
        """Answer an `add-checkpoint` request; check, record and cosign are one step under a lock.

        Args:
            body: the request's body, at most `MAX_REQUEST_BYTES`.
        """
        try:
            asked = _read_submission(body)
        except (BadNote, UnicodeDecodeError) as error:
            return _refuse(400, str(error))
        keys = [key.public_key for key in self.trust.logs.get(asked.checkpoint.origin, ()) if key.revoked_at is None]
        if asked.checkpoint.origin not in self.trust.logs:
            return _refuse(404, "this witness does not know the log")
        try:
            list_signers(asked.note, origin=asked.checkpoint.origin, public_keys=keys)
        except NoSigner:
            return _refuse(403, "signed by no key that this witness knows for the log")
        except BadNote as error:
            return _refuse(403, str(error))
        if asked.old_size > asked.checkpoint.size:
            return _refuse(400, "the old size exceeds the checkpoint's size")
        with self.turn:
            return self._cosign(asked)

    def _cosign(self, asked: _Submission) -> Response:
        last, new = self._read_last(asked.checkpoint.origin), asked.checkpoint
        last_size = 0 if last is None else last.size
        if asked.old_size != last_size:
            return Response(409, f"{last_size}\n".encode(), SIZE_TYPE)
        if last is not None and last_size == new.size and (last.root, last.head) != (new.root, new.head):
            return Response(409, f"{last_size}\n".encode(), SIZE_TYPE)
        if not _extends(last, asked):
            return _refuse(422, "the checkpoint does not extend the one that this witness cosigned")
        timestamp = int(self.clock())
        text = split_note(asked.note)[0]
        key, name = self.identity.key, self.identity.name
        signed = timestamp.to_bytes(8, "big") + key.sign(describe_cosigned(text, timestamp))
        line = f"— {name} {base64.b64encode(hash_witness_key(name, key.public_key) + signed).decode()}\n"
        # Recorded on the disk before the cosignature leaves: a crash in between costs an answer, not the memory.
        write_whole(self._find_path(new.origin), f"{text}\n{line}".encode(), mode=0o600)
        return Response(200, line.encode())

    def _read_last(self, origin: str) -> Checkpoint | None:
        """Return the last checkpoint that this witness cosigned; its own cosignature shows that the file is its own.

        Raises:
            IntegrityError: the stored note is damaged.
        """
        path = self._find_path(origin)
        if not path.exists():
            return None
        own = Witness(self.identity.name, self.identity.key.public_key, "")
        try:
            note = path.read_bytes().decode()
            last = read_unsigned(note)
            is_own = find_cosignature(note, own) is not None and last.origin == origin
        except (OSError, ValueError) as error:
            raise IntegrityError(f"The witness's record {path.name} cannot be read: {error}.") from error
        if not is_own:
            raise IntegrityError(f"The witness's record {path.name} is not signed by this witness.")
        return last

    def _find_path(self, origin: str) -> Path:
        # A digest: the log's name may contain any character.
        return self.folder / f"log-{hashlib.sha256(origin.encode()).hexdigest()[:32]}.note"


def _extends(last: Checkpoint | None, asked: _Submission) -> bool:
    new = asked.checkpoint
    if last is None or last.size == 0:
        return not asked.proof and (new.size > 0 or new.root == compute_root([]))
    return is_consistent(last.size, new.size, asked.proof, last.root, new.root)


def write_submission(old_size: int, proof: Sequence[bytes], note: str) -> bytes:
    """Return the body of an `add-checkpoint` request."""
    lines = "".join(f"{base64.b64encode(one).decode()}\n" for one in proof)
    return f"old {old_size}\n{lines}\n{note}".encode()


def _read_submission(body: bytes) -> _Submission:
    if len(body) > MAX_REQUEST_BYTES:
        raise BadNote(f"more than {MAX_REQUEST_BYTES} bytes")
    head, gap, note = body.decode("utf-8").partition("\n\n")
    first, *lines = head.split("\n")
    old = _OLD.fullmatch(first)
    if old is None or not gap or len(lines) > _MAX_PROOF_LINES:
        raise BadNote("not an old size, a consistency proof, an empty line and a checkpoint")
    proof = tuple(map(decode_exactly, lines))
    if any(len(one) != 32 for one in proof):
        raise BadNote("a consistency proof of other than 32 bytes per line")
    return _Submission(int(old[1]), proof, note, read_unsigned(note))


def _refuse(status: int, reason: str) -> Response:
    return Response(status, f"{reason}\n".encode())
