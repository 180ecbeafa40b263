"""Edits of the label's subspace: fitted on other templates, run on held-out ones, against random subspaces of equal rank."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audit_core.component import Component, resid
from audit_core.controls import Controls, join_controls
from audit_core.effect import Effect, get_metric, measure_effect
from audit_core.errors import ControlFailed
from audit_core.intervention import Edit, Intervention, Replacement
from audit_core.probes.erasure import Activity, Subspace
from audit_core.probes.linear import Array, Folds
from audit_core.probes.results import Position, ProbesRequest
from audit_core.probes.texts import find_difference
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Progress, Subject

FIXED = 4
"""Runs of a site beside the random ones: erased, swapped, the whole activation, and the label's own value."""


@dataclass(frozen=True)
class Site:
    """One layer at one position."""

    layer: int
    position: Position


@dataclass(frozen=True, eq=False)
class SiteFit:
    """Subspaces of a site for the texts of one fold, fitted on the texts of all others."""

    label: Subspace
    random: tuple[Subspace, ...]


@dataclass(frozen=True)
class EditGroup:
    """Pairs that are edited together: of one fold, at one token position."""

    fold: int
    position: Position
    at: int
    rows: tuple[int, ...]
    """Places among the edited pairs."""


@dataclass(frozen=True, eq=False)
class SiteRuns:
    """Losses of the lead at one site, in logits; shapes (pair,) and (draw, pair)."""

    erased: Array
    swapped: Array
    whole: Array
    erased_random: Array
    swapped_random: Array


@dataclass(frozen=True, eq=False)
class AllRuns:
    """All edits of a request."""

    lead: Array
    """Logit of the answer minus that of the foil, unedited; shape (pair,)."""
    sites: dict[Site, SiteRuns]
    self_swap: float
    """Largest change, in logits, by the label's own value."""
    controls: Controls


def fit_site(x: Array, is_second: NDArray[np.bool_], folds: Folds, n_draws: int, *, seed: int) -> tuple[SiteFit, ...]:
    """Subspaces for each fold.

    Raises:
        NotMeasured: the activations are the same under both labels.
    """
    found = []
    for fold in np.unique(folds):
        train = folds != fold
        activity = Activity(x[train])
        draw = np.random.default_rng([seed, int(fold)])
        random = tuple(activity.draw_direction(draw) for _ in range(n_draws))
        found.append(SiteFit(activity.fit_label(is_second[train]), random))
    return tuple(found)


def group_pairs(prompts: TokenisedPrompts, positions: Sequence[Position], folds: Folds) -> tuple[EditGroup, ...]:
    """Pairs that can be edited together.

    Args:
        folds: fold of each pair, shape (pair,).
    """
    found: dict[tuple[int, Position, int], list[int]] = {}
    for row, pair in enumerate(prompts.pairs):
        for position in positions:
            at = -1 if position is Position.LAST else find_difference(pair)
            found.setdefault((int(folds[row]), position, at), []).append(row)
    return tuple(EditGroup(fold, position, at, tuple(rows)) for (fold, position, at), rows in sorted(found.items()))


def count_edits(
    subject: Subject, prompts: TokenisedPrompts, groups: Sequence[EditGroup], layers: Sequence[int], n_draws: int
) -> list[int]:
    """Units of work of each group."""
    counted = []
    for group in groups:
        one = [Intervention((Edit(resid(layer, group.at), Replacement.RESAMPLE),)) for layer in layers]
        counted.append(subject.count_work(prompts.take(group.rows), one * (FIXED + 2 * n_draws)))
    return counted


def run_edits(
    subject: Subject,
    request: ProbesRequest,
    prompts: TokenisedPrompts,
    groups: Sequence[EditGroup],
    fits: dict[Site, tuple[SiteFit, ...]],
    on_progress: Progress,
) -> AllRuns:
    """Run every edit on the pairs of its fold.

    Args:
        prompts: the edited pairs.
        fits: subspaces per site, by fold.

    Raises:
        ControlFailed: an edit was not applied, or a label's own value changed a logit.
    """
    layers = sorted({site.layer for site in fits})
    work = count_edits(subject, prompts, groups, layers, request.draws)
    n, lead, own = len(prompts), np.full(len(prompts), np.nan), 0.0
    sites = {site: _empty(n, request.draws) for site in fits}
    controls: list[Controls] = []
    for step, group in enumerate(groups):
        mine = [site for site in fits if site.position is group.position]
        asked = [edit for site in mine for edit in _list_edits(site, group, fits[site][group.fold])]
        before, size = sum(work[:step]), work[step]

        def advance(done: int, total: int, before: int = before, size: int = size) -> None:
            on_progress(before + size * done // max(1, total), sum(work))

        effect = measure_effect(
            subject,
            prompts.take(group.rows),
            asked,
            get_metric("logit_difference"),
            seed=request.seed,
            on_progress=advance,
        )
        lead[list(group.rows)] = effect.clean
        controls.append(effect.controls)
        for number, site in enumerate(mine):
            own = max(own, _store(sites[site], effect, number * (FIXED + 2 * request.draws), group, request.draws))
    if not own <= subject.tolerance:
        raise ControlFailed(f"Replacing a label's coordinate by its own value changed a logit by {own:.3g}.")
    return AllRuns(lead, sites, own, join_controls(controls))


def _list_edits(site: Site, group: EditGroup, fit: SiteFit) -> list[Intervention]:
    """Erased, swapped, whole, own value; then random subspaces erased, then swapped."""
    at: Component = resid(site.layer, group.at)
    edits = [
        fit.label.edit(at, Replacement.SET), fit.label.edit(at, Replacement.RESAMPLE), Edit(at, Replacement.RESAMPLE),
        fit.label.edit(at, Replacement.IDENTITY),
        *(one.edit(at, Replacement.SET) for one in fit.random), *(one.edit(at, Replacement.RESAMPLE) for one in fit.random),
    ]  # fmt: skip
    return [Intervention((edit,)) for edit in edits]


def _store(runs: SiteRuns, effect: Effect, first: int, group: EditGroup, draws: int) -> float:
    """Put the losses of one site and group in their places; returns the largest change by the label's own value."""
    lost, rows = effect.support[first : first + FIXED + 2 * draws], list(group.rows)
    runs.erased[rows], runs.swapped[rows], runs.whole[rows] = lost[:3]
    runs.erased_random[:, rows] = lost[FIXED : FIXED + draws]
    runs.swapped_random[:, rows] = lost[FIXED + draws :]
    return float(np.abs(lost[3]).max())


def _empty(n: int, draws: int) -> SiteRuns:
    one, many = np.full(n, np.nan), np.full((draws, n), np.nan)
    return SiteRuns(one.copy(), one.copy(), one.copy(), many.copy(), many.copy())
