"""The request about features of a dictionary, and its result: activity and label observed, effect measured, never one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from audit_core.controls import Controls
from audit_core.dictionaries.shelf import DEFAULT, find_dictionary
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.features.results import DELTA, LEAST_AUROC, EffectVerdict, LabelVerdict
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, Request
from audit_core.stats.estimates import Estimate

DictionaryName = Annotated[str, Ask("Dictionary", "A dictionary of this model, by its name; see `features list`.")]


@dataclass(frozen=True)
class FeaturesRequest(Request):
    """Request: features of a dictionary, on prompts or on a file of labelled texts."""

    settings: ClassVar[Mapping[str, Any]] = {"delta": DELTA, "least_auroc": LEAST_AUROC}

    prompts: TokenisedPrompts
    dictionary: DictionaryName = DEFAULT
    features: Annotated[
        str,
        Ask("Features", "Addresses, such as L12.F431. Empty: chosen on half of the templates, measured on the rest."),
    ] = ""
    most: Annotated[int, Ask("Chosen features", "How many are chosen where none is named, at most 8.")] = 2
    described: Annotated[
        str,
        Ask(
            "Described",
            "The label of the texts on which the features are said to fire: a label of the file, or an answer.",
        ),
    ] = ""
    file_name: str = ""
    file_sha256: str = ""
    """Of the file with the labels; empty for a prompt set, whose labels are its answers."""
    left_out: tuple[str, ...] = ()
    """Why texts of the file were left out."""
    seed: int = 0

    def describe(self) -> dict[str, Any]:
        # The name alone would let another version of the dictionary share its results.
        return super().describe() | {"dictionary_sha256": find_dictionary(self.dictionary).sha256}


@dataclass(frozen=True, kw_only=True)
class FeatureRow:
    """One feature: what it fires on, whether its label holds, and what its ablation does."""

    component: NotEvidence[str]
    both: NotEvidence[str]
    """Both findings, each by its own name."""
    firing_rate: Observational[float]
    """Share of the tokens of the measured prompts."""
    mean_value: Observational[float]
    """Where it is active; the decoder has length 1, so this is the norm of what is removed."""
    label_verdict: NotEvidence[LabelVerdict]
    label_why: str
    auroc: Observational[Estimate] | None
    """How well the largest value in a text tells the described texts from the others; 0.5 is chance; None: not tested."""
    random_auroc: Observational[Estimate] | None
    """The same of one random direction that is active on as many tokens."""
    effect_verdict: NotEvidence[EffectVerdict]
    effect_why: str
    zeroed: Causal[Estimate] | None
    """Share of the lead that is lost without the feature; None: not measured, see `effect_why`."""
    mean_set: Causal[Estimate] | None
    """The same with its mean value everywhere."""
    matched: NotEvidence[int]
    """Random features in the comparison."""
    largest_matched: Causal[float] | None
    """Largest share that one of them changes, up or down."""


@dataclass(frozen=True, kw_only=True)
class FeaturesResult:
    """Features of a dictionary on some prompts."""

    finding: str
    unit: str
    dictionary: str
    dictionary_sha256: str
    layer: NotEvidence[int]
    n: int
    """Measured prompts."""
    n_templates: int
    n_chosen_on: int
    """Prompts on which the features were chosen; 0 where they were named."""
    described: str
    """Label of the texts that the features are said to fire on; empty: no label was tested."""
    rows: tuple[FeatureRow, ...]
    no_effect: str
    """Why no effect was measured; empty otherwise."""
    lead: Observational[Estimate] | None
    """Logit of the answer minus that of the foil, unedited."""
    control: Causal[Estimate] | None
    """Positive control: share of the lead lost with the whole activation of the pair's other text."""
    identity_max: NotEvidence[float | None]
    """Check: largest change of a logit by a feature's own value."""
    noise_min: NotEvidence[float | None]
    """Check: smallest change, over features, by large noise in a feature, in logits."""
    level: NotEvidence[float | None]
    """Of the intervals of the effects, corrected for the number of features."""
    delta: NotEvidence[float]
    least_auroc: NotEvidence[float]
    file_name: str
    file_sha256: str
    left_out: tuple[str, ...]
    controls: NotEvidence[Controls] | None
