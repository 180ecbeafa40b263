"""Actions on campaigns; each checks the permission of the signed-in user, and logs a refusal."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable

from audit_core import audit_home
from audit_core.campaigns import (
    check_sent,
    find_campaign,
    keep_file,
    read_output,
    require_free,
    start_process,
)
from audit_core.errors import Cancelled, Refused
from audit_core.governance import Permission
from audit_core.jobs import Report
from ui.flow import services

_POLL_S = 0.5
_RUNNING: dict[str, subprocess.Popen[bytes]] = {}
"""Processes that this server started, by the id of their campaign."""


def cancel_campaign(campaign_id: str) -> bool:
    """Ask the running process to stop; returns whether one runs on this machine."""
    person = services.authorize(Permission.RUN, campaign_id)
    folder = find_campaign(audit_home(), campaign_id)
    folder.request_stop(person.id)
    return folder.is_held()


def plan_sent(raw: bytes) -> str:
    """Plan a campaign in a process of its own; returns the id of the job that waits for it, whose result is the campaign's id.

    Raises:
        AccessRefused: the user may not run audits.
        Refused: it is no campaign, or names what the menus do not offer.
    """
    services.authorize(Permission.RUN, "campaign")
    check_sent(raw)
    home, actor = audit_home(), services.current_actor()
    path = keep_file(raw, home)

    def work(report: Report) -> str:
        process = start_process("plan", str(path), home, actor)
        return _wait_for(process, report, lambda: read_output(str(path), home))

    return services.submit_work(f"campaign {path.stem}", "Plan the campaign", work, predicted_s=None)


def _wait_for(process: subprocess.Popen[bytes], report: Report, read: Callable[[], str]) -> str:
    """The last line of a process; a cancelled job ends it."""
    try:
        while process.poll() is None:
            report(0, 1)
            time.sleep(_POLL_S)
    except Cancelled:
        process.kill()
        process.wait()
        raise
    if process.returncode:
        raise Refused("The campaign cannot be planned.", wanted="a plan.", remedy=read() or "ask for it again.")
    return read()


def start_campaign(campaign_id: str) -> None:
    """Run a planned campaign, or go on with it, in a process of its own.

    Raises:
        AccessRefused: the user may not run audits.
        Refused: there is none, or a campaign runs.
    """
    services.authorize(Permission.RUN, campaign_id)
    home = audit_home()
    find_campaign(home, campaign_id)
    require_free(home)
    if any(process.poll() is None for process in _RUNNING.values()):
        raise Refused("A campaign is starting.", wanted="one campaign at a time.", remedy="wait, or cancel it.")
    _RUNNING[campaign_id] = process = start_process("run", campaign_id, home, services.current_actor())
    # Waited for, so that no ended process is left in the table of processes.
    threading.Thread(target=process.wait, daemon=True).start()


def is_starting(campaign_id: str) -> bool:
    """Whether its process lives."""
    return campaign_id in _RUNNING and _RUNNING[campaign_id].poll() is None


def read_failure(campaign_id: str) -> str:
    """What its process wrote when it ended with an error; empty if it did not."""
    if campaign_id not in _RUNNING or not _RUNNING[campaign_id].poll():
        return ""
    return read_output(campaign_id, audit_home()) or "The process ended without a word."
