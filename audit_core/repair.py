"""Self-repair: what a component does by itself, and which other parts step in when it is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from audit_core.component import Component, Kind
from audit_core.effect import Effect
from audit_core.errors import NotMeasured
from audit_core.intervention import Edit, Intervention, Replacement, intervene
from audit_core.prompts import TokenisedPrompts
from audit_core.statistics import Estimate, bootstrap_mean, bootstrap_ratio
from audit_core.subject import Subject

REPAIR_UNIT = "fraction of the direct effect"
MOST_PROMPTS = 24
"""Two runs per later component: on all prompts of a set they would cost more than the claim itself."""
SHOWN = 5


@dataclass(frozen=True)
class Backup:
    """A part that does more once the component is gone."""

    component: str
    growth: Estimate
    """Effect of both gone − effects of each gone alone, in the metric's unit: g = E(P ∪ u) − E(P) − E(u)."""


@dataclass(frozen=True)
class Repair:
    """A single component set to zero, with the rest of the model allowed to react and not."""

    total: Estimate
    """Loss of the metric with everything downstream recomputed."""
    direct: Estimate
    """Loss with everything downstream frozen at its clean output."""
    repaired: Estimate | None
    """1 − total / direct; None where the direct effect is too small, or of unsure sign, to be divided by."""
    backups: tuple[Backup, ...]
    """Parts whose growth is above the smallest effect of interest over its whole interval, largest first."""
    n_others: int
    """Later parts that were tried as backups; none where the loss is neither small nor made up for."""


def plan_direct(subject: Subject, part: Component) -> tuple[Intervention, ...]:
    """The component gone, and gone with all later parts frozen."""
    gone = Edit(part, Replacement.ZERO)
    frozen = [Edit(other, Replacement.IDENTITY) for other in list_later(subject, part)]
    return Intervention((gone,)), Intervention((gone, *frozen))


def plan_backups(subject: Subject, part: Component) -> tuple[Intervention, ...]:
    """The component gone, then each later part, alone and with it."""
    later = list_later(subject, part)
    alone = [intervene([other], Replacement.ZERO) for other in later]
    both = [intervene([part, other], Replacement.ZERO) for other in later]
    return intervene([part], Replacement.ZERO), *alone, *both


def list_later(subject: Subject, part: Component) -> tuple[Component, ...]:
    """Heads and MLPs that read what this component writes."""
    heads = (c for c in subject.components(Kind.HEAD) if c.layer > part.layer)
    # A head's own layer's MLP reads it too, where the two are not computed side by side.
    first = part.layer if part.kind is Kind.HEAD else part.layer + 1
    mlps = (c for c in subject.components(Kind.MLP) if c.layer >= first)
    return (*heads, *mlps)


def spread(prompts: TokenisedPrompts, most: int = MOST_PROMPTS) -> TokenisedPrompts:
    """Some of the prompts, as evenly over the templates as they allow."""
    order: dict[int, int] = {}
    seen: dict[str, int] = {}
    for at, name in enumerate(prompts.templates):
        order[at] = seen[name] = seen.get(name, -1) + 1
    chosen = sorted(sorted(order, key=lambda at: (order[at], at))[:most])
    return replace(prompts, pairs=tuple(prompts.pairs[at] for at in chosen))


def read_direct(effect: Effect, *, least: float, seed: int) -> Repair:
    """What the runs of `plan_direct` say.

    Args:
        effect: of those interventions, in their order.
        least: smallest effect of interest, in the metric's unit.
    """
    clusters, unit = effect.prompts.templates, effect.unit
    total, direct = effect.support
    repaired = None
    if abs(direct.mean()) > least:
        try:
            repaired = bootstrap_ratio(direct - total, direct, clusters, unit=REPAIR_UNIT, seed=seed)
        except NotMeasured:
            # The direct effect changes its sign from template to template: there is nothing to take a share of.
            repaired = None
    return Repair(
        bootstrap_mean(total, clusters, unit=unit, seed=seed),
        bootstrap_mean(direct, clusters, unit=unit, seed=seed),
        repaired,
        (),
        0,
    )


def needs_search(repair: Repair, *, least: float) -> bool:
    """Whether others may have stepped in: the loss may be small, or is smaller than without them."""
    is_large = repair.total.low is not None and repair.total.low > least
    return not is_large or repair.direct.value - repair.total.value > least


def read_backups(effect: Effect, later: Sequence[Component], *, least: float, seed: int) -> tuple[Backup, ...]:
    """What the runs of `plan_backups` say, largest growth first.

    Args:
        effect: of those interventions, in their order.
        later: the parts tried.
        least: smallest effect of interest, in the metric's unit.

    Source: McGrath et al. 2023, arXiv:2307.15771; Rushing and Nanda 2024, arXiv:2402.15390.
    """
    n = len(later)
    gone, alone, both = effect.support[0], effect.support[1 : 1 + n], effect.support[1 + n :]
    backups = []
    for part, growth in zip(later, both - gone - alone, strict=True):
        estimate = bootstrap_mean(growth, effect.prompts.templates, unit=effect.unit, seed=seed)
        if estimate.low is not None and estimate.low > least:
            backups.append(Backup(str(part), estimate))
    return tuple(sorted(backups, key=lambda backup: -backup.growth.value)[:SHOWN])
