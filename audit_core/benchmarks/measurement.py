"""One run of the benchmark audit: accuracy first, and effects on right items only where the model is above chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from audit_core.benchmarks.prompting import list_donors, read_rule
from audit_core.benchmarks.ranges import RangeKeeper
from audit_core.benchmarks.results import (
    AGAINST,
    CARRIES,
    DELTA,
    NOT_TESTABLE,
    NOTHING,
    UNRESOLVED,
    BenchmarkRequest,
    BenchmarkResult,
    CategoryRow,
    ItemRow,
)
from audit_core.benchmarks.scoring import UNREAD, Margin, Scored, score_items
from audit_core.benchmarks.summary import MIN_SETS, SHARE, Effects, Summary
from audit_core.capability import MEANS
from audit_core.component import Kind
from audit_core.controls import join_controls
from audit_core.effect import Metric, measure_effect
from audit_core.errors import Refused
from audit_core.intervention import CLEAN_RUN, Intervention, Replacement, intervene
from audit_core.judging.null import draw_sets
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.prompts.sequences import list_places
from audit_core.stats.bootstrap import bootstrap_mean
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.stats.shares import wilson
from audit_core.subject import Progress, Subject

Floats = NDArray[np.float64]
_WRITTEN_PASSES = 6
"""Forward passes of a written answer, for the predicted time."""
_MEAN_CHUNK = 8
"""Items whose means are kept at once."""


def count_benchmark_work(subject: Subject, request: BenchmarkRequest) -> int:
    """Units of work if every item were right."""
    return sum(_count_work(subject, request))


def _count_work(subject: Subject, request: BenchmarkRequest) -> tuple[int, int]:
    prompts = request.prompts
    places = list_places(prompts).prompts
    asked = subject.count_work(places, (CLEAN_RUN,))
    if any(not pair.contrast.foils for pair in prompts.pairs):
        rows = replace(prompts, pairs=tuple(replace(pair, contrast=UNREAD) for pair in prompts.pairs))
        asked = _WRITTEN_PASSES * subject.count_work(rows, (CLEAN_RUN,))
    runs = _plan(subject, request)[0]
    few = prompts.take(prompts.spread(request.measured_items))
    effects = subject.count_work(list_places(few).prompts, (CLEAN_RUN, *runs))
    if request.replacement is Replacement.MEAN:
        effects += 4 * asked * len(few) // len(prompts)
    return asked, effects


def _plan(subject: Subject, request: BenchmarkRequest) -> tuple[tuple[Intervention, ...], str]:
    """The components, then each random set, replaced in the same way; and how the sets were drawn."""
    kinds = {part.kind for part in request.components}
    everything = [part for kind in sorted(kinds) for part in subject.components(kind)]
    sets, reach = draw_sets(request.components, everything, seed=request.seed, draws=request.random_sets)
    near = "the same layers" if not reach else f"layers at most {reach} away"
    runs = tuple(intervene(parts, request.replacement) for parts in (request.components, *sets))
    return runs, f"{len(sets)} random sets of the same size and kinds, from {near}, without the components"


def check_request(request: BenchmarkRequest) -> None:
    """Refuse what the audit cannot compare with random sets.

    Raises:
        Refused: no components, other kinds than heads and MLPs, single positions, or too few random sets or items.
    """
    bad = [
        str(part) for part in request.components if part.kind not in (Kind.HEAD, Kind.MLP) or part.position is not None
    ]
    if not request.components or bad:
        raise Refused(
            f"Components {', '.join(bad[:5])}." if bad else "No component.",
            wanted="whole heads and MLPs, such as L9.H6 L10.MLP: random sets are drawn of the same kinds.",
            remedy="name heads or MLPs without a position.",
        )
    if not MIN_SETS <= request.random_sets <= 199 or request.measured_items < 2:
        raise Refused(
            f"{request.random_sets} random sets on {request.measured_items} items.",
            wanted=f"{MIN_SETS} to 199 random sets, on at least 2 items.",
            remedy="change these numbers; 19 sets allow p = 0.05.",
        )


def measure_benchmark(subject: Subject, request: BenchmarkRequest, on_progress: Progress) -> BenchmarkResult:
    """Accuracy on every item, then effects on right items.

    Raises:
        Refused: as `check_request`.
        ControlFailed: an instrument check of the interventions failed.
    """
    check_request(request)
    asked, work = _count_work(subject, request)
    total = asked + work
    scored = score_items(
        subject, request.prompts, read_rule(request.source), lambda share: on_progress(int(asked * share), total)
    )
    right = [at for at, one in enumerate(scored) if one.is_right]
    accuracy = wilson(len(right), len(scored), SHARE)
    chance, chance_is = find_chance(request.prompts)
    why = explain_no_effect(accuracy, len(right), chance)
    if why:
        on_progress(total, total)
        return _report(subject, request, scored, accuracy, chance, chance_is, None, why)

    def advance(done: int, whole: int) -> None:
        on_progress(asked + work * done // max(1, whole), total)

    chosen = [right[at] for at in request.prompts.take(right).spread(request.measured_items)]
    effects = _measure_effects(subject, request, scored, chosen, advance)
    on_progress(total, total)
    return _report(subject, request, scored, accuracy, chance, chance_is, effects, "")


def find_chance(prompts: TokenisedPrompts) -> tuple[float, str]:
    """Accuracy without reading the questions, and what it is."""
    sizes = [len(pair.contrast.answers) + len(pair.contrast.foils) for pair in prompts.pairs]
    if not all(pair.contrast.foils for pair in prompts.pairs):
        return 0.0, "written answers cannot be guessed"
    guess = float(np.mean([len(p.contrast.answers) / n for p, n in zip(prompts.pairs, sizes, strict=True)]))
    labels = {frozenset((*pair.contrast.answers, *pair.contrast.foils)) for pair in prompts.pairs}
    most = max(Counter(pair.contrast.answers[0] for pair in prompts.pairs).values()) / len(prompts)
    if len(labels) == 1 and most > guess:
        return most, "always the most frequent right label"
    return guess, "one of the options at random"


def explain_no_effect(accuracy: Estimate, n_right: int, chance: float) -> str:
    """Why no effect is measured: the model does not do the benchmark; empty if it does."""
    assert accuracy.low is not None
    if n_right == 0:
        return "The model does not do this benchmark: no item is right. No effect was measured."
    if accuracy.low <= chance:
        return (
            f"The model does not do this benchmark: its accuracy of {accuracy.value:.2f} [{accuracy.low:.2f}, "
            f"{accuracy.high:.2f}] is not above chance, {chance:.2f}. No effect was measured."
        )
    if n_right < 2:
        return (
            f"The model does not do this benchmark: one of {accuracy.n} items is right, and effects need at least two. No effect "
            "was measured."
        )
    return ""


def _measure_effects(
    subject: Subject,
    request: BenchmarkRequest,
    scored: Sequence[Scored],
    rows: Sequence[int],
    on_progress: Progress,
) -> Effects:
    runs, _ = _plan(subject, request)
    # Its fields are frozen, as those of every metric.
    metric = cast(Metric, Margin())
    is_mean = request.replacement is Replacement.MEAN

    def take_scored(places: Sequence[int]) -> TokenisedPrompts:
        return replace(request.prompts, pairs=tuple(scored[at].pair for at in places))

    size = _MEAN_CHUNK if is_mean else len(rows)
    found = []
    keeper = RangeKeeper(subject, take_scored(rows), request.components, metric, request.seed)
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        prompts = take_scored(part)
        means = None
        if is_mean:
            tokenizer = subject.tokenizer
            donors = [
                replace(pair, contrast=scored[at].pair.contrast)
                for at in part
                for pair in list_donors(request.prompts, at, tokenizer)
            ]
            reference = list_places(replace(prompts, pairs=tuple(donors))).prompts
            means = MEANS.of(subject).capture_means(reference, kinds={p.kind for p in request.components})

        def advance(done: int, whole: int, before: int = start, n: int = len(part)) -> None:
            on_progress(before * 1000 + n * 1000 * done // max(1, whole), len(rows) * 1000)

        found.append(
            measure_effect(subject, prompts, runs, metric, means=means, seed=request.seed, on_progress=advance)
        )
        keeper.add(prompts, runs[0], means)
    kept, no_range = keeper.finish()
    return Effects(
        tuple(rows),
        np.concatenate([effect.clean for effect in found]),
        np.concatenate([effect.patched for effect in found], axis=1),
        join_controls([effect.controls for effect in found]),
        kept,
        no_range,
    )


def _report(
    subject: Subject,
    request: BenchmarkRequest,
    scored: Sequence[Scored],
    accuracy: Estimate,
    chance: float,
    chance_is: str,
    effects: Effects | None,
    why: str,
) -> BenchmarkResult:
    prompts, design = request.prompts, _plan(subject, request)[1]
    measured = Summary(prompts, effects, request.seed) if effects is not None else None
    result = BenchmarkResult(
        finding="",
        accuracy=accuracy,
        chance=chance,
        chance_is=chance_is,
        n_right=sum(one.is_right for one in scored),
        reading=NOT_TESTABLE if measured is None else measured.read(),
        not_measured=why,
        components=tuple(map(str, request.components)),
        margin=None if measured is None else measured.average(measured.effects.clean),
        effect=None if measured is None else measured.effect,
        excess=None if measured is None else measured.excess,
        fraction=None if measured is None else measured.fraction,
        stays_right=None if measured is None else measured.stays_right,
        random_effects=() if measured is None else tuple(measured.effects.loss[1:].mean(axis=1).tolist()),
        random_stays_right=() if measured is None else tuple((measured.effects.without[1:] > 0).mean(axis=1).tolist()),
        p=None if measured is None else measured.p,
        null=design,
        conditions=_conditions(request),
        categories=_list_categories(prompts, scored, effects, request.seed),
        items=_list_items(prompts, scored, effects),
        unit=Margin().unit,
        n=len(prompts),
        n_measured=0 if effects is None else len(effects.rows),
        source=request.source,
        controls=None if effects is None else effects.controls,
        in_range=None if measured is None else measured.in_range,
        no_range=why if effects is None else effects.no_range,
    )
    return replace(result, finding=describe_result(result))


def describe_result(result: BenchmarkResult) -> str:
    """The result in two sentences; accuracy and effect are never mixed."""
    accuracy, sets = result.accuracy, len(result.random_effects)
    if result.not_measured or result.effect is None or result.excess is None:
        return result.not_measured
    names = ", ".join(result.components[:4]) + (" and more" if len(result.components) > 4 else "")
    first = f"The model is right on {result.n_right} of {result.n} items, {format_estimate(accuracy)}; chance is {result.chance:.2f}."
    is_one = len(result.components) == 1
    said = {
        CARRIES: "carries part of the right answers" if is_one else "carry part of the right answers",
        NOTHING: f"{'changes' if is_one else 'change'} the margin of the right answers by less than {DELTA:.0%}",
        AGAINST: "works against the right answers" if is_one else "work against the right answers",
        UNRESOLVED: "has an unresolved effect" if is_one else "have an unresolved effect",
    }[result.reading]
    left = (
        ""
        if result.in_range is None
        else f" With later neurons in their usual range: {format_estimate(result.in_range)}."
    )
    return (
        f"{first} {names} {said}: loss of margin {format_estimate(result.effect)}. Difference to random sets: "
        f"{format_estimate(result.excess)}, p = {result.p:.3f} in {sets} sets.{left}"
    )


def _list_items(prompts: TokenisedPrompts, scored: Sequence[Scored], effects: Effects | None) -> tuple[ItemRow, ...]:
    places = {} if effects is None else {row: at for at, row in enumerate(effects.rows)}
    rows = []
    for row, (pair, one) in enumerate(zip(prompts.pairs, scored, strict=True)):
        at = places.get(row)
        margin, loss, other, stays = None, None, None, None
        if effects is not None and at is not None:
            losses = effects.loss[:, at]
            margin, loss, other = float(effects.clean[at]), float(losses[0]), float(losses[1:].mean())
            stays = bool(effects.without[0, at] > 0)
        rows.append(
            ItemRow(
                pair.prompt.id,
                pair.prompt.group,
                one.is_right,
                one.answer.strip()[:120],
                pair.prompt.answer.strip()[:120],
                margin,
                loss,
                other,
                stays,
            )
        )
    return tuple(rows)


def _list_categories(
    prompts: TokenisedPrompts, scored: Sequence[Scored], effects: Effects | None, seed: int
) -> tuple[CategoryRow, ...]:
    names = [pair.prompt.group or pair.prompt.template if _is_grouped(prompts) else "all" for pair in prompts.pairs]
    found = []
    for name in dict.fromkeys(names):
        members = [at for at, other in enumerate(names) if other == name]
        effect = None
        if effects is not None:
            inside = [at for at, row in enumerate(effects.rows) if names[row] == name]
            if len(inside) > 1:
                ids = [prompts.pairs[effects.rows[at]].prompt.id for at in inside]
                effect = bootstrap_mean(effects.loss[0, inside], ids, unit=Margin().unit, seed=seed)
        accuracy = wilson(sum(scored[at].is_right for at in members), len(members), SHARE)
        found.append(CategoryRow(name, accuracy, effect))
    return tuple(found)


def _is_grouped(prompts: TokenisedPrompts) -> bool:
    """Whether items have categories, or share templates."""
    return any(pair.prompt.group for pair in prompts.pairs) or len({*prompts.templates}) < len(prompts)


def _conditions(request: BenchmarkRequest) -> tuple[tuple[str, str], ...]:
    ablation = request.replacement.value
    if request.replacement is Replacement.RESAMPLE and request.source is not None:
        ablation = "resample from another item, aligned at the end"
    elif request.replacement is Replacement.MEAN:
        ablation = "mean over other items, aligned at the end"
    kinds = sorted({part.kind.value for part in request.components})
    return (
        ("granularity", "nodes"),
        ("component type", " and ".join(kinds)),
        ("ablation", ablation),
        ("positions", "all"),
        ("direction", "noising"),
        ("set", "components replaced"),
    )
