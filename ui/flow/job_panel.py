"""A background job on the page: predicted time, progress and cancel; polled only while the job is active.

A polled fragment stands alone in a container, and is gone once its job has ended. Streamlit drops what a fragment drew
and has not sent yet when a poll arrives, removes the fragment's old place from the page, and draws the poll at the same
index: whatever followed the fragment would be overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from audit_core.jobs import JobState, Snapshot
from ui.flow.services import cancel_job, current_actor, jobs
from ui.parts.header import plain
from ui.shell.auth import has_changed

POLL_S = 1.0
QUEUED_POLL_S = 5.0
"""Polling interval of a queued job; long, because many panels polling each second slow the running job."""


def job_panel(job: str, show_partial: Callable[[Any], None] | None = None, *, place: str = "") -> Snapshot | None:
    """Show the job, and rerun the page when it ends; returns its state at drawing time.

    Args:
        show_partial: draws the partial result.
        place: key suffix, because two questions may share one job.
    """
    owner = current_actor().session
    snapshot = jobs().get(job, owner=owner)
    if snapshot is None:
        return None

    every = {JobState.QUEUED: QUEUED_POLL_S, JobState.RUNNING: POLL_S}.get(snapshot.state)

    @st.fragment(run_every=every)
    def panel() -> None:
        now = jobs().get(job, owner=owner)
        if now is None:
            return
        # A user who signed out meanwhile must not see what follows.
        if now.state is not snapshot.state or has_changed():
            # Rerun when a job ends, and when it starts, to poll it more often.
            st.rerun()
        if not now.is_active:
            return
        row = st.container(horizontal=True, vertical_alignment="center", gap="small")
        left = "" if now.remaining_s is None else f", about {now.remaining_s:.0f} s left"
        state = "queued" if now.state is JobState.QUEUED else f"{now.fraction:.0%}{left}"
        row.progress(now.fraction, text=f"{plain(now.title)}: {state}")
        row.button(
            "Cancel", key=f"cancel-{job}{place}", icon=":material/stop_circle:", on_click=cancel_job, args=(job,),
            width="content",
        )  # fmt: skip
        if show_partial is not None and now.partial is not None:
            show_partial(now.partial)

    if every is not None:
        with st.container():
            panel()
    return snapshot


def job_strip(mine: Mapping[str, str], *, key: str) -> bool:
    """Show several jobs as one line of progress with one Cancel for all; returns whether any was active when drawn.

    The page is rerun when a job ends, and only at the tick after the one that drew Cancel: jobs shorter than a rerun
    of the page would otherwise end before it is ever drawn.

    Args:
        mine: title of the question → id of its job.
    """
    owner = current_actor().session
    drawn = _find_active(mine, owner)
    if not drawn:
        return False
    seen_once: list[bool] = []

    @st.fragment(run_every=POLL_S)
    def strip() -> None:
        now = _find_active(mine, owner)
        if seen_once and (now.keys() != drawn.keys() or has_changed()):
            st.rerun()
        seen_once.append(True)
        title, job = next(((t, s) for t, s in now.items() if s.state is JobState.RUNNING), (next(iter(drawn)), None))
        fraction = 0.0 if job is None else job.fraction
        left = "" if job is None or job.remaining_s is None else f", about {job.remaining_s:.0f} s left"
        waiting = sum(one.state is JobState.QUEUED for one in now.values())
        queued = f"; {waiting} more queued" if waiting else ""
        bar, button = st.columns([5, 1], vertical_alignment="center")
        bar.progress(fraction, text=f"{plain(title)} {fraction:.0%}{left}{queued}")
        button.button(
            "Cancel", key=f"cancel-{key}", icon=":material/stop_circle:", on_click=_cancel_each,
            args=(tuple(mine.values()),), width="stretch",
        )  # fmt: skip

    with st.container():
        strip()
    return True


def _find_active(mine: Mapping[str, str], owner: str) -> dict[str, Snapshot]:
    found = {title: jobs().get(job, owner=owner) for title, job in mine.items()}
    return {title: one for title, one in found.items() if one is not None and one.is_active}


def _cancel_each(ids: tuple[str, ...]) -> None:
    for job in ids:
        cancel_job(job)
