"""Request and result of the audit of tabular models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from audit_core.component import Kind
from audit_core.controls import Controls
from audit_core.decisions.attributions import LIME_SEEDS, LIME_SETS
from audit_core.decisions.fairness import DELTA
from audit_core.decisions.results import GroupRow, ReasonRow, SurrogateRow, ThroughRow
from audit_core.evidence.kind import Causal, Estimated, NotEvidence, Observational
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, Request
from audit_core.stats.disagreement import Conflict
from audit_core.stats.estimates import Estimate
from audit_core.tabular.attributions import BACKGROUND, PAIRS
from audit_core.tabular.effects import FAR, GRID, HIGH, LOW, REPEATS
from audit_core.tabular.shipped import OUTCOME, SPLIT, YES
from audit_core.tabular.table import Reading, TableTask

ON_INPUT = (
    "A change here is made to the model's input. It shows what the model does with other numbers, "
    "and not what would happen if the world changed."
)


@dataclass(frozen=True)
class TabularRequest(Request):
    """Request: the rows, as prompts and as numbers."""

    settings: ClassVar[Mapping[str, Any]] = {
        "delta": DELTA, "background": BACKGROUND, "pairs": PAIRS, "lime_sets": LIME_SETS, "lime_seeds": LIME_SEEDS,
        "grid": GRID, "low": LOW, "high": HIGH, "repeats": REPEATS, "far": FAR,
    }  # fmt: skip

    prompts: TokenisedPrompts
    task: TableTask
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return ()

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset()


@dataclass(frozen=True)
class TabularFile:
    """How a CSV file is read; the defaults are those of the shipped file."""

    outcome: Annotated[str, Ask("Outcome column", "Right answers; empty for none.", can_be_empty=True)] = OUTCOME
    yes: Annotated[str, Ask("Yes", "The value of that column that means yes.")] = YES
    split: Annotated[str, Ask("Split column", "Says fit or test in each row; empty for none.", can_be_empty=True)] = (
        SPLIT
    )
    marks: Annotated[
        str,
        Ask("Marks", "Lines or `;`: age, protected; income, may rise. All others may change.", can_be_empty=True),
    ] = ""
    reading: Annotated[Reading, Ask("Output", "A probability of yes, or a score that is above 0 for yes.")] = (
        Reading.PROBABILITY
    )


@dataclass(frozen=True, kw_only=True)
class FeatureRow:
    """One feature: what changing it does to the model, and what methods say of it."""

    feature: str
    is_protected: bool
    low: NotEvidence[float]
    high: NotEvidence[float]
    """Its 10th and 90th percentile in the measured rows."""
    effect: Causal[Estimate]
    """Mean change of the preference when the feature alone goes from low to high in every row."""
    flipped: Causal[Estimate]
    """Share of rows whose decision this changes."""
    permuted: Causal[Estimate]
    """Mean absolute change when the feature comes from another measured row."""
    loss: Causal[Estimate | None]
    """Permutation importance: rise of the log loss in nats, mean over 20 permutations; None without outcomes."""
    shapley: Estimated[Estimate]
    """Mean absolute Shapley value of the drawn rows."""
    shapley_error: Estimated[float]
    """Largest standard error of sampling over rows; 0 where all sets were run."""
    lime: Estimated[Estimate]
    """Mean absolute weight of LIME on the same rows."""
    lime_spread: Estimated[float]
    """Standard deviation of LIME's weight between seeds, mean over rows."""


@dataclass(frozen=True, kw_only=True)
class PointRow:
    """One point of one feature's curve."""

    feature: str
    at: NotEvidence[float]
    n: int
    """Rows in the step that ends here; 0 at the first point."""
    partial: Causal[Estimate]
    """Partial dependence: mean preference with this value."""
    lowest: Causal[float]
    highest: Causal[float]
    """Ends of the individual curves (ICE) at this point."""
    individual: Causal[tuple[float, ...]]
    """Curves of single rows, spread over the file."""
    accumulated: Causal[float | None]
    """Accumulated local effect from the first point; None after a step without rows."""
    impossible: NotEvidence[float]
    """Share of the rows behind this point that are far from all rows of the data."""


@dataclass(frozen=True, kw_only=True)
class ChangeRow:
    """One counterfactual of the model's input."""

    changes: str
    value: Causal[float]
    """Preference for yes when it was run."""
    distance: NotEvidence[float]
    """In median absolute deviations, added over features."""
    is_far: bool
    """Whether no row of the data is near it."""


@dataclass(frozen=True, kw_only=True)
class CaseRow:
    """One row: decision, local scores, alternatives and anchor."""

    id: str
    values: str
    is_yes: bool
    preference: Causal[float]
    shapley: Estimated[tuple[float, ...]]
    shapley_errors: Estimated[tuple[float, ...]]
    """Standard errors of sampling; 0 where all sets were run."""
    lime: Estimated[tuple[float, ...]]
    lime_spread: Estimated[tuple[float, ...]]
    """Standard deviation between seeds."""
    alternatives: tuple[ChangeRow, ...]
    anchor: str
    precision: Causal[Estimate | None]
    coverage: Observational[Estimate | None]
    reasons: tuple[ReasonRow, ...] = ()
    """Of a no; empty in results of version 1."""
    reasons_state: str = ""
    """Established, not established and why, or empty for a yes."""


@dataclass(frozen=True, kw_only=True)
class ReadableRow:
    """A model that can be read directly, fitted here on the outcomes, as an alternative to the audited one."""

    name: str
    n_fit: int
    auc: Observational[Estimate | None]
    """On measured rows that it was not fitted on; None where it was not fitted."""
    lead: Observational[Estimate | None]
    """AUC of the audited model minus its own, on the same rows."""
    same: Observational[Estimate | None]
    """Share of these rows with the decision of the audited model."""
    rules: tuple[str, ...]
    """What it is made of."""
    missing: str
    """Why it was not fitted; empty if it was."""


@dataclass(frozen=True, kw_only=True)
class RetrainRow:
    """One method's first features removed, and a model trained again without them."""

    method: str
    share: NotEvidence[float]
    removed: str
    whole: Observational[Estimate]
    """AUC of the model trained on all features."""
    lost: Observational[Estimate]
    """Fall of the AUC without these."""
    random: Observational[Estimate]
    """The same without random features, mean over sets."""
    lowest: Observational[float]
    highest: Observational[float]
    """Ends over the random sets."""
    gain: Observational[Estimate]
    """`lost` minus `random`."""
    says: str
    """See `retrain`."""


@dataclass(frozen=True, kw_only=True)
class TabularResult:
    """What a tabular model decides, by which features, beside models that can be read."""

    finding: str
    does_task: bool
    n: int
    unit: str
    features: tuple[str, ...]
    said_yes: Observational[Estimate]
    auc: Observational[Estimate | None]
    """Chance that a row with outcome yes is preferred to one with outcome no; None without outcomes."""
    spread: Observational[float]
    """Standard deviation of the preference over rows."""
    smallest: NotEvidence[float]
    """Smallest effect of interest."""
    is_divided: bool
    """Whether the file says which rows the model was not trained on."""
    is_exact: bool
    """Whether Shapley values come from all sets of features."""
    by_feature: tuple[FeatureRow, ...] = ()
    curves: tuple[PointRow, ...] = ()
    cases: tuple[CaseRow, ...] = ()
    surrogates: tuple[SurrogateRow, ...] = ()
    readable: tuple[ReadableRow, ...] = ()
    controls: Controls | None = None
    """Checks that a row written back changes nothing, and that other numbers do; None where nothing was changed."""
    conflicts: tuple[Conflict, ...] = ()
    """Where the order of features by Shapley values contradicts the order by effect."""
    through: tuple[ThroughRow, ...] = ()
    """Effects of protected features through others; empty in results of version 1, and where none is marked."""
    groups: tuple[GroupRow, ...] = ()
    misses: tuple[str, ...] = ()
    """Methods that give less than the smallest effect to a protected feature whose effect passes through another."""
    retrained: tuple[RetrainRow, ...] = ()
    """Empty in results of version 1."""
    not_retrained: str = ""
    """Why; empty if it was."""
