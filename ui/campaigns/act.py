"""Actions on campaigns; each checks the permission of the signed-in user, and logs a refusal."""

from __future__ import annotations

from audit_core import audit_home
from audit_core.campaigns import find_campaign
from audit_core.governance import Permission
from ui.flow import services


def cancel_campaign(campaign_id: str) -> bool:
    """Ask the running process to stop; returns whether one runs on this machine."""
    person = services.authorize(Permission.RUN, campaign_id)
    folder = find_campaign(audit_home(), campaign_id)
    folder.request_stop(person.id)
    return folder.is_held()
