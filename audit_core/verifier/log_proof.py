"""Step 7, log: entries are included in the checkpoint's log, which extends the log of a saved checkpoint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from audit_core.verifier.clock import read_time
from audit_core.verifier.container import BadPack
from audit_core.verifier.documents import Documents
from audit_core.verifier.log_entry import hash_entry
from audit_core.verifier.merkle import hash_leaf, is_consistent, is_included
from audit_core.verifier.note import BadNote, Checkpoint, list_signers, read_unsigned
from audit_core.verifier.trust import Trust, TrustedLogKey, show

NO_TRUST = "the log's key is not in the trust file: the checkpoint could have been signed with any key"


class BadCheckpoint(ValueError):
    """The saved checkpoint is unusable; a caller's error, not a fault of the pack."""


@dataclass(frozen=True)
class LogFinding:
    """Result of the log step."""

    checkpoint: Checkpoint
    is_signed: bool
    """Signed by a key in the trust file that is not revoked."""
    is_anchored: bool
    """Whether the log extends a checkpoint that the reader saved."""
    detail: str


def check_log(documents: Documents, note: bytes, trust: Trust | None, saved: bytes | None) -> LogFinding:
    """Check entries against the pack's checkpoint, and the checkpoint against a saved one.

    Raises:
        BadPack: an invalid signature, proof or link.
        BadCheckpoint: the saved checkpoint is malformed.
    """
    try:
        text = note.decode("utf-8")
        checkpoint = read_unsigned(text)
        keys = () if trust is None else trust.logs.get(checkpoint.origin, ())
        signers = _find_keys(text, checkpoint.origin, keys) if keys else ()
    except (BadNote, UnicodeDecodeError) as error:
        raise BadPack(f"log/checkpoint.txt: {show(str(error))}") from error
    _check_entries(documents, checkpoint)
    last = max(read_time(entry["ts"]) for entry in documents.entries)
    doubts = [_judge_key(key, last) for key in signers]
    doubt = None if None in doubts else doubts[0] if doubts else NO_TRUST
    lack = _compare(documents.parsed["log/consistency.json"], checkpoint, keys, saved)
    return LogFinding(checkpoint, doubt is None, lack is None, doubt or lack or "it continues the saved checkpoint")


def _find_keys(note: str, origin: str, keys: Sequence[TrustedLogKey]) -> list[TrustedLogKey]:
    signed = list_signers(note, origin=origin, public_keys=[key.public_key for key in keys])
    return [key for key in keys if key.public_key in signed]


def _judge_key(key: TrustedLogKey, last: datetime) -> str | None:
    """Return why a checkpoint with this last event is not confirmed as the log's own; None if it is.

    Raises:
        BadPack: the key was not the log's key at that time.
    """
    if key.valid_from is not None and last < key.valid_from:
        raise BadPack("the log's last event is from before the key that signed its checkpoint")
    if key.valid_to is not None and last > key.valid_to:
        raise BadPack("the log's last event is from after the key that signed its checkpoint was replaced")
    if key.revoked_at is None:
        return None
    if last >= key.revoked_at:
        raise BadPack("the log's last event is from after the key that signed its checkpoint was revoked")
    return "the log's key was revoked later: its holder could have signed this since then, with an earlier date"


def _check_entries(documents: Documents, checkpoint: Checkpoint) -> None:
    entries, proofs = documents.entries, documents.parsed["log/inclusion.json"]
    if [entry["seq"] for entry in entries] != [row["seq"] for row in proofs]:
        raise BadPack("entries and proofs of the log have different sequence numbers")
    before: tuple[int, str] | None = None
    for entry, row, body in zip(entries, proofs, documents.lines, strict=True):
        seq, leaf = entry["seq"], hash_leaf(body)
        if entry["log_id"] != checkpoint.origin:
            raise BadPack(f"entry {seq} belongs to another log than the checkpoint")
        if before is not None and seq <= before[0]:
            raise BadPack(f"entry {seq} is out of order")
        if before is not None and seq == before[0] + 1 and entry["prev"] != before[1]:
            raise BadPack(f"entry {seq} does not follow entry {before[0]}")
        if leaf.hex() != row["leaf"] or not is_included(
            seq, checkpoint.size, leaf, _decode_proof(row["proof"]), checkpoint.root
        ):
            raise BadPack(f"entry {seq} is not in the checkpoint's log")
        before = seq, hash_entry(body)
    if before != (checkpoint.size - 1, checkpoint.head):
        raise BadPack("the entries shown do not end where the checkpoint does")


def _compare(
    step: Mapping[str, Any] | None, checkpoint: Checkpoint, keys: Sequence[TrustedLogKey], saved: bytes | None
) -> str | None:
    """Return why the log could not be compared with the saved checkpoint; None if it extends it."""
    if step is not None and step["to_size"] != checkpoint.size:
        raise BadPack("log/consistency.json leads to another size than the checkpoint's")
    if saved is None:
        return "no saved checkpoint was given"
    try:
        text = saved.decode("utf-8")
        old = read_unsigned(text)
        if keys and old.origin == checkpoint.origin:
            _find_keys(text, old.origin, keys)
    except (BadNote, UnicodeDecodeError) as error:
        raise BadCheckpoint(show(str(error))) from error
    if old.origin != checkpoint.origin:
        raise BadPack(f"the saved checkpoint is of {show(old.origin)}, the pack's of {show(checkpoint.origin)}")
    if old.size > checkpoint.size:
        return f"the saved checkpoint has {old.size:,} entries, the pack's {checkpoint.size:,}: the saved one is later"
    if old.size == checkpoint.size:
        if (old.root, old.head) != (checkpoint.root, checkpoint.head):
            raise BadPack("the log differs from the saved checkpoint of the same size")
        return None
    if step is None or step["from_size"] != old.size:
        return f"the pack contains no consistency proof from {old.size:,} entries on"
    if not is_consistent(old.size, checkpoint.size, _decode_proof(step["proof"]), old.root, checkpoint.root):
        raise BadPack("the log does not continue the saved checkpoint: entries were changed or removed")
    return None


def _decode_proof(proof: Sequence[str]) -> list[bytes]:
    return [bytes.fromhex(node) for node in proof]
