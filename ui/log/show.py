"""The audit log on the page: integrity check, external checkpoints, and every event."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from audit_core import make_table
from audit_core.governance import Permission
from audit_core.store import AuditEvent, AuditLogView, read_log_view, sign_checkpoint_now
from ui.flow import actions, sample
from ui.log.witnesses import describe_own_log
from ui.parts.header import column_widths, counted, plain, show_table, table_with_csv
from ui.parts.sample_mark import name_file

EVERYTHING = "every action"
SHOWN = 500
"""Number of newest events listed; the export has all."""
CARRIED_SHOWN = 3


def read_with_progress(home: Path) -> AuditLogView:
    """Read and check the log with a progress bar; leaving the page ends the check."""
    bar = st.progress(0.0, "Reading the log.")

    def show(done: int, total: int) -> None:
        bar.progress(done / total, f"{done:,} of {total:,} events checked.")

    try:
        return read_log_view(home, show)
    finally:
        bar.empty()


def show_status(trail: AuditLogView) -> None:
    """Show the findings of the check, and the events without an external checkpoint."""
    found, status = trail.verification, trail.status
    if found.findings:
        st.error(
            f"**The log was altered.** First bad event: {found.first_bad}. "
            + " ".join(plain(one.text) for one in found.findings[:5]),
            icon=":material/error:",
        )
    else:
        st.markdown(
            f"**Unaltered: {counted(status.size, 'event')}**, checked against {counted(found.checkpoints, 'signed checkpoint')} in the same file. "
            "A file reset to an earlier state passes this check. Only an external checkpoint detects that."
        )
    columns = st.columns(4)
    columns[0].metric("Events", f"{status.size:,}")
    columns[1].metric("Confirmed outside", counted(status.anchored_size, "event"))
    columns[2].metric("Not yet confirmed outside", counted(status.unanchored_events, "event"))
    columns[3].metric("Unconfirmed for", f"{status.unanchored_s / 3600:.1f} h")
    if status.unanchored_events:
        st.markdown(
            "The newest events are not yet confirmed outside this machine. Give a checkpoint to a person who does not control this machine, "
            "then record it: `python -m audit_core log anchor --kind file --target WHERE --size N`."
        )
    st.markdown(describe_own_log(trail))
    if status.carried:
        names = ", ".join(
            f"{plain(one.pack_id)} (over {counted(one.size, 'event')})" for one in status.carried[-CARRIED_SHOWN:]
        )
        st.markdown(
            f"Exported packs with a checkpoint that is not yet recorded as external: {len(status.carried)}. The newest: {names}. "
            "After handing one over: `python -m audit_core log anchor --pack PACK.zip --held-by NAME`."
        )
    for seq in found.restarts:
        st.warning(
            f"Event {seq}: this log replaces a lost log. Ask for external checkpoints of the earlier log.",
            icon=":material/warning:",
        )
    for key in found.revoked:
        st.warning(
            f"Event {key.at} revokes a key of the log: {plain(key.reason)}. Checkpoints signed by that key only: {len(key.checkpoints)}. "
            "Any person with that key could have signed others. Only an earlier external checkpoint detects that.",
            icon=":material/key_off:",
        )
    if trail.unended:
        rows = [(one.run_id[:12], one.started_at, one.kind, one.claim_id or "", "running" if one.is_alive else "abandoned") for one in trail.unended]  # fmt: skip
        st.subheader("Runs without an end", anchor=False)
        show_table(make_table(("run", "started", "kind", "claim", "state"), rows))


def offer_files(trail: AuditLogView) -> None:
    """Offer a signed checkpoint, and every event as it is hashed."""
    home = sample.records_home()
    with st.container(horizontal=True):
        st.download_button(
            "Sign a checkpoint and download it", data=actions.offer(Permission.EXPORT_LOG, "checkpoint", lambda: sign_checkpoint_now(home)),
            file_name=name_file("checkpoint.txt"), mime="text/plain", icon=":material/draw:", on_click="ignore",
        )  # fmt: skip
        st.download_button(
            "Export every event",
            data=actions.offer(Permission.EXPORT_LOG, "every event", lambda: "".join(event.body + "\n" for event in trail.events)),
            file_name=name_file("events.jsonl"), mime="application/x-ndjson", icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def list_actions(trail: AuditLogView) -> list[str]:
    """Options of the action filter."""
    return [EVERYTHING, *sorted({event.action for event in trail.events})]


def choose_events(trail: AuditLogView, action: str, text: str) -> list[AuditEvent]:
    """Filter events by action and by text in actor, object or claim; newest first."""
    wanted = text.strip().lower()
    return [
        event
        for event in reversed(trail.events)
        if action in (EVERYTHING, event.action)
        and wanted in f"{event.actor} {event.object_id} {event.payload.get('claim_id') or ''}".lower()
    ]


def show_events(trail: AuditLogView, events: Sequence[AuditEvent]) -> None:
    """Show the list of events, and one event in full."""
    rows = [(event.seq, event.ts, event.actor, event.action, event.object_id, trail.describe_event(event)) for event in events]  # fmt: skip
    columns = ("number", "time, UTC", "actor", "action", "object", "state")
    st.markdown(f"{len(events):,} of {counted(len(trail.events), 'event')}" + (f", the newest {SHOWN} listed" if len(events) > SHOWN else ""))  # fmt: skip
    # A digest as object would push the state out of a laptop's screen.
    widths = dict(zip(columns, (75, 195, 150, 120, 290, 160), strict=True))
    show_table(make_table(columns, rows[:SHOWN]), key="events", column_config=column_widths(widths))
    table_with_csv(lambda: make_table(columns, rows), "These events", "events-csv")
    if events:
        picked = st.selectbox("One event as it is hashed", [event.seq for event in events[:SHOWN]], key="event")
        chosen = next(event for event in events if event.seq == picked)
        st.code(chosen.body, language="json", wrap_lines=True)
        st.markdown(f"Its SHA-256, which the next event contains: `{chosen.entry}`")
