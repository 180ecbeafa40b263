"""The request about steering, and its result: what holds a concept, how fluent it is, and what it costs elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from audit_core.component import Kind
from audit_core.controls import Controls
from audit_core.dictionaries.shelf import find_dictionary
from audit_core.evidence.kind import Causal, NotEvidence
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, Request
from audit_core.stats.estimates import Estimate
from audit_core.steering.concepts import SteeringTask

DELTA = 0.1
"""Smallest difference of the concept score that matters, as a share of the continuations."""
MOST_RATIO = 3.0
"""A strength is chosen only where the perplexity of its continuations is at most this many times that of unedited ones."""
WORSE_RATIO = 1.1
"""Perplexity relative to prompting above which a continuation is less fluent."""
SHARE = "of continuations"


class Method(StrEnum):
    """What is done to the model, or to its prompt."""

    NONE = "unedited"
    PROMPTING = "prompting"
    DIFFMEAN = "DiffMean"
    PROBE = "probe"
    FEATURE = "feature"
    RANDOM = "random direction"


STEERED = (Method.DIFFMEAN, Method.PROBE, Method.FEATURE)
"""Methods that get a verdict."""


class SteeringVerdict(StrEnum):
    """A direction beside the baselines."""

    BETTER = "better than the baselines"
    NOT_BETTER = "not better"
    WORSE_FLUENCY = "worse fluency"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class SteeringRequest(Request):
    """Request: the concepts of a file, directions in one layer, and strengths."""

    settings: ClassVar[Mapping[str, Any]] = {
        "delta": DELTA, "most_ratio": MOST_RATIO, "worse_ratio": WORSE_RATIO,
    }  # fmt: skip

    prompts: TokenisedPrompts
    task: SteeringTask
    layer: Annotated[
        int, Ask("Layer", "Whose input is steered; −1: that of the model's dictionary, else a middle one.")
    ] = -1
    strengths: Annotated[
        str, Ask("Strengths", "Lengths of the added vector, in median norms of the layer's input.")
    ] = "0.2 0.35 0.5"
    n_tokens: Annotated[int, Ask("Tokens", "Written after each prompt.")] = 12
    temperature: Annotated[float, Ask("Temperature", "Of sampling; 0: the likeliest token.")] = 0.7
    draws: Annotated[
        int, Ask("Random directions", "At least 19; up to 20 for each verdict where all else is above the baselines.")
    ] = 19
    dictionary: str = ""
    """Name of the shipped dictionary that the feature is from; empty for none."""
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return (Replacement.ADD,)

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset((Kind.RESID,))

    def describe(self) -> dict[str, Any]:
        digest = find_dictionary(self.dictionary).sha256 if self.dictionary else ""
        return super().describe() | {"dictionary_sha256": digest}


@dataclass(frozen=True)
class SteeringFile:
    """How a file of concepts is read."""

    concepts: Annotated[str, Ask("Concepts", "Their names in the file; empty: all.", can_be_empty=True)] = ""


@dataclass(frozen=True, kw_only=True)
class SteeringRow:
    """One method on one concept, at the strength that was chosen on other prompts."""

    concept: str
    method: NotEvidence[Method]
    what: str
    """The direction, or the text before the prompt."""
    strength: NotEvidence[float | None]
    """In median norms; None where nothing is added."""
    score: Causal[Estimate]
    """Share of continuations that hold the concept."""
    gain: Causal[Estimate | None]
    """The score minus that of the unedited model, on the same prompts; None for that model."""
    mass: Causal[Estimate | None]
    """Change of the log-probability of the concept's tokens at the first written token, in nats."""
    perplexity: Causal[Estimate]
    """Of the continuation after the bare prompt, under the unedited model."""
    ratio: Causal[Estimate | None]
    """Perplexity relative to that of unedited continuations of the same prompts."""
    repeated: Causal[Estimate]
    """Share of written tokens that were written before in the same continuation, which perplexity does not show."""
    off_target: Causal[Estimate | None]
    """Divergence of the next-token distributions on texts that do not concern the concept (Kullback–Leibler), in nats."""
    verdict: NotEvidence[SteeringVerdict] | None
    """None for what is no direction of the concept."""
    why: str
    p: NotEvidence[float | None] = None
    """Of being above every baseline: the largest of the p-values beside each. None for what has no verdict, and before version 2."""
    p_adjusted: NotEvidence[float | None] = None
    """After Holm's correction for the number of verdicts."""


@dataclass(frozen=True, kw_only=True)
class DoseRow:
    """One strength of one method, on the prompts on which strengths are chosen."""

    concept: str
    method: NotEvidence[Method]
    what: str
    strength: NotEvidence[float | None]
    score: Causal[Estimate]
    mass: Causal[Estimate]
    ratio: Causal[Estimate]
    off_target: Causal[Estimate | None]
    """None where it was not measured: for single random directions."""
    is_chosen: bool


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Concept score of a direction minus that of a baseline, on the same prompts."""

    concept: str
    method: NotEvidence[Method]
    baseline: NotEvidence[Method]
    difference: Causal[Estimate]
    ratio: Causal[Estimate]
    """Perplexity relative to the baseline's."""
    p_random: NotEvidence[float | None]
    """For random directions: share of them that gain as much, counting the direction itself."""
    p: NotEvidence[float | None] = None
    """Of the difference above zero, before any correction. None before version 2."""
    n_random: NotEvidence[int | None] = None
    """Random directions that `p_random` is among."""


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """One continuation."""

    concept: str
    method: NotEvidence[Method]
    strength: NotEvidence[float | None]
    prompt: str
    text: str
    holds: bool


@dataclass(frozen=True, kw_only=True)
class ConceptRule:
    """How a concept was checked and prompted for."""

    concept: str
    rule: str
    words: tuple[str, ...]
    at_least: NotEvidence[int]
    """Different words of the list that a continuation needs."""
    instruction: str


@dataclass(frozen=True, kw_only=True)
class SteeringResult:
    """Directions of some concepts beside prompting and random directions."""

    finding: str
    unit: str
    n: int
    """Prompts of the table."""
    n_chosen_on: int
    """Other prompts, on which strengths were chosen."""
    layer: NotEvidence[int]
    norm: NotEvidence[float]
    """Median norm of the layer's input, in units of the activation: a strength of 1."""
    n_tokens: int
    temperature: NotEvidence[float]
    draws: NotEvidence[int]
    rules: tuple[ConceptRule, ...]
    rows: tuple[SteeringRow, ...]
    differences: tuple[Difference, ...]
    level: NotEvidence[float]
    """Of the intervals of the differences, corrected for the number of verdicts."""
    doses: tuple[DoseRow, ...]
    continuations: tuple[Continuation, ...]
    no_feature: str
    """Why no feature was measured; empty if one was."""
    delta: NotEvidence[float]
    most_ratio: NotEvidence[float]
    worse_ratio: NotEvidence[float]
    apart: NotEvidence[float]
    """Check: largest difference between a token as it was written and one pass over the whole text, in logits."""
    dictionary: str
    file_name: str
    file_sha256: str
    controls: NotEvidence[Controls]
    n_verdicts: NotEvidence[int | None] = None
    """Verdicts that the p-values are corrected for. None before version 2, whose share of random directions was not corrected."""
    n_ranked_on: int | None = None
    """Prompts on which a direction is ranked among random ones. None before version 2: all of them."""
