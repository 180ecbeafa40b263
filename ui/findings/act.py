"""Actions on findings; each checks the permission of the signed-in user, and logs a refusal."""

from __future__ import annotations

from collections.abc import Mapping

from audit_core import audit_home
from audit_core.findings import find_rules
from audit_core.governance import Permission
from audit_core.store import FindingDraft, FindingEdit, FindingRegister, RegisteredFinding
from ui.flow import sample, services

STEPS: Mapping[str, Permission] = {
    "close": Permission.CLOSE_FINDING,
    "accept": Permission.ACCEPT_FINDING,
    "reopen": Permission.RECORD_FINDING,
}
"""Step that needs only a reason → permission it needs."""


def record_finding(draft: FindingDraft, name: str) -> RegisteredFinding:
    """Record a finding in the signed-in user's name.

    Args:
        name: the author without sign-in.
    """
    sample.refuse_on_sample("no finding was recorded")
    person = services.authorize(Permission.RECORD_FINDING, ", ".join(draft.claims) or "a finding")
    home = audit_home()
    return FindingRegister(home).record(draft, find_rules(home, draft.claims), by=services.name_author(person, name))


def change_finding(finding_id: str, based_on: int, edit: FindingEdit, reason: str, name: str) -> RegisteredFinding:
    """Change fields of a finding; see `record_finding`."""
    sample.refuse_on_sample("no finding was changed")
    person = services.authorize(Permission.CHANGE_FINDING, finding_id)
    register = FindingRegister(audit_home())
    rules = find_rules(audit_home(), register.find(finding_id).claims)
    return register.change(
        finding_id, edit, rules, based_on=based_on, by=services.name_author(person, name), reason=reason
    )


def take_step(step: str, finding_id: str, based_on: int, reason: str, name: str) -> RegisteredFinding:
    """Close, accept or reopen a finding; see `record_finding`."""
    sample.refuse_on_sample("no finding was changed")
    person = services.authorize(STEPS[step], finding_id)
    register, by = FindingRegister(audit_home()), services.name_author(person, name)
    if step == "reopen":
        return register.reopen(finding_id, based_on=based_on, by=by, reason=reason)
    act = register.close if step == "close" else register.accept
    return act(finding_id, based_on=based_on, by=by, reason=reason, names=(by if person.is_local else person.name,))
