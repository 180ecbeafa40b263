"""The common trial of attribution methods: which of them order tokens better than random orders do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from audit_core.audit import Audit, Example, Verdicts
from audit_core.capability import HEADS, Capability
from audit_core.component import Kind
from audit_core.errors import NotMeasured
from audit_core.explanations import SAMPLES, UnitClass, UnitKind, Without, choose_masks
from audit_core.explanations.class_rows import read_classes
from audit_core.explanations.curves import RANDOM_ORDERS, SHARES, Curves, comprehensiveness, sufficiency
from audit_core.explanations.grades import Grade, Sanity, grade_method, read_gain
from audit_core.explanations.method import SANITY_OF_COSTLY
from audit_core.explanations.nearby import NEIGHBOURS, UNIT, read_shifts
from audit_core.explanations.results import (
    MEASURED,
    AgreementRow,
    CurveRow,
    ExplanationsResult,
    MethodRow,
    RandomRow,
    Strip,
    list_sheets,
)
from audit_core.explanations.sanity import VALUES_UNIT, compare_methods, compare_scores, correlate_values
from audit_core.explanations.trial import NEARBY_PROMPTS, OTHER_SEEDS, SANITY_PROMPTS, Trial, run_trial
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts, require_distinguished
from audit_core.registry import list_plugins
from audit_core.request import Ask, Request
from audit_core.result_layout import Sheet
from audit_core.stats.bootstrap import bootstrap_mean, bootstrap_ratio
from audit_core.stats.estimates import LEVEL, Estimate
from audit_core.subject import Means, Progress, Subject, no_partial

MAX_PROMPTS = 50
"""Most prompts, drawn evenly over templates."""
STRIPS = 6
"""Prompts whose scores are kept."""
GAP_UNIT, MISSED_UNIT = "of the gap", "of the change"
GRADIENT_PASSES = 110
"""Cost of the gradients of one prompt, in forward passes: mostly integrated gradients (measured)."""


@dataclass(frozen=True)
class ExplanationsRequest(Request):
    """Request: prompts, and what counts as one unit; `reference` are the prompts that other tokens are taken from."""

    settings: ClassVar[Mapping[str, Any]] = {
        "most_prompts": MAX_PROMPTS, "shares": list(SHARES), "random_orders": RANDOM_ORDERS, "samples": SAMPLES,
        "sanity_prompts": SANITY_PROMPTS, "nearby_prompts": NEARBY_PROMPTS, "neighbours": NEIGHBOURS,
        "sanity_prompts_of_costly": SANITY_OF_COSTLY,
    }  # fmt: skip

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    units: Annotated[UnitKind, Ask("Units", "What gets one score.")] = UnitKind.TOKENS
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return (Replacement.RESAMPLE,)

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset((Kind.RESID,))

    @property
    def measured(self) -> TokenisedPrompts:
        """The measured prompts: all, or `MAX_PROMPTS` of them."""
        return self.prompts.take(self.prompts.spread(MAX_PROMPTS))


def _read_grades(found: ExplanationsResult) -> list[str]:
    """Of occlusion, which is exact here, and of attention, which is equal on all letters."""
    grades = {row.method: row.grade for row in found.methods}
    words = {Grade.BEATS.value: "beats", Grade.NOT_JUDGED.value: Grade.NOT_JUDGED.value}
    return [words.get(grades[name], "does not") for name in (MEASURED, "attention")]


_EXAMPLES = (
    Example(
        {},
        "The head with equal attention to all letters decides the vote: occlusion beats random orders, attention does not.",
        lambda found: (
            {row.method: row.grade for row in found.methods}[MEASURED] == Grade.BEATS
            and {row.method: row.grade for row in found.methods}["attention"] != Grade.BEATS
        ),
        task="vote",
        verdicts=Verdicts(_read_grades, ("beats", "does not"), frozenset({Grade.NOT_JUDGED.value})),
    ),
)


@dataclass(frozen=True)
class ExplanationsAudit(Audit):
    name: str = "explanations"
    question: str = "Which explanations by tokens order them better than random orders do?"
    request: type[Request] = ExplanationsRequest
    result: type = ExplanationsResult
    version: int = 3
    shown_versions: tuple[int, ...] = (1, 2)
    summary: str = (
        "Each attribution method orders the tokens of each prompt. The first ones are replaced, kept alone, and removed, and "
        "the answer is measured, beside random orders. Scores are computed again on randomised weights, under other seeds, and beside the prompt. "
        "Scores are averaged over the set, beside the effect of replacing the same units together."
    )
    examples: tuple[Example, ...] = _EXAMPLES
    counts_as: tuple[str, ...] = ("test_of_the_test",)
    demands: tuple[Capability[Any], ...] = (HEADS,)

    def count_work(self, subject: Subject, request: ExplanationsRequest) -> int:
        return sum(_count_stages(subject, request))

    def run(
        self,
        subject: Subject,
        request: ExplanationsRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> ExplanationsResult:
        prompts = request.measured
        require_distinguished(prompts.pairs, has_choice=False)
        stages = _count_stages(subject, request)
        steps = iter([_part(stages, at, on_progress) for at in range(len(stages))])
        trial = run_trial(
            subject, prompts, request.reference, request.units, list_plugins("attributions"), seed=request.seed, steps=steps
        )  # fmt: skip
        on_progress(sum(stages), sum(stages))
        return _Reading(request, trial).finish()

    def rows(self, result: ExplanationsResult) -> tuple[Sheet, ...]:
        return list_sheets(result)


def _part(stages: Sequence[int], at: int, on_progress: Progress) -> Progress:
    before, own, total = sum(stages[:at]), stages[at], sum(stages)
    return lambda done, of: on_progress(before + own * min(done, of) // max(1, of), total)


def _count_stages(subject: Subject, request: ExplanationsRequest) -> list[int]:
    """Work of scores, both curves, the three checks, and classes of units."""
    lengths = [len(pair.clean_ids) for pair in request.measured.pairs]
    sets = {length: len(choose_masks(max(3, length - 1), seed=0).kept) for length in set(lengths)}
    layers, orders = (
        subject.geometry.n_layers,
        2 * len(SHARES) * (len(list_plugins("attributions")) + RANDOM_ORDERS / 2),
    )
    scores = [length * (sets[length] + length + GRADIENT_PASSES) for length in lengths]
    share = min(1.0, SANITY_PROMPTS / max(1, len(lengths)))
    again = [length * sets[length] * OTHER_SEEDS for length in lengths]
    counted = (
        sum(scores), sum(lengths) * orders, sum(lengths) * orders / 2, sum(scores) * share, sum(again) * share,
        sum(scores) * min(1.0, NEARBY_PROMPTS * NEIGHBOURS / max(1, len(lengths))), sum(lengths) * (len(UnitClass) + 1),
    )  # fmt: skip
    return [int(layers * each) for each in counted]


@dataclass(frozen=True, eq=False)
class _Reading:
    """Estimates and grades from the measured runs."""

    request: ExplanationsRequest
    trial: Trial

    def finish(self) -> ExplanationsResult:
        trial, effect = self.trial, self.trial.effect
        prompts = trial.task.prompts
        methods = tuple(self.read_method(name) for name in trial.scores)
        classes = read_classes(trial, seed=self.request.seed)
        return ExplanationsResult(
            finding=_describe(methods),
            prompts=prompts.name,
            n=len(prompts),
            n_templates=len(set(prompts.templates)),
            units=self.request.units.value,
            unit=effect.unit,
            level=self.level,
            clean=self.average(effect.clean),
            replaced=self.average(effect.corrupted),
            methods=methods,
            curves=self.read_curves(),
            random=self.read_random(),
            agreements=self.read_agreements(),
            strips=self.read_strips(),
            not_measured=dict(trial.missing),
            controls=trial.controls,
            classes=classes.effects,
            class_scores=classes.scores,
            conflicts=classes.conflicts,
        )

    @property
    def level(self) -> float:
        """Bonferroni: all gains of one kind together have 95 %."""
        return 1 - (1 - LEVEL) / max(1, len(self.trial.scores))

    def average(self, values: np.ndarray, rows: Sequence[int] | None = None, level: float = LEVEL) -> Estimate:
        clusters = self.trial.task.prompts.templates
        chosen = range(len(clusters)) if rows is None else rows
        return bootstrap_mean(
            values, [clusters[at] for at in chosen], unit=self.trial.effect.unit, seed=self.request.seed, level=level
        )

    def read_method(self, name: str) -> MethodRow:
        trial, method, scores = self.trial, self.trial.methods[name], self.trial.scores[name]
        rows = [at for at, values in enumerate(scores.values) if values is not None]
        clean = trial.effect.clean[rows]

        def compare(without: Without, read: Callable[[Any, Curves], Any], sign: int) -> tuple[Estimate, Estimate]:
            own = read(clean, trial.curves[without][name].take(rows))
            random = np.mean([read(clean, each.take(rows)) for each in trial.random[without]], axis=0)
            return self.average(own, rows), self.average(sign * (own - random), rows, self.level)

        deleted, deletion = compare(Without.REPLACED, comprehensiveness, 1)
        left, insertion = compare(Without.REPLACED, sufficiency, -1)
        _, removal = compare(Without.REMOVED, comprehensiveness, 1)
        local, local_excess = self.check_nearby(name)
        sanity = Sanity(self.check_randomised(name), self.check_repeated(name), local, local_excess)
        errors = [error for error in scores.error if error is not None]
        n_refused = len(scores.values) - len(rows)
        return MethodRow(
            method=name,
            title=method.title,
            kind=method.evidence.value,
            assumes=method.assumes,
            costs=method.costs,
            grade=grade_method(deletion, insertion, sanity).value,
            refused=f"{n_refused} of {len(scores.values)} prompts: {scores.refusal}" if n_refused else "",
            check=method.check,
            error=float(np.median(errors)) if errors else None,
            comprehensiveness=deleted,
            comprehensiveness_gain=deletion,
            sufficiency=left,
            sufficiency_gain=insertion,
            removal_gain=removal,
            removal=read_gain(removal).value,
            randomised=sanity.randomised,
            repeated=sanity.repeated,
            local=local,
            local_excess=local_excess,
            completeness=self.check_completeness(name),
            faithfulness=self.divide_by_gap(name, rows),
        )

    def divide_by_gap(self, name: str, rows: Sequence[int]) -> Estimate | None:
        """Gain over random orders as a fraction of the gap; None where the gap has no known sign."""
        trial, effect = self.trial, self.trial.effect
        clean, gap = effect.clean[rows], (effect.clean - effect.corrupted)[rows]
        curves = trial.curves[Without.REPLACED][name].take(rows)
        random = [comprehensiveness(clean, each.take(rows)) for each in trial.random[Without.REPLACED]]
        gain = comprehensiveness(clean, curves) - np.mean(random, axis=0)
        clusters = [trial.task.prompts.templates[at] for at in rows]
        try:
            return bootstrap_ratio(gain, gap, clusters, unit=GAP_UNIT, seed=self.request.seed, level=self.level)
        except NotMeasured:
            return None

    def check_completeness(self, name: str) -> Estimate | None:
        """Mean share of the change that scores miss, over the prompts that have them."""
        missed = self.trial.scores[name].missed
        rows = [at for at, one in enumerate(missed) if one is not None]
        if not rows:
            return None
        clusters = [self.trial.task.prompts.templates[at] for at in rows]
        return bootstrap_mean(
            np.array([missed[at] for at in rows], float), clusters, unit=MISSED_UNIT, seed=self.request.seed
        )

    def check_nearby(self, name: str) -> tuple[Estimate | None, Estimate | None]:
        """Largest shift of the scores over neighbours, and the same minus that of the measured effects."""
        trial, n = self.trial, len(self.trial.task.prompts)
        own = read_shifts(trial.nearby, name, trial.scores[name], n)
        measured = read_shifts(trial.nearby, MEASURED, trial.scores[MEASURED], n)
        rows = np.flatnonzero(np.isfinite(own) & np.isfinite(measured))
        if not rows.size:
            return None, None
        clusters = [trial.task.prompts.templates[at] for at in rows]
        local, excess = (
            bootstrap_mean(values[rows], clusters, unit=UNIT, seed=self.request.seed)
            for values in (own, own - measured)
        )
        return local, excess

    def check_randomised(self, name: str) -> Estimate | None:
        """Magnitudes are compared: randomised weights may turn every sign."""
        if name not in self.trial.randomised:
            return None
        first = _take(self.trial.scores[name].values, self.trial.sane)
        return compare_scores(
            [(first, self.trial.randomised[name].values)], self.sane_clusters, is_signed=False, seed=self.request.seed
        )

    def check_repeated(self, name: str) -> Estimate | None:
        if name not in self.trial.repeated:
            return None
        first = _take(self.trial.scores[name].values, self.trial.sane)
        lists = [first, *(each.values for each in self.trial.repeated[name])]
        pairs = [(a, b) for at, a in enumerate(lists) for b in lists[at + 1 :]]
        signed = self.trial.methods[name].is_signed
        return compare_scores(
            pairs,
            self.sane_clusters,
            is_signed=signed,
            seed=self.request.seed,
            correlate=correlate_values,
            unit=VALUES_UNIT,
        )

    @property
    def sane_clusters(self) -> tuple[str, ...]:
        return tuple(self.trial.task.prompts.templates[at] for at in self.trial.sane)

    def read_curves(self) -> tuple[CurveRow, ...]:
        found = []
        for without, curves in self.trial.curves.items():
            for name, curve in curves.items():
                rows = [at for at, values in enumerate(self.trial.scores[name].values) if values is not None]
                own = curve.take(rows)
                found += [
                    CurveRow(
                        method=name,
                        without=without.value,
                        share=share,
                        deletion=self.average(own.deletion[at], rows),
                        insertion=self.average(own.insertion[at], rows),
                    )
                    for at, share in enumerate(SHARES)
                ]
        return tuple(found)

    def read_random(self) -> tuple[RandomRow, ...]:
        found = []
        for without, curves in self.trial.random.items():
            for at, share in enumerate(SHARES):
                sides = [
                    [curve.deletion[at].mean() for curve in curves],
                    [curve.insertion[at].mean() for curve in curves],
                ]
                deletion, insertion = ((float(min(s)), float(np.mean(s)), float(max(s))) for s in sides)
                found.append(RandomRow(without=without.value, share=share, deletion=deletion, insertion=insertion))
        return tuple(found)

    def read_agreements(self) -> tuple[AgreementRow, ...]:
        trial = self.trial
        found = compare_methods(trial.methods, trial.scores, trial.task.prompts.templates, seed=self.request.seed)
        return tuple(AgreementRow(first=a, second=b, agreement=value) for (a, b), value in found.items())

    def read_strips(self) -> tuple[Strip, ...]:
        """Scores of the first prompts."""
        trial = self.trial
        found = []
        for at, pair in enumerate(trial.task.prompts.pairs[:STRIPS]):
            values = {name: scores.values[at] for name, scores in trial.scores.items()}
            known = {name: tuple(map(float, each)) for name, each in values.items() if each is not None}
            found.append(
                Strip(
                    prompt=pair.prompt.id,
                    units=tuple(unit.text for unit in trial.task.units[at]),
                    measured=known.pop(MEASURED),
                    scores=known,
                )
            )
        return tuple(found)


def _take(values: Sequence[Any], rows: Sequence[int]) -> tuple[Any, ...]:
    return tuple(values[at] for at in rows)


def _describe(methods: Sequence[MethodRow]) -> str:
    """The finding: how many methods beat random orders."""
    judged = [row for row in methods if row.grade != Grade.NOT_JUDGED]
    if not judged:
        return "No method is graded: that needs more prompts and templates."
    beats = sum(row.grade == Grade.BEATS for row in judged)
    return f"On these prompts {beats} of {len(judged)} methods order the tokens better than random orders do."


PLUGIN = ExplanationsAudit()
