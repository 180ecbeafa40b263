"""Verify the audit log: its hash chain, its signed checkpoints, and external checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from audit_core.errors import Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.store.database.events import Action, find_log_id, parse_time
from audit_core.store.database.key_chain import PACKS, LogKey, read_chain
from audit_core.store.keys.person_keys import is_rotation_signed
from audit_core.store.log.findings import Fault, Finding
from audit_core.store.log.known_good import KnownGood
from audit_core.store.log.verify_checkpoints import Notes, RevokedKey, check_notes, trust_key
from audit_core.store.log.verify_runs import count_runs_before, find_changed_runs
from audit_core.verifier.log_entry import GENESIS, BadEntry, hash_entry, read_entry
from audit_core.verifier.merkle import hash_leaf

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class Verification:
    """Result of a verification."""

    log_id: str
    size: int
    findings: tuple[Finding, ...]
    checkpoints: int
    """Number of checked checkpoints in the same file."""
    held: int
    """Number of checked external checkpoints; without any, a rollback of the whole file is not detected."""
    clock_went_back: tuple[int, ...]
    """Events that record a clock set back; not a fault."""
    runs_before: int
    """Number of runs from before the log; only the log's first event protects them."""
    restarts: tuple[int, ...] = ()
    """Events that record the restart of a missing log; not a fault."""
    revoked: tuple[RevokedKey, ...] = ()
    """Keys of the log that may be compromised; not a fault."""
    rests_on_revoked: bool = False
    """Whether the trust path from the known key to the key in force includes a revoked key."""

    @property
    def first_bad(self) -> int | None:
        """The first faulty event; where a checkpoint only gives a range, the first event of that range."""
        exact = [one.seq for one in self.findings if one.seq is not None and one.until is None]
        return min([*exact, *(one.seq or 0 for one in self.findings if _is_open(one, exact))], default=None)


def _is_open(finding: Finding, exact: Sequence[int]) -> bool:
    """Whether a finding is a range without any exactly known faulty event."""
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
    """Parsed events of the log."""

    records: tuple[Mapping[str, Any], ...]
    leaves: tuple[bytes, ...]
    """Leaf hashes computed from the bodies, not read from the column."""
    entries: tuple[str, ...]


_KNOWN: KnownGood[Mapping[str, Any]] = KnownGood()
_PROGRESS_EVERY = 500
Progress = Callable[[int, int], None]
"""Progress callback: events checked so far, events in total."""


def verify_log(
    connection: duckdb.DuckDBPyConnection,
    *,
    public_key: bytes | None = None,
    external: Sequence[str] = (),
    is_own: bool = False,
    on_progress: Progress | None = None,
) -> Verification:
    """Verify the chain; with a public key of the log also its stored and external checkpoints.

    Args:
        public_key: 32 bytes from outside the file, of any key that the log had; None verifies only the chain.
        external: external checkpoints, as signed notes.
        is_own: whether the key is the stored signing key, which must be the one in force.
        on_progress: progress callback; an exception from it aborts the verification.

    Raises:
        Refused: external checkpoints are given without a key.
        IntegrityError: the file has no valid log id.
    """
    if external and public_key is None:
        raise Refused("External checkpoints need a key.", wanted="the log's public key.", remedy="give --public-key.")
    log_id = find_log_id(connection)
    findings: list[Finding] = []
    log = _check_chain(log_id, connection.execute(_EVENTS).fetchall(), findings, on_progress)
    notes = connection.execute(_NOTES).fetchall() if public_key is not None else []
    chain = read_chain(log.records)
    revoked: tuple[RevokedKey, ...] = ()
    if public_key is not None:
        trusted, doubt = trust_key(chain, public_key, is_own=is_own)
        revoked = check_notes(Notes(log_id, notes, external), trusted, log.leaves, log.entries, findings)
        # A missing or unreadable first event also has no key; that is one finding, not two.
        findings += [Finding(Fault.KEY, None, doubt)] if doubt and not any(one.seq == 0 for one in findings) else []
    findings += _check_rotations(log.records)
    findings += [Finding(Fault.RUN, seq, text) for seq, text in find_changed_runs(connection, log.records)]
    return Verification(
        log_id,
        len(log.entries),
        tuple(sorted(findings, key=lambda finding: (finding.seq is None, finding.seq or 0))),
        len(notes),
        len(external),
        tuple(record["seq"] for record in log.records if record.get("action") == Action.CLOCK_WENT_BACK),
        count_runs_before(log.records),
        tuple(record["seq"] for record in log.records if record.get("action") == Action.LOG_RESTARTED),
        revoked,
        _leads_over_revoked(chain, public_key),
    )


def _check_chain(
    log_id: str, rows: Sequence[tuple[Any, ...]], findings: list[Finding], on_progress: Progress | None
) -> _Read:
    """Check every event by itself and against the previous one; events after a fault are checked as if it were valid."""
    records: list[Mapping[str, Any]] = []
    leaves, entries, prev, time = [], [], GENESIS, ""
    if not rows:
        findings.append(Finding(Fault.MISSING, 0, "the log has no first event"))
    expected = 0
    for number, row in enumerate(rows):
        if on_progress is not None and number % _PROGRESS_EVERY == 0:
            on_progress(number, len(rows))
        seq, body, entry = row[1], row[8].encode(), row[9]
        if seq != expected:
            text = f"events {expected} to {seq - 1} are missing" if seq > expected else f"event {seq} is duplicated"
            findings.append(Finding(Fault.MISSING, min(seq, expected), text))
        expected = seq + 1
        record = _recall_event(log_id, row, findings)
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


def _recall_event(log_id: str, row: tuple[Any, ...], findings: list[Finding]) -> Mapping[str, Any]:
    def check() -> tuple[Mapping[str, Any], bool]:
        before = len(findings)
        record = _check_event(log_id, row, findings)
        return record, len(findings) == before

    return _KNOWN.find((log_id, row), check)


def _check_event(log_id: str, row: tuple[Any, ...], findings: list[Finding]) -> Mapping[str, Any]:
    """Parse an event's body; empty where it is invalid."""
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
    reported = dict(zip(_COLUMNS, row, strict=False))
    differing = [name for name in _COLUMNS if record[name] != reported[name]]
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
        findings.append(Finding(Fault.CLOCK, seq, f"event {seq} has no valid time"))
        return
    if record["ts"] < before and record["action"] != Action.CLOCK_WENT_BACK:
        findings.append(
            Finding(
                Fault.CLOCK, seq, f"event {seq} is earlier than the previous one, and no event records a clock change"
            )
        )


def _check_rotations(records: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Check that each rotated key of a person is signed by its predecessor."""
    return [
        Finding(
            Fault.KEY, record["seq"], f"event {record['seq']} names a new key that the key before it did not sign for"
        )
        for record in records
        if record["action"] == Action.KEY_ROTATED
        and record["payload"].get("signs") == PACKS
        and not is_rotation_signed(record["payload"])
    ]


def _leads_over_revoked(chain: Sequence[LogKey], public_key: bytes | None) -> bool:
    at = next((number for number, key in enumerate(chain) if key.public_key == public_key), len(chain))
    return any(key.is_revoked for key in chain[at:])
