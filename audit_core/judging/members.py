"""Members of a set: what each component of a claim contributes, because an idle one is not necessary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.claim import DEFAULT_DELTA, Claim, Role
from audit_core.component import Component
from audit_core.effect import Effect
from audit_core.intervention import Intervention, intervene
from audit_core.judging.faithfulness import UNIT, CircuitEffect, replace_rest
from audit_core.stats.bootstrap import bootstrap_ratio
from audit_core.stats.estimates import Estimate
from audit_core.subject import Subject

MOST_MEMBERS = 24
"""Maximum members that are tested one by one: two runs each."""
CARRIES, IDLE, OPEN = "carries", "idle", "open"


@dataclass(frozen=True)
class Member:
    """One component of a set, alone and as part of the set."""

    component: str
    alone: Estimate
    """Effect of the set that contains only this member; fraction of the clean – empty-circuit gap."""
    added: Estimate
    """Effect of the whole set minus that of the set without this member, on the same prompts."""
    part: str
    """`carries`: one of the two intervals lies above the smallest effect of interest; `idle`: both lie within it, in
    either direction; `open`: neither."""


def can_test_members(claim: Claim) -> bool:
    """Whether the members of a claim are tested: a set of at most `MOST_MEMBERS`."""
    return 1 < len(claim.components) <= MOST_MEMBERS


def plan_members(subject: Subject, claim: Claim) -> tuple[Intervention, ...]:
    """Two runs of each member: the set of it alone, and the set without it."""

    def judge_set(kept: Sequence[Component]) -> Intervention:
        if claim.role is Role.NECESSARY:
            return intervene(kept, claim.ablation)
        return replace_rest(subject, kept, claim.universe, claim.ablation)

    alone = [judge_set([part]) for part in claim.components]
    without = [judge_set([other for other in claim.components if other != part]) for part in claim.components]
    return (*alone, *without)


def read_members(effect: Effect, claim: Claim, whole: CircuitEffect, *, seed: int) -> tuple[Member, ...]:
    """Contribution of each member, from the runs of `plan_members`.

    Args:
        effect: effect of those interventions, in their order.
        whole: the claim's own ablation on the same prompts.

    Returns:
        Members in the order of the claim; intervals are Bonferroni-corrected for their number.

    Raises:
        NotMeasured: the sign of the gap differs between templates.

    Source: leave-one-out and leave-one-in of a coalition; Wang et al. 2022, arXiv:2211.00593, section 4 (minimality).
    """
    n = len(claim.components)
    runs = np.asarray(effect.patched)
    necessary = claim.role is Role.NECESSARY
    gap, judged = whole.clean - whole.empty, whole.without if necessary else whole.alone
    sign = -1.0 if necessary else 1.0
    start = whole.clean if necessary else whole.empty
    least = claim.delta if necessary else DEFAULT_DELTA[Role.NECESSARY.value]

    def estimate(values: NDArray[np.float64], level: float) -> Estimate:
        return bootstrap_ratio(values, gap, whole.clusters, unit=UNIT, seed=seed, level=level)

    members = []
    for part, alone, without in zip(claim.components, runs[:n], runs[n:], strict=True):
        changes = sign * (alone - start), sign * (judged - without)
        wide = [estimate(change, 1 - claim.alpha / n) for change in changes]
        narrow = [estimate(change, 1 - 2 * claim.alpha / n) for change in changes]
        members.append(Member(str(part), wide[0], wide[1], _name_part(wide, narrow, least)))
    return tuple(members)


def _name_part(wide: Sequence[Estimate], narrow: Sequence[Estimate], least: float) -> str:
    if any(found.low is not None and found.low > least for found in wide):
        return CARRIES
    is_small = [
        found.low is not None and found.high is not None and -least < found.low and found.high < least
        for found in narrow
    ]
    return IDLE if all(is_small) else OPEN


def describe_members(members: Sequence[Member]) -> str:
    """Which members carry a set, in one sentence; empty without members."""
    by_part = {part: [m.component for m in members if m.part == part] for part in (CARRIES, IDLE, OPEN)}
    texts = {
        CARRIES: "Carried by {}",
        IDLE: "{} add nothing above the smallest effect of interest, alone or in the set",
        OPEN: "undecided for {}",
    }
    if len(by_part[IDLE]) == 1:
        texts[IDLE] = texts[IDLE].replace("add", "adds")
    found = [texts[part].format(", ".join(names)) for part, names in by_part.items() if names]
    sentence = "; ".join(found)
    return f"{sentence[:1].upper()}{sentence[1:]}." if found else ""
