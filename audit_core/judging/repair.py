"""Self-repair: direct effect of a component, and backup components that compensate for its ablation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit_core.component import Component, Kind
from audit_core.effect import Effect
from audit_core.errors import NotMeasured
from audit_core.intervention import Edit, Intervention, Replacement, intervene
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.subject import Subject

REPAIR_UNIT = "fraction of the direct effect"
MOST_PROMPTS = 24
"""Maximum prompts: two runs per later component on all prompts would cost more than the claim itself."""
SHOWN = 5


@dataclass(frozen=True)
class Backup:
    """A component whose effect grows when the tested component is ablated."""

    component: str
    growth: Estimate
    """Interaction, in the metric's unit: g = E(P ∪ u) − E(P) − E(u), both ablated minus each alone."""


@dataclass(frozen=True)
class Repair:
    """Total and direct effect of zero-ablating a single component, and its backups."""

    total: Estimate
    """Total effect: loss of the metric with everything downstream recomputed."""
    direct: Estimate
    """Direct effect: loss with everything downstream frozen at its clean output."""
    repaired: Estimate | None
    """1 − total / direct; None if the direct effect is too small or its sign is uncertain."""
    backups: tuple[Backup, ...]
    """Components whose growth exceeds the smallest effect of interest over its whole interval, corrected for the number
    tested; largest first."""
    n_later: int
    """Components tested as backups: those that read its output, and those beside it in its layer."""
    is_searched: bool
    """Whether they were tested as backups; skipped if the loss is large and not compensated."""


def plan_direct(subject: Subject, part: Component) -> tuple[Intervention, ...]:
    """Ablate the component, and ablate it with all later components frozen."""
    gone = Edit(part, Replacement.ZERO)
    frozen = [Edit(other, Replacement.IDENTITY) for other in list_later(subject, part)]
    return Intervention((gone,)), Intervention((gone, *frozen))


def plan_backups(subject: Subject, part: Component) -> tuple[Intervention, ...]:
    """Ablate the component, then each of `list_candidates`, alone and with it."""
    others = list_candidates(subject, part)
    alone = [intervene([other], Replacement.ZERO) for other in others]
    both = [intervene([part, other], Replacement.ZERO) for other in others]
    return intervene([part], Replacement.ZERO), *alone, *both


def list_candidates(subject: Subject, part: Component) -> tuple[Component, ...]:
    """Components tested as backups: those that read its output, and those beside it, which may do the same work."""
    beside = (c for c in subject.components(part.kind) if c.layer == part.layer and c != part)
    return (*(beside if part.kind in (Kind.HEAD, Kind.EXPERT) else ()), *list_later(subject, part))


def list_later(subject: Subject, part: Component) -> tuple[Component, ...]:
    """Heads and MLPs that read the output of this component."""
    # A feature is a share of what enters its layer: heads and MLP there read it. In sequential blocks the MLP of a head's own
    # layer reads it too.
    is_feature = part.kind is Kind.FEATURE
    first_head = part.layer if is_feature else part.layer + 1
    first_mlp = part.layer if is_feature or part.kind is Kind.HEAD else part.layer + 1
    heads = (c for c in subject.components(Kind.HEAD) if c.layer >= first_head)
    mlps = (c for c in subject.components(Kind.MLP) if c.layer >= first_mlp)
    return (*heads, *mlps)


def read_direct(effect: Effect, n_candidates: int, *, least: float, seed: int) -> Repair:
    """Total effect, direct effect and repair from the runs of `plan_direct`.

    Args:
        effect: effect of those interventions, in their order.
            least: smallest effect of interest, in the metric's unit.
    """
    clusters, unit = effect.prompts.templates, effect.unit
    total, direct = effect.support
    repaired = None
    if abs(direct.mean()) > least:
        try:
            repaired = bootstrap_ratio(direct - total, direct, clusters, unit=REPAIR_UNIT, seed=seed)
        except NotMeasured:
            # The sign of the direct effect differs between templates: no share can be taken of it.
            repaired = None
    return Repair(
        bootstrap_mean(total, clusters, unit=unit, seed=seed),
        bootstrap_mean(direct, clusters, unit=unit, seed=seed),
        repaired,
        (),
        n_candidates,
        False,
    )


def needs_search(repair: Repair, *, least: float) -> bool:
    """Whether to test for backups: the loss may be small, or is smaller than the direct effect."""
    is_large = repair.total.low is not None and repair.total.low > least
    return repair.n_later > 0 and (not is_large or repair.direct.value - repair.total.value > least)


def read_backups(effect: Effect, found: Repair, candidates: Sequence[Component], *, least: float, seed: int) -> Repair:
    """Backups, from the runs of `plan_backups`.

    Args:
        effect: effect of those interventions, in their order.
        found: result of `read_direct`; a backup acts in the direction of the loss.
        candidates: the tested components.
            least: smallest effect of interest, in the metric's unit.

        Source: McGrath et al. 2023, arXiv:2307.15771; Rushing and Nanda 2024, arXiv:2402.15390.
    """
    n, lost = len(candidates), found.direct if abs(found.direct.value) > least else found.total
    gone, alone, both = effect.support[0], effect.support[1 : 1 + n], effect.support[1 + n :]
    backups = []
    for part, growth in zip(candidates, both - gone - alone, strict=True):
        estimate = bootstrap_mean(
            growth, effect.prompts.templates, unit=effect.unit, seed=seed, level=1 - (1 - LEVEL) / n
        )
        if estimate.low is None or estimate.high is None:
            continue
        if estimate.low > least if lost.value > 0 else estimate.high < -least:
            backups.append(Backup(str(part), estimate))
    backups.sort(key=lambda backup: -abs(backup.growth.value))
    return replace(found, backups=tuple(backups[:SHOWN]), is_searched=True)
