"""Witnesses: whether a quorum of listed witnesses cosigned a log that contains the pack's whole log (C2SP tlog-proof)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from audit_core.verifier.container import BadPack
from audit_core.verifier.cosignature import Witness, WitnessList, find_cosignature, show_seconds
from audit_core.verifier.log_proof import LogFinding
from audit_core.verifier.merkle import hash_leaf, is_consistent, is_included
from audit_core.verifier.note import (
    MAX_NOTE_BYTES,
    BadNote,
    Checkpoint,
    NoSigner,
    decode_exactly,
    list_signers,
    read_unsigned,
)
from audit_core.verifier.trust import Trust, show

WITNESSED_MEMBER = "attestations/witnessed.tlog-proof"
WITNESSED, UNWITNESSED = "WITNESSED", "UNWITNESSED"
WITNESSES_NOT_CHECKED, WITNESSES_FAILED = "WITNESSES_NOT_CHECKED", "WITNESSES_FAILED"
PROOF_HEADER = "c2sp.org/tlog-proof@v1"
_MAX_PROOF_BYTES = MAX_NOTE_BYTES + (16 << 10)
_MAX_HASHES = 64
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,17})")
_EXTRA = re.compile(r"extra ([A-Za-z0-9+/=]{1,8000})")


@dataclass(frozen=True)
class WitnessFinding:
    """Result of checking a pack's cosigned checkpoint with the reader's witness list."""

    result: str
    """WITNESSED | UNWITNESSED | WITNESSES_NOT_CHECKED (no list, or an earlier step failed) | WITNESSES_FAILED (not of this log, or an invalid cosignature)"""
    detail: str
    names: tuple[str, ...] = ()
    """Listed witnesses that cosigned."""
    quorum: int | None = None
    listed: int | None = None
    size: int | None = None
    """Entries that the cosigned checkpoint covers; at least those of the pack's log."""
    at: str | None = None
    """Time of the cosignature that completed the quorum: the pack's log existed by then."""


@dataclass(frozen=True)
class TlogProof:
    """Inclusion of one entry in a cosigned checkpoint, with a consistency proof from the pack's checkpoint."""

    index: int
    inclusion: tuple[bytes, ...]
    extension: tuple[bytes, ...]
    """Consistency proof from the size `index + 1` to the cosigned checkpoint; empty where both are equal."""
    note: str


def check_witnesses(
    members: Mapping[str, bytes], log: LogFinding, last: bytes, trust: Trust | None, listed: WitnessList | None
) -> WitnessFinding:
    """Check that the cosigned checkpoint contains the pack's log, then count the cosignatures.

    Args:
        log: the log as checked against the pack's own checkpoint.
        last: body of the last entry of the pack's log.

    Raises:
        BadPack: the member is malformed, of another or a changed log, or has an invalid signature under a known key.
    """
    quorum, n_listed = (None, None) if listed is None else (listed.quorum, len(listed.witnesses))
    if WITNESSED_MEMBER not in members:
        of = "" if listed is None else f": by 0 of {n_listed}, quorum {quorum}"
        return WitnessFinding(UNWITNESSED, f"no cosigned checkpoint in this pack{of}", (), quorum, n_listed)
    try:
        proof = read_tlog_proof(members[WITNESSED_MEMBER])
        cosigned = read_unsigned(proof.note)
        _check_extends(proof, cosigned, log.checkpoint, last)
        is_known = _is_known(proof.note, cosigned.origin, trust)
        times = {} if listed is None else _list_times(proof.note, listed.witnesses)
    except BadNote as error:
        raise BadPack(f"{WITNESSED_MEMBER}: {show(str(error))}") from error
    size = cosigned.size
    if listed is None:
        detail = "no witness list was given: the cosigned checkpoint in this pack was compared with its log only"
        return WitnessFinding(WITNESSES_NOT_CHECKED, detail, size=size)
    if not is_known:
        detail = "the cosigned checkpoint is signed by none of the log's keys in the trust file"
        return WitnessFinding(UNWITNESSED, detail, (), quorum, n_listed, size)
    names = tuple(sorted(times, key=lambda name: (times[name], name)))
    detail = f"by {len(names)} of {len(listed.witnesses)}, quorum {listed.quorum}"
    if len(names) < listed.quorum:
        return WitnessFinding(UNWITNESSED, detail, names, quorum, n_listed, size)
    at = show_seconds(times[names[listed.quorum - 1]])
    return WitnessFinding(
        WITNESSED, f"{detail}: {', '.join(names)}; the log existed by {at}", names, quorum, n_listed, size, at
    )


def read_tlog_proof(data: bytes) -> TlogProof:
    """Parse a tlog-proof file.

    Raises:
        BadNote: malformed.
    """
    try:
        text = data[: _MAX_PROOF_BYTES + 1].decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadNote("not UTF-8") from error
    head, gap, note = text.partition("\n\n")
    lines = head.split("\n")
    if len(data) > _MAX_PROOF_BYTES or not gap or lines[0] != PROOF_HEADER:
        raise BadNote(f"not a {PROOF_HEADER} file")
    extra = _EXTRA.fullmatch(lines[1]) if len(lines) > 1 else None
    rest = lines[2:] if extra else lines[1:]
    index = _INDEX.fullmatch(rest[0]) if rest else None
    if index is None:
        raise BadNote("no index line")
    return TlogProof(int(index[1]), _read_hashes(rest[1:]), _split_hashes(extra[1] if extra else ""), note)


def write_tlog_proof(proof: TlogProof) -> bytes:
    """Return the bytes that `read_tlog_proof` reads; the consistency proof is the extra data."""
    extra = f"extra {base64.b64encode(b''.join(proof.extension)).decode()}\n" if proof.extension else ""
    hashes = "".join(f"{base64.b64encode(one).decode()}\n" for one in proof.inclusion)
    return f"{PROOF_HEADER}\n{extra}index {proof.index}\n{hashes}\n{proof.note}".encode()


def _check_extends(proof: TlogProof, cosigned: Checkpoint, own: Checkpoint, last: bytes) -> None:
    """Check that the cosigned log contains the pack's log unchanged."""
    if cosigned.origin != own.origin:
        raise BadPack(f"the cosigned checkpoint is of {show(cosigned.origin)}, the pack's of {show(own.origin)}")
    if proof.index != own.size - 1:
        raise BadPack("the cosigned checkpoint's proof is not of the last entry of the pack's log")
    if cosigned.size < own.size:
        raise BadPack(f"the cosigned checkpoint covers {cosigned.size:,} entries, the pack's log has {own.size:,}")
    if not is_included(proof.index, cosigned.size, hash_leaf(last), proof.inclusion, cosigned.root):
        raise BadPack(
            "the last entry of the pack's log is not in the log that the witnesses cosigned: two versions of it exist"
        )
    if not is_consistent(own.size, cosigned.size, proof.extension, own.root, cosigned.root):
        raise BadPack("the log that the witnesses cosigned does not continue the pack's log: two versions of it exist")
    if cosigned.size == own.size and cosigned.head != own.head:
        raise BadPack("the cosigned checkpoint names another last entry than the pack's")


def _is_known(note: str, origin: str, trust: Trust | None) -> bool:
    """Check the log's own signature; True without a trust file, as the witnesses have checked it."""
    keys = () if trust is None else trust.logs.get(origin, ())
    if trust is None:
        return True
    try:
        return bool(list_signers(note, origin=origin, public_keys=[key.public_key for key in keys]))
    except NoSigner:
        return False


def _list_times(note: str, witnesses: Sequence[Witness]) -> dict[str, int]:
    found = {one.name: find_cosignature(note, one) for one in witnesses}
    return {name: at for name, at in found.items() if at is not None}


def _read_hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    hashes = tuple(decode_exactly(line) for line in lines[: _MAX_HASHES + 1])
    if len(hashes) > _MAX_HASHES or any(len(one) != 32 for one in hashes):
        raise BadNote("not hashes of 32 bytes, one per line")
    return hashes


def _split_hashes(encoded: str) -> tuple[bytes, ...]:
    joined = decode_exactly(encoded)
    if len(joined) % 32 or len(joined) > _MAX_HASHES * 32:
        raise BadNote("the extra data is not a consistency proof")
    return tuple(joined[start : start + 32] for start in range(0, len(joined), 32))
