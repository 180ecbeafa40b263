"""What a feature's label says and what its ablation does: two findings, never one number."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from audit_core.controls import Controls
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.stats.estimates import Estimate

DELTA = 0.05
"""Smallest share of the lead that matters: half of what the audit of a label asks of a whole direction."""
LEAST_AUROC = 0.7
"""Smallest AUROC at which a label tells the texts that a feature fires on from the others; 0.5 is chance."""


class EffectVerdict(StrEnum):
    """What the ablation of a feature does."""

    EFFECT = "effect"
    NONE = "no effect"
    UNRESOLVED = "unresolved"


class LabelVerdict(StrEnum):
    """How a label does on texts that it was not made from."""

    PLAUSIBLE = "plausible label"
    WRONG = "label not supported"
    UNRESOLVED = "unresolved"
    UNTESTED = "untested"


@dataclass(frozen=True, kw_only=True)
class FeatureEffect:
    """One feature, ablated, beside features that fire about as often and about as strongly."""

    component: NotEvidence[str]
    firing_rate: Observational[float]
    """Share of the tokens of the clean prompts."""
    mean_value: Observational[float]
    """Where it is active; the decoder has length 1, so this is the norm of what is removed."""
    zeroed: Causal[Estimate] | None
    """Share of the lead that is lost without the feature; None where it is not active."""
    mean_set: Causal[Estimate] | None
    """The same with its mean value everywhere."""
    matched: NotEvidence[int]
    """Random features in the comparison."""
    largest_matched: Causal[float] | None
    """Largest share that one of them changes, up or down."""
    p_matched: NotEvidence[float | None]
    """Share of them that change as much, counting the feature itself."""
    verdict: NotEvidence[EffectVerdict]
    why: str = ""
    """Why it is unresolved."""


@dataclass(frozen=True, kw_only=True)
class EffectsReport:
    """Effects of features on the lead of a set of prompts."""

    dictionary: NotEvidence[str]
    """Digest of its weights."""
    lead: Observational[Estimate]
    """Logit of the answer minus that of the foil, unedited."""
    control: Causal[Estimate]
    """Positive control: share of the lead that is lost with the whole activation of the pair's other text."""
    identity_max: NotEvidence[float]
    """Largest change by a feature's own value, in logits."""
    noise_min: NotEvidence[float]
    """Smallest change, over features, by large noise in a feature, in logits."""
    features: tuple[FeatureEffect, ...]
    level: NotEvidence[float]
    """Of the intervals of the effects, corrected for the number of features."""
    controls: NotEvidence[Controls]


@dataclass(frozen=True, kw_only=True)
class LabelTest:
    """A label on held-out texts."""

    component: NotEvidence[str]
    label: NotEvidence[str]
    auroc: Observational[Estimate] | None
    """How well the feature's largest value in a text tells the texts of the label from the others; 0.5 is chance."""
    random_auroc: Observational[Estimate] | None
    """The same of one random direction that is active on as many tokens: what needs no training."""
    verdict: NotEvidence[LabelVerdict]
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class FamilyEffect:
    """The strongest of a family of directions, chosen on half of the templates and measured on the rest."""

    family: NotEvidence[str]
    tried: NotEvidence[int]
    component: NotEvidence[str]
    mean_value: Observational[float]
    """Norm of what is removed, where it is active."""
    zeroed: Causal[Estimate]
    """Share of the lead that is lost."""


def describe_both(label: LabelTest, effect: FeatureEffect) -> str:
    """Both findings in one sentence, each by its own name.

    Raises:
        ValueError: they are of different features.
    """
    if label.component != effect.component:
        raise ValueError(f"a label of {label.component} beside an effect of {effect.component}")
    said = {
        LabelVerdict.PLAUSIBLE: "plausible label",
        LabelVerdict.WRONG: "label not supported",
        LabelVerdict.UNRESOLVED: "label unresolved",
        LabelVerdict.UNTESTED: "label untested",
    }[label.verdict]
    done = {
        EffectVerdict.EFFECT: "effect",
        EffectVerdict.NONE: "no effect",
        EffectVerdict.UNRESOLVED: "effect unresolved",
    }[effect.verdict]
    return f"{label.component}: {said}, {done}"
