"""Results of the common trial of attribution methods, and their tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from audit_core.controls import Controls
from audit_core.evidence.kind import Causal, Estimated, Evidence, NotEvidence, Observational
from audit_core.explanations.grades import WORDS, Grade
from audit_core.result_layout import Sheet
from audit_core.stats.disagreement import Conflict
from audit_core.stats.estimates import Estimate

MEASURED = "occlusion"
"""The method whose numbers are measured and not estimated."""


@dataclass(frozen=True, kw_only=True)
class MethodRow:
    """One method on these prompts."""

    method: str
    title: str
    kind: str
    """Kind of evidence of its scores."""
    assumes: str
    costs: str
    grade: str
    """A value of `Grade`; not a verdict on a claim."""
    refused: str
    """Prompts that it refused, and why; empty if none."""
    check: str
    error: NotEvidence[float | None]
    """Median over prompts of its own check."""
    comprehensiveness: Causal[Estimate]
    """AOPC: mean loss without its first units, by replacement."""
    comprehensiveness_gain: Causal[Estimate]
    """The same, minus the mean of random orders."""
    sufficiency: Causal[Estimate]
    """Mean loss with its first units alone; lower is better."""
    sufficiency_gain: Causal[Estimate]
    """Mean of random orders minus the same."""
    removal_gain: Causal[Estimate]
    """As `comprehensiveness_gain`, with units removed instead of replaced."""
    removal: str
    """What removal alone would say: a value of `Grade`."""
    randomised: Estimated[Estimate | None]
    """Agreement with its scores on randomised weights; None if not tested."""
    repeated: Estimated[Estimate | None]
    """Agreement between its scores under different seeds; None if it depends on no seed."""
    local: Estimated[Estimate | None] = None
    """Local Lipschitz stability: largest relative change of its scores when one unit is replaced and the answer stays within
    10 %, mean over prompts; None in results before version 3, and where no prompt has such a neighbour."""
    local_excess: Estimated[Estimate | None] = None
    """The same minus that of the measured effects of single units, by prompt."""
    completeness: Estimated[Estimate | None] = None
    """Share of the change that its scores fail to add up to, mean over prompts with scores; None for methods without a sum."""
    faithfulness: Causal[Estimate | None] = None
    """`comprehensiveness_gain` as a fraction of the gap between the prompt and the prompt with every unit replaced."""


@dataclass(frozen=True, kw_only=True)
class CurveRow:
    """One point of one curve."""

    method: str
    without: str
    share: NotEvidence[float]
    deletion: Causal[Estimate]
    insertion: Causal[Estimate]


@dataclass(frozen=True, kw_only=True)
class RandomRow:
    """Random orders at one point: lowest, mean and highest over orders of the mean over prompts."""

    without: str
    share: NotEvidence[float]
    deletion: Causal[tuple[float, ...]]
    insertion: Causal[tuple[float, ...]]


@dataclass(frozen=True, kw_only=True)
class AgreementRow:
    """Agreement of two methods on the same prompts."""

    first: str
    second: str
    agreement: Estimated[Estimate | None]


@dataclass(frozen=True, kw_only=True)
class ClassRow:
    """All units of one class, replaced together in every prompt that has one."""

    unit_class: str
    """A value of `UnitClass`."""
    n_units: int
    effect: Causal[Estimate]
    """Mean loss of the metric."""


@dataclass(frozen=True, kw_only=True)
class ClassScoreRow:
    """What one method says of one class, over the same prompts."""

    method: str
    unit_class: str
    share: Estimated[Estimate]
    """Mean share of the prompt's absolute scores, with its sign."""
    spread: Estimated[float | None]
    """Standard deviation of the share over prompts; None of a single one."""


@dataclass(frozen=True, kw_only=True)
class Strip:
    """Scores of every unit of one prompt."""

    prompt: str
    units: tuple[str, ...]
    measured: Causal[tuple[float, ...]]
    """Loss of the metric when a unit alone is replaced."""
    scores: Estimated[dict[str, tuple[float, ...]]]
    """Per other method, in its own unit."""


@dataclass(frozen=True, kw_only=True)
class ExplanationsResult:
    """Grades of the methods on these prompts, what they rest on, and the scores of some prompts."""

    finding: str
    prompts: str
    n: int
    n_templates: int
    units: str
    unit: str
    level: NotEvidence[float]
    """Level of the intervals of gains: 95 % for all methods together."""
    clean: Observational[Estimate]
    replaced: Causal[Estimate]
    """The metric with every unit replaced."""
    methods: tuple[MethodRow, ...]
    curves: tuple[CurveRow, ...]
    random: tuple[RandomRow, ...]
    agreements: tuple[AgreementRow, ...]
    strips: tuple[Strip, ...]
    not_measured: dict[str, str]
    controls: Controls
    classes: tuple[ClassRow, ...] = ()
    """Empty in results of version 1."""
    class_scores: tuple[ClassScoreRow, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    """Where scores of classes and effects of classes disagree."""


def _cells(estimate: Estimate | None) -> tuple[Any, ...]:
    return (None,) * 4 if estimate is None else (estimate.value, estimate.low, estimate.high, estimate.n)


def list_sheets(result: ExplanationsResult) -> tuple[Sheet, ...]:
    """Grades and gains, sanity, curves, random orders, agreement and classes of units, a table each."""
    gains = ("comprehensiveness", "comprehensiveness_gain", "sufficiency", "sufficiency_gain", "removal_gain")
    columns = [f"{name.replace('_', ' ')}{end}" for name in gains for end in ("", ", low", ", high", ", n")]
    measured = (Evidence.CAUSAL,)
    return (
        Sheet(
            "methods",
            ("method", "grade", "scores are", *columns),
            tuple(
                (row.title, WORDS[Grade(row.grade)], row.kind, *(cell for name in gains for cell in _cells(getattr(row, name))))
                for row in result.methods
            ),
            measured,
        ),
        Sheet(
            "sanity",
            ("method", "on randomised weights", "low", "high", "n", "under other seeds", "low ", "high ", "n "),
            tuple((row.title, *_cells(row.randomised), *_cells(row.repeated)) for row in result.methods),
            (Evidence.ESTIMATED,),
        ),
        *_list_checks(result),
        Sheet(
            "curves",
            ("method", "units are", "share", "without them", "low", "high", "n", "they alone", "low ", "high ", "n "),
            tuple(
                (row.method, row.without, row.share, *_cells(row.deletion), *_cells(row.insertion)) for row in result.curves
            ),
            measured,
        ),
        Sheet(
            "random orders",
            ("units are", "share", "without, lowest", "mean", "highest", "alone, lowest", "mean ", "highest "),
            tuple((row.without, row.share, *row.deletion, *row.insertion) for row in result.random),
            measured,
        ),
        Sheet(
            "agreement",
            ("first", "second", "Spearman ρ", "low", "high", "n"),
            tuple((row.first, row.second, *_cells(row.agreement)) for row in result.agreements),
            (Evidence.ESTIMATED,),
        ),
        Sheet(
            "classes of units",
            ("units", "how many", "loss when replaced together", "low", "high", "n"),
            tuple((row.unit_class, row.n_units, *_cells(row.effect)) for row in result.classes),
            measured,
        ),
        Sheet(
            "scores of classes",
            ("method", "units", "mean share", "low", "high", "n", "standard deviation over prompts"),
            tuple((row.method, row.unit_class, *_cells(row.share), row.spread) for row in result.class_scores),
            (Evidence.ESTIMATED,),
        ),
    )  # fmt: skip


def _list_checks(result: ExplanationsResult) -> tuple[Sheet, ...]:
    """Stability beside the prompt, and the numbers that a policy can ask for."""
    return (
        Sheet(
            "local stability",
            ("method", "largest shift of scores", "low", "high", "n", "minus measured effects", "low ", "high ", "n "),
            tuple((row.title, *_cells(row.local), *_cells(row.local_excess)) for row in result.methods),
            (Evidence.ESTIMATED,),
        ),
        Sheet(
            "completeness",
            ("method", "share missed", "low", "high", "n"),
            tuple((row.title, *_cells(row.completeness)) for row in result.methods if row.completeness is not None),
            (Evidence.ESTIMATED,),
        ),
        Sheet(
            "faithfulness",
            ("method", "gain over random orders, of the gap", "low", "high", "n"),
            tuple((row.title, *_cells(row.faithfulness)) for row in result.methods),
            (Evidence.CAUSAL,),
        ),
    )  # fmt: skip
