"""Saving and retiring a policy: checks the permission of the signed-in user, and logs a refusal."""

from __future__ import annotations

from audit_core import audit_home
from audit_core.governance import Permission, Policy
from audit_core.policy_choice import save_own_policy
from audit_core.store import SavedPolicy
from audit_core.store import retire_policy as store_retirement
from ui.flow import services


def save_policy(policy: Policy, based_on: str, reason: str, name: str) -> SavedPolicy:
    """Save a version in the signed-in user's name.

    Args:
        based_on: digest of the version that it changes; empty for a new id.
        name: the author without sign-in.
    """
    person = services.authorize(Permission.SET_POLICY, policy.id)
    by = services.name_author(person, name)
    return save_own_policy(audit_home(), policy, based_on=based_on, reason=reason, by=by)


def retire_policy(saved: SavedPolicy, reason: str, name: str) -> SavedPolicy:
    """Take a version out of force in the signed-in user's name; see `save_policy`."""
    person = services.authorize(Permission.SET_POLICY, saved.policy_id)
    return store_retirement(audit_home(), saved.sha256, reason=reason, by=services.name_author(person, name))
