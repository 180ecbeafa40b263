"""Request and result of the audit of decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from audit_core.component import Kind
from audit_core.controls import Controls
from audit_core.decisions.attributions import BACKGROUND, LIME_SEEDS, LIME_SETS
from audit_core.decisions.fairness import DELTA
from audit_core.decisions.shipped import NO, OUTCOME, SLOTS, TEMPLATE, YES
from audit_core.decisions.task import DecisionTask
from audit_core.evidence.kind import Causal, Estimated, NotEvidence, Observational
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, Request
from audit_core.stats.disagreement import Conflict
from audit_core.stats.estimates import Estimate
from audit_core.vision.results import ConceptRow

DESCRIBES = "These numbers describe the surrogate, not the model."
DRAFT = "Draft for review by the creditor; not a notice; not legal advice."


@dataclass(frozen=True)
class DecisionsRequest(Request):
    """Request: applicants as prompts, and the task that they are from."""

    settings: ClassVar[Mapping[str, Any]] = {
        "delta": DELTA, "background": BACKGROUND, "lime_sets": LIME_SETS, "lime_seeds": LIME_SEEDS,
    }  # fmt: skip

    prompts: TokenisedPrompts
    task: DecisionTask
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return ()

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset()


@dataclass(frozen=True)
class DecisionFile:
    """How a CSV file of applicants is asked; the defaults are those of the shipped task."""

    template: Annotated[str, Ask("Template", "The prompt, with each slot once in braces.")] = TEMPLATE
    slots: Annotated[
        str,
        Ask("Slots", "Lines or `;`: income = low < middle < high, may rise. Also: may fall, may change, protected."),
    ] = SLOTS
    yes: Annotated[str, Ask("Yes", "The answer in favour, one token.")] = YES
    no: Annotated[str, Ask("No", "The answer against, one token.")] = NO
    outcome: Annotated[str, Ask("Outcome column", "Right answers; empty for none.", can_be_empty=True)] = OUTCOME


@dataclass(frozen=True, kw_only=True)
class SlotRow:
    """One slot: what it does, and what methods say of it."""

    slot: str
    is_protected: bool
    effect: Causal[Estimate]
    """Mean change of the preference when the slot alone goes from its first to its last level."""
    flipped: Causal[Estimate]
    """Share of applicants whose decision this changes."""
    permuted: Causal[Estimate]
    """Mean absolute change when the slot's value comes from another held-out applicant."""
    shapley: Estimated[Estimate]
    """Mean absolute exact Shapley value of the drawn applicants."""
    lime: Estimated[Estimate]
    """Mean absolute weight of LIME on the same applicants."""
    lime_spread: Estimated[float]
    """Standard deviation of LIME's weight between seeds, mean over applicants, in logits."""
    surrogate: Estimated[float]
    """Weight of the last level in the additive surrogate, in logits."""


@dataclass(frozen=True, kw_only=True)
class AggregateRow:
    """Local scores of one slot by one method, over applicants."""

    method: str
    slot: str
    size: Estimated[Estimate]
    """Mean absolute score."""
    spread: Estimated[float]
    """Standard deviation of the score over applicants, in logits."""
    toward: Estimated[Estimate | None]
    """Mean score towards the last level, of applicants at the first or last one; None of fewer than two."""


@dataclass(frozen=True, kw_only=True)
class CurveRow:
    """One level of one slot."""

    slot: str
    level: str
    n: int
    """Applicants with this level."""
    partial: Causal[Estimate]
    """Partial dependence: mean preference with this level."""
    lowest: Causal[float]
    highest: Causal[float]
    """Ends of the individual curves (ICE) at this level, in logits."""
    accumulated: Causal[float | None]
    """Accumulated local effect, in logits; None for a slot without order or a step without applicants."""
    impossible: NotEvidence[float]
    """Share of the combinations behind the slot's partial dependence that hold a pair of values without any applicant."""


@dataclass(frozen=True, kw_only=True)
class ThroughRow:
    """Effect of a protected attribute through another slot, or alone."""

    attribute: str
    first: str
    second: str
    mediator: str
    total: Causal[Estimate]
    indirect: Causal[Estimate]
    direct: Causal[Estimate]
    association: Observational[float]
    """Cramér's V of attribute and slot in the data."""
    is_proxy: bool
    """Whether the indirect effect is beyond the smallest effect of interest by its whole interval."""


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """Rates of one group."""

    attribute: str
    level: str
    n: int
    selected: Observational[Estimate | None]
    true_positive: Observational[Estimate | None]
    """Share of yes among applicants whose outcome is yes; None without outcomes."""
    false_positive: Observational[Estimate | None]
    """Share of yes among applicants whose outcome is no."""


@dataclass(frozen=True, kw_only=True)
class AlternativeRow:
    """One counterfactual."""

    changes: str
    value: Causal[float]
    """Preference for yes when it was run, in logits."""
    distance: NotEvidence[float]
    is_seen: bool


@dataclass(frozen=True, kw_only=True)
class ReasonRow:
    """One principal reason."""

    slot: str
    wording: str
    effect: Causal[float]
    """Rise of the preference when this slot alone takes values of applicants with a narrow yes, in logits."""
    is_proxy: bool


@dataclass(frozen=True, kw_only=True)
class ApplicantRow:
    """One applicant: decision, local values, alternatives, reasons and anchor."""

    id: str
    values: str
    is_yes: bool
    preference: Causal[float]
    shapley: Estimated[tuple[float, ...]]
    """One a slot, in logits."""
    alternatives: tuple[AlternativeRow, ...]
    reasons: tuple[ReasonRow, ...]
    reasons_state: str
    """Established, not established and why, or empty for an approval."""
    anchor: str
    precision: Causal[Estimate | None]
    coverage: Observational[Estimate | None]


@dataclass(frozen=True, kw_only=True)
class SurrogateRow:
    """One global surrogate."""

    name: str
    same: Estimated[Estimate]
    variance: Estimated[float | None]
    """R² on held-out applicants; None where all have one preference."""
    rules: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class DecisionsResult:
    """What a model decides about applicants, and by which slots."""

    finding: str
    does_task: bool
    n: int
    unit: str
    slots: tuple[str, ...]
    said_yes: Observational[Estimate]
    auc: Observational[Estimate | None]
    """Chance that an applicant with outcome yes is preferred to one with outcome no; None without outcomes."""
    spread: Observational[float]
    """Standard deviation of the preference over applicants, in logits."""
    smallest: NotEvidence[float]
    """Smallest effect of interest, in logits."""
    n_combinations: int
    by_slot: tuple[SlotRow, ...] = ()
    curves: tuple[CurveRow, ...] = ()
    through: tuple[ThroughRow, ...] = ()
    groups: tuple[GroupRow, ...] = ()
    applicants: tuple[ApplicantRow, ...] = ()
    surrogates: tuple[SurrogateRow, ...] = ()
    misses: tuple[str, ...] = ()
    """Methods that give less than the smallest effect to a protected attribute whose effect passes through another slot."""
    controls: Controls | None = None
    """Checks that a changed text changes the preference and the same text does not; None where nothing was changed."""
    aggregates: tuple[AggregateRow, ...] = ()
    """Empty in results of version 1."""
    conflicts: tuple[Conflict, ...] = ()
    """Where local scores over applicants and the effect of the same slot disagree."""
    concepts: tuple[ConceptRow, ...] = ()
    """Each slot's last level against its first, as a direction; empty in results before version 3."""
    no_concepts: str = ""
    """Why; empty if they were tried."""
