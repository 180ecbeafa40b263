"""The common trial: all methods on the same prompts, their orders measured, their scores checked. Numbers only, no grade."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from audit_core.capability import RANDOMISABLE
from audit_core.component import resid
from audit_core.controls import Controls
from audit_core.effect import Effect, check_task, get_metric, measure_effect
from audit_core.errors import ModelRefused, NotMeasured, Refused
from audit_core.explanations.classes import UnitClass, measure_classes
from audit_core.explanations.curves import Curves, draw_orders, measure_curves, order_by
from audit_core.explanations.method import SANITY_OF_COSTLY, Array, AttributionMethod, Scores, Task, make_task
from audit_core.explanations.nearby import MOST_CHANGE, Nearby, find_neighbours
from audit_core.explanations.replacing import Without
from audit_core.explanations.units import UnitKind
from audit_core.explanations.values import METRIC, InputValues
from audit_core.intervention import Replacement, intervene
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.subject import Progress, Subject

SANITY_PROMPTS = 20
"""Prompts on which scores are computed again: on randomised weights, and under other seeds."""
OTHER_SEEDS = 2
NEARBY_PROMPTS = 10
"""Prompts whose neighbours are scored."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Everything that was measured about the methods."""

    task: Task
    """What the methods were given."""
    effect: Effect
    """The prompts as they are, and with every unit replaced."""
    methods: Mapping[str, AttributionMethod]
    """Those that gave scores."""
    scores: Mapping[str, Scores]
    curves: Mapping[Without, Mapping[str, Curves]]
    """Per method; measured with other tokens than the methods were given."""
    random: Mapping[Without, tuple[Curves, ...]]
    randomised: Mapping[str, Scores]
    """Scores of the first of `sane` prompts on randomised weights; empty if the weights cannot be randomised."""
    repeated: Mapping[str, tuple[Scores, ...]]
    """Scores under other seeds, of methods that depend on one."""
    sane: tuple[int, ...]
    """Rows of the prompts that scores were computed again on."""
    nearby: Nearby
    """Prompts that differ in one unit and keep their answer, scored by the same methods; rows are those of the trial."""
    classes: Mapping[UnitClass, Array]
    """Loss when all units of a class are replaced together, with other tokens than the methods were given; shape (prompt,)."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """What was not measured, and why."""

    @property
    def controls(self) -> Controls:
        return self.effect.controls


def run_trial(
    subject: Subject,
    prompts: TokenisedPrompts,
    pool: TokenisedPrompts,
    units: UnitKind,
    methods: Mapping[str, AttributionMethod],
    *,
    seed: int,
    steps: Iterator[Progress],
) -> Trial:
    """Score, measure and check.

    Args:
        pool: prompts that other tokens are taken from.
        steps: one progress callback each for scores, replaced curves, removed curves, the three checks, and classes of units.

    Raises:
        NotMeasured: the model does not do the task, or replacing every unit changes nothing.
        ControlFailed: an edit was not applied.
    """
    task = make_task(subject, prompts, pool, units, seed=seed)
    # Other tokens than the methods saw: a method that measured this very draw would only be asked to remember it.
    judged = replace(make_task(subject, prompts, pool, units, seed=seed + 1), values=InputValues(subject))
    effect = _measure_floor(judged, seed=seed)
    check_task(effect)
    able, missing = _choose_able(subject, methods)
    scores, refused = _score(able, replace(task, on_progress=next(steps)), seed=seed)
    orders = {name: order_by(found, seed=seed) for name, found in scores.items()}
    drawn = draw_orders([len(each) for each in task.units], seed=seed)
    everything = orders | {f"random {at}": order for at, order in enumerate(drawn)}
    curves = {without: measure_curves(judged, everything, without, on_progress=next(steps)) for without in Without}
    sane = prompts.spread(SANITY_PROMPTS)
    randomised, why = _score_randomised(able, task.take(sane), scores, seed=seed, on_progress=next(steps))
    repeated = _repeat(able, subject, prompts.take(sane), pool, units, scores, seed=seed, on_progress=next(steps))
    most = MOST_CHANGE * abs(float((effect.clean - effect.corrupted).mean()))
    near = find_neighbours(task.take(sane), judged.take(sane), most=most, n_prompts=NEARBY_PROMPTS)
    nearby = _score_nearby(able, near, sane, scores, seed=seed, on_progress=next(steps))
    classes = measure_classes(replace(judged, on_progress=next(steps)))
    return Trial(
        task,
        effect,
        {name: able[name] for name in scores},
        scores,
        {without: {name: found[name] for name in scores} for without, found in curves.items()},
        {without: tuple(found[name] for name in found if name not in scores) for without, found in curves.items()},
        randomised,
        repeated,
        sane,
        nearby,
        classes,
        {**missing, **refused, **why},
    )


def _measure_floor(task: Task, *, seed: int) -> Effect:
    """The prompts, and the same with the donor's tokens everywhere, read by the hooks as well as by the text."""
    pairs = tuple(
        replace(pair, corrupted_ids=tuple(donor[at] if at in changed else token for at, token in enumerate(pair.clean_ids)))
        for pair, donor, units in zip(task.prompts.pairs, task.donors, task.units, strict=True)
        for changed in [{at for unit in units for at in unit.positions}]
    )  # fmt: skip
    prompts = replace(task.prompts, pairs=pairs)
    return measure_effect(
        task.subject, prompts, (intervene([resid(0)], Replacement.RESAMPLE),), get_metric(METRIC), seed=seed
    )


def _choose_able(
    subject: Subject, methods: Mapping[str, AttributionMethod]
) -> tuple[dict[str, AttributionMethod], dict[str, str]]:
    """Methods that this subject can be asked, and why not the others."""
    why = {
        name: " ".join(text for demand in method.demands if (text := demand.explain_missing(subject)))
        for name, method in methods.items()
    }
    return (
        {name: method for name, method in methods.items() if not why[name]},
        {methods[name].title: text for name, text in why.items() if text},
    )


def _score(
    methods: Mapping[str, AttributionMethod], task: Task, *, seed: int
) -> tuple[dict[str, Scores], dict[str, str]]:
    found, missing = {}, {}
    for at, (name, method) in enumerate(methods.items()):

        def report(done: int, total: int, at: int = at) -> None:
            task.on_progress(at * total + done, len(methods) * total)

        try:
            scores = method.score(replace(task, on_progress=report), seed=seed)
            if all(values is None for values in scores.values):
                raise NotMeasured("control_failed", scores.refusal)
            found[name] = scores
        except (NotMeasured, Refused) as error:
            missing[method.title] = str(error)
    return found, missing


def _score_randomised(
    methods: Mapping[str, AttributionMethod],
    task: Task,
    scores: Mapping[str, Scores],
    *,
    seed: int,
    on_progress: Progress,
) -> tuple[dict[str, Scores], dict[str, str]]:
    """Scores of the same prompts on a copy with all weights randomised; and why not."""
    try:
        other = RANDOMISABLE.of(task.subject).randomised(0, seed=seed)
    except (ModelRefused, Refused) as error:
        on_progress(1, 1)
        return {}, {"Weight randomisation": str(error)}
    task = replace(task, subject=other, values=InputValues(other))

    def report(part: int) -> Progress:
        return lambda done, total: on_progress(part * total + done, 2 * total)

    costly = {name: methods[name] for name in scores if getattr(methods[name], "is_costly", False)}
    cheap = {name: methods[name] for name in scores if name not in costly}
    found, _ = _score(cheap, replace(task, on_progress=report(0)), seed=seed)
    few = task.prompts.spread(SANITY_OF_COSTLY)
    for name, some in _score(costly, replace(task.take(few), on_progress=report(1)), seed=seed)[0].items():
        found[name] = _put_back(some, few, len(task.prompts))
    on_progress(1, 1)
    return {name: found[name] for name in scores if name in found}, {}


def _put_back(some: Scores, rows: tuple[int, ...], n: int) -> Scores:
    """Scores of some of n prompts at their places; None elsewhere, as where a method refuses a prompt."""
    placed = dict(zip(rows, some.values, strict=True))
    return Scores(tuple(placed.get(at) for at in range(n)))


def _score_nearby(
    methods: Mapping[str, AttributionMethod],
    near: tuple[Task, tuple[int, ...], tuple[int, ...]],
    rows: tuple[int, ...],
    scores: Mapping[str, Scores],
    *,
    seed: int,
    on_progress: Progress,
) -> Nearby:
    """Scores of neighbours by the methods that gave scores.

    Args:
        rows: rows of the trial that the neighbours' prompts were found in.
    """
    task, origins, changed = near
    asked = {name: methods[name] for name in scores}
    found = _score(asked, replace(task, on_progress=on_progress), seed=seed)[0] if origins else {}
    on_progress(1, 1)
    return Nearby(task, tuple(rows[at] for at in origins), changed, found)


def _repeat(
    methods: Mapping[str, AttributionMethod],
    subject: Subject,
    prompts: TokenisedPrompts,
    pool: TokenisedPrompts,
    units: UnitKind,
    scores: Mapping[str, Scores],
    *,
    seed: int,
    on_progress: Progress,
) -> dict[str, tuple[Scores, ...]]:
    """Scores under other seeds: other sets of units, and other tokens in their place."""
    asked = {name: methods[name] for name in scores if methods[name].is_random}
    runs = []
    for at in range(OTHER_SEEDS):

        def report(done: int, total: int, at: int = at) -> None:
            on_progress(at * total + done, OTHER_SEEDS * total)

        own = seed + 2 + at
        again = replace(make_task(subject, prompts, pool, units, seed=own), on_progress=report)
        runs.append(_score(asked, again, seed=own)[0])
    on_progress(1, 1)
    return {name: tuple(found[name] for found in runs if name in found) for name in asked}
