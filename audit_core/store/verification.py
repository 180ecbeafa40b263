"""Whether the audit log is what was written: its own chain, its signed checkpoints, and checkpoints that others hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from audit_core.errors import Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.store.checkpoints import MAX_EVENTS
from audit_core.store.events import Action, find_log_id, parse_time
from audit_core.store.verify_runs import count_runs_before, find_changed_runs
from audit_core.verifier.log_entry import GENESIS, BadEntry, hash_entry, read_entry
from audit_core.verifier.merkle import compute_roots, hash_leaf
from audit_core.verifier.note import BadNote, Checkpoint, read_checkpoint

if TYPE_CHECKING:
    import duckdb


class Fault(StrEnum):
    """What is wrong with a log."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    COLUMN = "column"
    HASH = "hash"
    CHAIN = "chain"
    CLOCK = "clock"
    RUN = "run"
    CHECKPOINT = "checkpoint"
    HELD_CHECKPOINT = "held_checkpoint"


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it was written."""

    fault: Fault
    seq: int | None
    """The event, or the first of those among which it must be; None where no event can be named."""
    text: str
    until: int | None = None
    """The last of those among which it must be; None where one event is meant."""


@dataclass(frozen=True)
class Verification:
    """What was checked, and what was found."""

    log_id: str
    size: int
    findings: tuple[Finding, ...]
    checkpoints: int
    """Signed checkpoints in the same file that were checked."""
    held: int
    """Checkpoints given from outside; without any, an older state of the whole file would pass."""
    clock_went_back: tuple[int, ...]
    """Events that tell of a clock set back; no fault of the log."""
    runs_before: int
    """Runs that were there before the log began: nothing vouches for them but the log's first event, from then on."""

    @property
    def first_bad(self) -> int | None:
        """The first event that is not as it was written; where a checkpoint says no more than among which, the first of them."""
        exact = [one.seq for one in self.findings if one.seq is not None and one.until is None]
        return min([*exact, *(one.seq or 0 for one in self.findings if _is_open(one, exact))], default=None)


def _is_open(finding: Finding, exact: Sequence[int]) -> bool:
    """Whether none of the events that could be named is among those that a checkpoint puts in doubt."""
    return (
        finding.seq is not None
        and finding.until is not None
        and not any(finding.seq <= seq <= finding.until for seq in exact)
    )


_COLUMNS = ("log_id", "seq", "ts", "tenant", "actor", "action", "object_id", "prev")
_EVENTS = """
SELECT log_id, seq, ts, tenant, actor, action, object_id, prev, body, entry, leaf FROM audit_event ORDER BY seq, log_id
"""
_NOTES = "SELECT log_id, size, root, head, note FROM audit_checkpoint ORDER BY size"


@dataclass(frozen=True)
class _Read:
    """The log as far as its chain goes."""

    records: tuple[Mapping[str, Any], ...]
    leaves: tuple[bytes, ...]
    """Computed from the bodies, never taken from the column."""
    entries: tuple[str, ...]


def verify_log(
    connection: duckdb.DuckDBPyConnection, *, public_key: bytes | None = None, held: Sequence[str] = ()
) -> Verification:
    """Check the chain; with the log's public key also the checkpoints in the same file and those that others hold.

    Args:
        public_key: 32 bytes, known from outside the file; None checks the chain alone.
        held: notes that were handed out earlier and come from elsewhere.

    Raises:
        Refused: checkpoints are held against no key.
        IntegrityError: the file lacks what every log has.
    """
    if held and public_key is None:
        raise Refused("Checkpoints without a key.", wanted="the log's public key.", remedy="give --public-key.")
    log_id = find_log_id(connection)
    findings: list[Finding] = []
    log = _check_chain(log_id, connection.execute(_EVENTS).fetchall(), findings)
    notes = connection.execute(_NOTES).fetchall() if public_key is not None else []
    if public_key is not None:
        _check_stored(log_id, public_key, notes, log, findings)
        read = _read_notes(log_id, public_key, held, Fault.HELD_CHECKPOINT, findings)
        _check_roots(read, Fault.HELD_CHECKPOINT, log, findings)
    findings += [Finding(Fault.RUN, seq, text) for seq, text in find_changed_runs(connection, log.records)]
    return Verification(
        log_id,
        len(log.entries),
        tuple(sorted(findings, key=lambda finding: (finding.seq is None, finding.seq or 0))),
        len(notes),
        len(held),
        tuple(record["seq"] for record in log.records if record.get("action") == Action.CLOCK_WENT_BACK),
        count_runs_before(log.records),
    )


def _check_chain(log_id: str, rows: Sequence[tuple[Any, ...]], findings: list[Finding]) -> _Read:
    """Every event by itself and beside the one before it; what follows a fault is checked as if it were right."""
    records: list[Mapping[str, Any]] = []
    leaves, entries, prev, time = [], [], GENESIS, ""
    if not rows:
        findings.append(Finding(Fault.MISSING, 0, "the log has no first event"))
    expected = 0
    for row in rows:
        seq, body, entry = row[1], row[8].encode(), row[9]
        if seq != expected:
            text = f"events {expected} to {seq - 1} are missing" if seq > expected else f"event {seq} stands twice"
            findings.append(Finding(Fault.MISSING, min(seq, expected), text))
        expected = seq + 1
        record = _check_event(log_id, row, findings)
        if record.get("prev", row[7]) != prev:
            findings.append(Finding(Fault.CHAIN, seq, f"event {seq} does not name the hash of the event before it"))
        if record:
            _check_time(record, time, findings)
            time = record["ts"]
        prev = entry
        records.append(record)
        leaves.append(hash_leaf(body))
        entries.append(hash_entry(body))
    return _Read(tuple(record for record in records if record), tuple(leaves), tuple(entries))


def _check_event(log_id: str, row: tuple[Any, ...], findings: list[Finding]) -> Mapping[str, Any]:
    """The record that the body holds; empty where it holds none."""
    seq, body, entry, leaf = row[1], row[8].encode(), row[9], row[10]
    if hash_entry(body) != entry or hash_leaf(body).hex() != leaf:
        findings.append(Finding(Fault.HASH, seq, f"event {seq} is not what its hash says"))
    try:
        record = read_entry(body)
        is_canonical = dump_canonical(record) == body
    except (BadEntry, Refused) as error:
        findings.append(Finding(Fault.UNREADABLE, seq, f"event {seq} cannot be read: {error}"))
        return {}
    if not is_canonical:
        findings.append(Finding(Fault.UNREADABLE, seq, f"event {seq} is not in canonical form"))
    told = dict(zip(_COLUMNS, row, strict=False))
    differing = [name for name in _COLUMNS if record[name] != told[name]]
    if record["log_id"] != log_id:
        differing.append("log_id of the file")
    if differing:
        findings.append(Finding(Fault.COLUMN, seq, f"event {seq}: {', '.join(differing)} differ from its body"))
    return record


def _check_time(record: Mapping[str, Any], before: str, findings: list[Finding]) -> None:
    seq = record["seq"]
    try:
        parse_time(record["ts"])
    except ValueError:
        findings.append(Finding(Fault.CLOCK, seq, f"event {seq} has no time of ours"))
        return
    if record["ts"] < before and record["action"] != Action.CLOCK_WENT_BACK:
        findings.append(
            Finding(Fault.CLOCK, seq, f"event {seq} is earlier than the one before it, and nothing says so")
        )


def _check_stored(
    log_id: str, public_key: bytes, rows: Sequence[tuple[Any, ...]], log: _Read, findings: list[Finding]
) -> None:
    """Checkpoints in the same file, their columns, and that there are as many as an honest log has."""
    good = []
    for *columns, note in rows:
        (one,) = _read_notes(log_id, public_key, [note], Fault.CHECKPOINT, findings) or (None,)
        if one is not None and columns != [one.origin, one.size, one.root.hex(), one.head]:
            findings.append(
                Finding(Fault.CHECKPOINT, None, f"columns of the checkpoint of {one.size} differ from its note")
            )
        good += [one] if one is not None else []
    _check_roots(good, Fault.CHECKPOINT, log, findings)
    sealed = max((one.size for one in good), default=0)
    if len(log.entries) - sealed >= MAX_EVENTS:
        text = (
            f"no checkpoint over events {sealed} to {len(log.entries) - 1}; at most {MAX_EVENTS - 1} can be without one"
        )
        findings.append(Finding(Fault.CHECKPOINT, sealed, text))


def _read_notes(
    log_id: str, public_key: bytes, notes: Sequence[str], fault: Fault, findings: list[Finding]
) -> list[Checkpoint]:
    found = []
    for note in notes:
        try:
            found.append(read_checkpoint(note, origin=log_id, public_key=public_key))
        except BadNote as error:
            findings.append(Finding(fault, None, f"not a checkpoint of this log: {error}"))
    return found


def _check_roots(checkpoints: Sequence[Checkpoint], fault: Fault, log: _Read, findings: list[Finding]) -> None:
    """Each root over the log's first events; where one differs, the change lies behind the last that holds."""
    roots, good = compute_roots(log.leaves, [one.size for one in checkpoints]), 0
    for one in sorted(checkpoints, key=lambda checkpoint: checkpoint.size):
        if one.size > len(log.leaves):
            text = (
                f"the log has {len(log.leaves)} events, and a checkpoint was signed over {one.size}: the rest is gone"
            )
            findings.append(Finding(fault, len(log.leaves), text))
        elif roots[one.size] != one.root:
            text = f"events {good} to {one.size - 1} are not those that a checkpoint was signed over"
            findings.append(Finding(fault, good, text, until=one.size - 1))
        elif one.head != (log.entries[one.size - 1] if one.size else GENESIS):
            text = f"event {one.size - 1} is not the one that a checkpoint names as last"
            findings.append(Finding(fault, one.size - 1, text))
        else:
            good = one.size
