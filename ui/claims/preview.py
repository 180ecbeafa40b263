"""The preregistration of a claim as a person would read it, before it is locked."""

from __future__ import annotations

from dataclasses import dataclass

from audit_core import Claim, format_components
from audit_core.claim import Role
from audit_core.governance import Policy
from audit_core.judging import plan_sample_size
from audit_core.prompts import PromptSet, describe_split_rule, is_exploratory

WAYS = {"resample": "the other prompt's values", "mean": "their mean", "zero": "zero"}


@dataclass(frozen=True)
class SplitCounts:
    """Size of the two splits of a prompt set."""

    explored: int
    tested: int
    templates: int
    """Templates of the test split."""
    shared: int
    """Of these, those that the other split has too."""
    rule: str
    """What decides the split of a prompt."""


def count_splits(prompts: PromptSet) -> SplitCounts:
    """Count the prompts of each split, without a model."""
    tested = [prompt for prompt in prompts.prompts if not is_exploratory(prompt)]
    templates = {prompt.template for prompt in tested}
    explored = {prompt.template for prompt in prompts.prompts if is_exploratory(prompt)}
    return SplitCounts(
        len(prompts) - len(tested), len(tested), len(templates), len(templates & explored), describe_split_rule(prompts)
    )


def describe_splits(counts: SplitCounts) -> str:
    """What each split is for, and which rule makes it."""
    scope = (
        f"The verdict will be for these templates only: {counts.shared} of them are in both splits."
        if counts.shared
        else "None of these templates is used to explore."
    )
    return (
        f"{counts.explored + counts.tested} pairs: {counts.explored} to explore, {counts.tested} to test "
        f"in {counts.templates} templates. {counts.rule} {scope}"
    )


def describe_size(claim: Claim, counts: SplitCounts, policy: Policy) -> tuple[str, bool]:
    """How many prompts the threshold needs and what the set has; and whether that is enough."""
    size = plan_sample_size(claim.role, claim.delta, prompts=counts.tested, templates=counts.templates)
    if size is None:
        return "No number of prompts can settle this threshold with this set.", False
    found = (
        f"Estimate: to tell {size.distinguished}, a test needs about {size.needed_prompts} prompts "
        f"in {size.needed_templates} templates. This set has {size.prompts} in {size.templates}."
    )
    least = find_policy_minimum(policy, claim.role)
    asked = f" The policy {policy.id} asks for {least} prompts." if least > counts.tested else ""
    return found + asked, size.is_enough


def find_policy_minimum(policy: Policy, role: Role) -> int:
    """Prompts that the policy asks for in the criterion about the claim's own effect."""
    metric = {Role.NECESSARY: "necessity_drop", Role.SUFFICIENT: "faithfulness_ld"}[role]
    rows = policy.resolved()["criteria"].values()
    return max((int(row.get("min_n") or 0) for row in rows if row.get("metric") == metric), default=0)


def preview_claim(claim: Claim, counts: SplitCounts, *, model: str, prompts: str, questions: tuple[str, ...], owner: str, policy: str) -> tuple[tuple[str, str], ...]:  # fmt: skip
    """The plan as questions and answers."""
    parts, delta = format_components(claim.components), f"{claim.delta:.0%}"
    way = WAYS[claim.ablation.value]
    others = ", ".join(name for name in WAYS if name != claim.ablation.value)
    needed = claim.role is Role.NECESSARY
    test = (
        f"{parts} is replaced by {way} on {counts.tested} test prompts. The loss is compared with {delta} of the gap."
        if needed
        else f"All other {claim.universe} are replaced by {way} on {counts.tested} test prompts. What {parts} keeps is compared with {delta} of the gap."
    )
    supported = "more" if needed else "at least that much"
    rules = (
        f"Supported: the whole {1 - claim.alpha:.0%} interval shows {supported}, the other ablations agree ({others}), "
        "and random sets of the same size do less. Negligible or reversed: the interval shows less, or the opposite. Inconclusive: anything else."
    )
    return (
        ("Claim", f"“{claim.name or '…'}”"),
        ("Owner", owner or "not named yet"),
        ("Tested on", f"{model}, {prompts}"),
        ("Test", test),
        ("Verdict", rules),
        ("Further checks", " ".join(questions) or "none"),
        ("Policy", policy),
        ("Fixed by locking", "this text, the exact model, prompts, policy and code. Every attempt is disclosed."),
    )
