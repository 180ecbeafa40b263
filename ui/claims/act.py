"""Changing and withdrawing claims: checks the permission of the signed-in user, and logs a refusal."""

from __future__ import annotations

from dataclasses import dataclass, replace

from audit_core import audit_home
from audit_core.confirm import describe_sought
from audit_core.governance import Permission
from audit_core.policy_choice import load_policy_choice
from audit_core.preregistration import ChangeKind, Preregistration
from audit_core.store import Register, keep_policy_in_force, load_kept_prompts
from ui.flow import sample, services


@dataclass(frozen=True)
class PlanChange:
    """New values of a locked plan; None leaves a value as it is."""

    delta: float | None = None
    """Smallest effect that matters, as a share of the gap."""
    questions: tuple[str, ...] | None = None
    policy: str | None = None
    """Key of a policy, as `list_policy_choices` gives it."""


def amend_plan(claim_id: str, change: PlanChange, reason: str, kind: ChangeKind, name: str) -> Preregistration:
    """Lock the next version of a plan in the signed-in user's name.

    Args:
        name: the author without sign-in.
    """
    sample.refuse_on_sample("no plan was changed")
    person = services.authorize(Permission.AMEND, claim_id)
    home = audit_home()
    register = Register(home)
    known = register.find(claim_id)
    pins = known.plan.pins
    if change.policy is not None:
        policy = load_policy_choice(home, change.policy)
        keep_policy_in_force(policy, home=home)
        pins = replace(pins, policy_sha256=policy.sha256)

    def apply(plan: Preregistration) -> Preregistration:
        claim = plan.claim if change.delta is None else replace(plan.claim, delta=change.delta)
        questions = plan.questions if change.questions is None else change.questions
        return replace(plan, claim=claim, pins=pins, questions=questions)

    return register.amend(
        claim_id, apply, by=services.name_author(person, name), reason=reason, kind=kind,
        sought=describe_sought(load_kept_prompts(known.prompts), pins.prompts_sha256),
    )  # fmt: skip


def withdraw_claim(claim_id: str, reason: str, name: str) -> None:
    """Withdraw a claim in the signed-in user's name; see `amend_plan`."""
    sample.refuse_on_sample("no claim was withdrawn")
    person = services.authorize(Permission.WITHDRAW, claim_id)
    Register(audit_home()).withdraw(claim_id, by=services.name_author(person, name), reason=reason)
