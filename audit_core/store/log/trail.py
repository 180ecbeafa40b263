"""View of the audit log for the page: every event with its findings, and the part that external checkpoints cover."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audit_core.store.database.checkpoints import LogStatus, make_checkpoint, read_status
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import AuditEvent, list_events
from audit_core.store.database.key_chain import find_own_key, list_log_keys
from audit_core.store.database.read_only import find_record, read_record_clock
from audit_core.store.log.run_log import Unended, list_unended
from audit_core.store.log.snapshot import open_snapshot
from audit_core.store.log.verification import Progress, Verification, verify_log


@dataclass(frozen=True)
class AuditLogView:
    """View of the whole log at one time."""

    events: tuple[AuditEvent, ...]
    status: LogStatus
    verification: Verification
    """Result for the chain and the stored checkpoints; `log verify` also checks external checkpoints."""
    unended: tuple[Unended, ...]

    def describe_event(self, event: AuditEvent) -> str:
        """Describe the verification result of one event."""
        wrong = [one.text for one in self.verification.findings if one.seq == event.seq]
        if wrong:
            return "; ".join(wrong)
        first = self.verification.first_bad
        if first is not None and event.seq >= first:
            return "after the first bad event"
        return "as written, anchored" if event.seq < self.status.anchored_size else "as written, unanchored"


def read_log_view(home: Path, on_progress: Progress | None = None) -> AuditLogView:
    """Read and verify the log in a snapshot, so that writers are not blocked.

    Args:
        on_progress: progress callback; an exception from it aborts the verification.

    Raises:
        IntegrityError: an event cannot be read; `log verify` names it.
    """
    is_own = find_record(home) is None
    with open_database(home) as connection:
        # The sample is shipped without its private key, so its log is checked with the public keys that it names.
        public_key = find_own_key(connection, home).public_key if is_own else list_log_keys(connection)[0].public_key
    with open_snapshot(home) as connection:
        found = verify_log(connection, public_key=public_key, is_own=is_own, on_progress=on_progress)
        events, status = list_events(connection), read_status(connection, now=read_record_clock(home))
        return AuditLogView(events, status, found, list_unended(connection, home, events))


def sign_checkpoint_now(home: Path) -> str:
    """Sign a checkpoint over all events, for a person or system outside this machine."""
    with open_database(home) as connection:
        return make_checkpoint(connection, home).note
