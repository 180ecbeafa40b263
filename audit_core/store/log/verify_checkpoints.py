"""Verify checkpoints: their signatures by the key in force, and their roots over the log's events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from audit_core.evidence.keys import name_key
from audit_core.store.database.checkpoints import MAX_EVENTS
from audit_core.store.database.key_chain import LogKey, find_signers
from audit_core.store.log.findings import Fault, Finding
from audit_core.verifier.log_entry import GENESIS
from audit_core.verifier.merkle import compute_roots
from audit_core.verifier.note import BadNote, Checkpoint, read_checkpoint, read_unsigned


@dataclass(frozen=True)
class RevokedKey:
    """A possibly compromised key of the log, and the checkpoints that depend on it."""

    keyid: str
    at: int
    """Sequence number of its revocation."""
    since: int
    """First event at which it may have been compromised."""
    reason: str
    checkpoints: tuple[int, ...]
    """Sizes of later checkpoints that only this key signed, which an attacker could have forged."""


@dataclass(frozen=True)
class Notes:
    """Checkpoints to verify."""

    log_id: str
    stored: Sequence[tuple[Any, ...]]
    """Rows of the same file: log id, size, root, head, note."""
    external: Sequence[str]
    """External checkpoints, as signed notes."""


def check_notes(
    notes: Notes, chain: Sequence[LogKey], leaves: Sequence[bytes], entries: Sequence[str], findings: list[Finding]
) -> tuple[RevokedKey, ...]:
    """Check all checkpoints: signatures, roots, columns, no gap above `MAX_EVENTS`, and one at each key change."""
    good = []
    for *columns, note in notes.stored:
        one = _read_note(notes.log_id, chain, note, Fault.CHECKPOINT, findings)
        if one is not None and columns != [one.origin, one.size, one.root.hex(), one.head]:
            findings.append(
                Finding(Fault.CHECKPOINT, None, f"columns of the checkpoint of {one.size} differ from its note")
            )
        good += [one] if one is not None else []
    _check_roots(good, Fault.CHECKPOINT, leaves, entries, findings)
    _check_gaps(good, chain, len(entries), findings)
    held = [_read_note(notes.log_id, chain, note, Fault.HELD_CHECKPOINT, findings) for note in notes.external]
    read = [one for one in held if one is not None]
    _check_roots(read, Fault.HELD_CHECKPOINT, leaves, entries, findings)
    return _list_revoked(chain, {one.size for one in (*good, *read)})


def trust_key(chain: Sequence[LogKey], public_key: bytes, *, is_own: bool) -> tuple[tuple[LogKey, ...], str]:
    """Keys to verify checkpoints with, and a finding: the log's own keys if they include the known one, else only that."""
    if public_key not in [key.public_key for key in chain]:
        alone = LogKey(name_key(public_key), public_key, -1, "")
        return (alone,), "the log does not contain the known key"
    is_out = is_own and chain[-1].public_key != public_key
    return tuple(chain), f"the key kept here is not the one in force since event {chain[-1].began}" if is_out else ""


def _check_gaps(good: Sequence[Checkpoint], chain: Sequence[LogKey], size: int, findings: list[Finding]) -> None:
    sizes = {one.size for one in good}
    sealed = max(sizes, default=0)
    if size - sealed >= MAX_EVENTS:
        text = f"no checkpoint over events {sealed} to {size - 1}; at most {MAX_EVENTS - 1} can be without one"
        findings.append(Finding(Fault.CHECKPOINT, sealed, text))
    for key in chain:
        if key.ended is not None and key.ended + 1 not in sizes:
            text = f"event {key.ended} names another key of the log, and no checkpoint signed with the key before says so too"
            findings.append(Finding(Fault.KEY, key.ended, text))


def _read_note(
    log_id: str, chain: Sequence[LogKey], note: str, fault: Fault, findings: list[Finding]
) -> Checkpoint | None:
    try:
        said = read_unsigned(note)
        signers = find_signers(chain, said.size)
        # A note of another log, or over no event, fails with any key.
        for key in signers or chain[:1]:
            _check_signature(note, log_id, key.public_key)
    except BadNote as error:
        findings.append(Finding(fault, None, f"not a checkpoint of this log: {error}"))
        return None
    return said


@lru_cache(maxsize=20_000)
def _check_signature(note: str, log_id: str, public_key: bytes) -> Checkpoint:
    """Check a signature, with a cache of valid ones: it takes ten times as long as the rest of the note."""
    return read_checkpoint(note, origin=log_id, public_key=public_key)


def _check_roots(
    checkpoints: Sequence[Checkpoint], fault: Fault, leaves: Sequence[bytes], entries: Sequence[str], findings: list[Finding]
) -> None:  # fmt: skip
    """Check each root over the log's first events; a mismatch gives the range since the last matching checkpoint."""
    roots, good = compute_roots(leaves, [one.size for one in checkpoints]), 0
    for one in sorted(checkpoints, key=lambda checkpoint: checkpoint.size):
        if one.size > len(leaves):
            text = f"the log has {len(leaves)} events, but a checkpoint covers {one.size}: the rest is missing"
            findings.append(Finding(fault, len(leaves), text))
        elif roots[one.size] != one.root:
            text = f"events {good} to {one.size - 1} differ from those that a checkpoint covers"
            findings.append(Finding(fault, good, text, until=one.size - 1))
        elif one.head != (entries[one.size - 1] if one.size else GENESIS):
            text = f"event {one.size - 1} differs from the last event of a checkpoint"
            findings.append(Finding(fault, one.size - 1, text))
        else:
            good = one.size


def _list_revoked(chain: Sequence[LogKey], sizes: set[int]) -> tuple[RevokedKey, ...]:
    found = []
    for key in chain:
        if key.is_revoked and key.ended is not None:
            alone = [size for size in sizes if size > key.since and find_signers(chain, size) == (key,)]
            found.append(RevokedKey(key.keyid, key.ended, key.since, key.reason, tuple(sorted(alone))))
    return tuple(found)
