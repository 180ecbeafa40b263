"""The audit log on the page: where it stands, what the check found, and every event with its own state."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import streamlit as st

from audit_core import audit_home, make_table
from audit_core.governance import Permission
from audit_core.store import AuditEvent, AuditLogView, read_log_view, sign_checkpoint_now
from ui.flow import actions
from ui.parts.header import plain, show_table, table_with_csv

EVERYTHING = "every action"
SHOWN = 500
"""Newest events that are listed; the export has all."""
CARRIED_SHOWN = 3


def read_with_progress(home: Path) -> AuditLogView:
    """The log, checked; others write meanwhile, and whoever leaves the page ends the check."""
    bar = st.progress(0.0, "The log is being read.")

    def tell(done: int, total: int) -> None:
        bar.progress(done / total, f"{done:,} of {total:,} events are checked.")

    try:
        return read_log_view(home, tell)
    finally:
        bar.empty()


def show_standing(trail: AuditLogView) -> None:
    """Findings of the check, and the window for which only this machine vouches."""
    found, status = trail.verification, trail.status
    if found.findings:
        st.error(
            f"**The log is not what was written.** First bad event: {found.first_bad}. "
            + " ".join(plain(one.text) for one in found.findings[:5]),
            icon=":material/error:",
        )
    else:
        st.markdown(
            f"**{status.size} events are as they were written**, checked against {found.checkpoints} signed checkpoints in the same file. "
            "A file put back whole to an earlier state would pass this check: only a checkpoint held outside shows that."
        )
    columns = st.columns(4)
    columns[0].metric("Events", f"{status.size:,}")
    columns[1].metric("Held outside", f"{status.anchored_size:,} events")
    columns[2].metric("Unanchored window", f"{status.unanchored_events:,} events")
    columns[3].metric("for", f"{status.unanchored_s / 3600:.1f} h")
    if status.unanchored_events:
        st.markdown(
            "For events in the unanchored window only this machine vouches. Give a checkpoint to somebody who does not control it, then "
            "record where: `python -m audit_core log anchor --kind file --target WHERE --size N`."
        )
    if status.carried:
        names = ", ".join(f"{plain(one.pack_id)} (over {one.size} events)" for one in status.carried[-CARRIED_SHOWN:])
        st.markdown(
            f"Packs whose checkpoint is carried and not yet held outside: {len(status.carried)}. The newest: {names}. Once somebody has one: "
            "`python -m audit_core log anchor --pack PACK.zip --held-by NAME`."
        )
    for seq in found.restarts:
        st.warning(
            f"Event {seq}: this log was begun where another one was gone. Ask for what vouches for the one before.",
            icon=":material/warning:",
        )
    for key in found.revoked:
        st.warning(
            f"Event {key.at} revokes a key of the log: {plain(key.reason)}. Checkpoints that rest on that key alone: {len(key.checkpoints)}. "
            "Whoever had it could have signed others, and only a checkpoint that was held outside before shows it.",
            icon=":material/key_off:",
        )
    if trail.unended:
        rows = [(one.run_id[:12], one.started_at, one.kind, one.claim_id or "", "under way" if one.is_alive else "abandoned") for one in trail.unended]  # fmt: skip
        st.subheader("Runs without an end", anchor=False)
        show_table(make_table(("run", "began", "kind", "claim", "state"), rows))


def offer_files(trail: AuditLogView) -> None:
    """A checkpoint to give away, and every event as it is hashed."""
    st.download_button(
        "Sign a checkpoint and download it", data=actions.offer(Permission.EXPORT_LOG, "checkpoint", lambda: sign_checkpoint_now(audit_home())),
        file_name="checkpoint.txt", mime="text/plain", icon=":material/draw:", on_click="ignore",
    )  # fmt: skip
    st.download_button(
        "Export every event",
        data=actions.offer(Permission.EXPORT_LOG, "every event", lambda: "".join(event.body + "\n" for event in trail.events)),
        file_name="events.jsonl", mime="application/x-ndjson", icon=":material/download:", on_click="ignore",
    )  # fmt: skip


def list_actions(trail: AuditLogView) -> list[str]:
    """For the filter."""
    return [EVERYTHING, *sorted({event.action for event in trail.events})]


def choose_events(trail: AuditLogView, action: str, text: str) -> list[AuditEvent]:
    """Newest first; of one action, and with the text in actor, object or claim."""
    wanted = text.strip().lower()
    return [
        event
        for event in reversed(trail.events)
        if action in (EVERYTHING, event.action)
        and wanted in f"{event.actor} {event.object_id} {event.payload.get('claim_id') or ''}".lower()
    ]


def show_events(trail: AuditLogView, events: Sequence[AuditEvent]) -> None:
    """The list, and the whole of one event."""
    rows = [(event.seq, event.ts, event.actor, event.action, event.object_id, trail.describe_event(event)) for event in events]  # fmt: skip
    columns = ("number", "time, UTC", "who", "what", "about", "state")
    st.markdown(f"{len(events):,} of {len(trail.events):,} events" + (f", the newest {SHOWN} listed" if len(events) > SHOWN else ""))  # fmt: skip
    show_table(make_table(columns, rows[:SHOWN]), key="events")
    table_with_csv(lambda: make_table(columns, rows), "These events", "events-csv")
    if events:
        picked = st.selectbox("One event as it is hashed", [event.seq for event in events[:SHOWN]], key="event")
        chosen = next(event for event in events if event.seq == picked)
        st.code(chosen.body, language="json", wrap_lines=True)
        st.markdown(f"SHA-256 of it, as the next event names it: `{chosen.entry}`")
