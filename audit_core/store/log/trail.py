"""The audit log as a page shows it: every event with what is wrong about it, and how far others could vouch for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from audit_core.store.database.checkpoints import LogStatus, make_checkpoint, read_status
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import AuditEvent, list_events
from audit_core.store.database.key_chain import find_own_key
from audit_core.store.log.run_log import Unended, list_unended
from audit_core.store.log.snapshot import open_snapshot
from audit_core.store.log.verification import Progress, Verification, verify_log


@dataclass(frozen=True)
class AuditLogView:
    """One moment's view of the whole log."""

    events: tuple[AuditEvent, ...]
    status: LogStatus
    verification: Verification
    """Of the chain and of the checkpoints in the same file; who holds one outside checks more with `log verify`."""
    unended: tuple[Unended, ...]

    def describe_event(self, event: AuditEvent) -> str:
        """What the check says of one event."""
        wrong = [one.text for one in self.verification.findings if one.seq == event.seq]
        if wrong:
            return "; ".join(wrong)
        first = self.verification.first_bad
        if first is not None and event.seq >= first:
            return "after the first bad event"
        return "as written, held outside" if event.seq < self.status.anchored_size else "as written, unanchored"


def read_log_view(home: Path, on_progress: Progress | None = None) -> AuditLogView:
    """Read and check the log, in a copy of it, so that others write meanwhile.

    Args:
        on_progress: told how many events are checked; whatever it raises ends the check.

    Raises:
        IntegrityError: an event that cannot be read at all; `log verify` names it.
    """
    with open_database(home) as connection:
        public_key = find_own_key(connection, home).public_key
    with open_snapshot(home) as connection:
        found = verify_log(connection, public_key=public_key, is_own=True, on_progress=on_progress)
        events = list_events(connection)
        return AuditLogView(events, read_status(connection), found, list_unended(connection, home, events))


def sign_checkpoint_now(home: Path) -> str:
    """A checkpoint over everything so far, to be given to somebody who does not control this machine."""
    with open_database(home) as connection:
        return make_checkpoint(connection, home).note
