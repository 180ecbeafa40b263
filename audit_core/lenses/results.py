"""The request about lenses, and its result: what a lens shows and what a replacement does, never one number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from audit_core.component import Kind
from audit_core.controls import Controls
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.intervention import Replacement
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import AnyAblation, Ask, Request
from audit_core.stats.estimates import Estimate

DELTA = 0.1
"""Smallest share of interest: of the lead for what a part writes, of the clean – corrupted gap for what replacing it does."""


class LensWriting(StrEnum):
    """What a part writes to the logit difference, by its interval."""

    FOR = "writes for the answer"
    AGAINST = "writes against the answer"
    LITTLE = "writes little"
    UNDECIDED = "writing undecided"


class LensEffect(StrEnum):
    """What replacing a part does to the logit difference, by its interval."""

    LOWERS = "replacing lowers the lead"
    RAISES = "replacing raises the lead"
    NEGLIGIBLE = "replacing does little"
    UNDECIDED = "effect undecided"


@dataclass(frozen=True)
class LensesRequest(Request):
    """Request: prompts, and what heads and MLPs are replaced with."""

    settings: ClassVar[Mapping[str, Any]] = {"delta": DELTA}

    prompts: TokenisedPrompts
    reference: TokenisedPrompts
    replacement: AnyAblation = Replacement.RESAMPLE
    jacobian: Annotated[
        int,
        Ask(
            "Texts of the Jacobian lens",
            "Reference prompts that it is fitted on; 0 leaves it out. Each costs hundreds of runs.",
        ),
    ] = 0
    seed: int = 0

    @property
    def replacements(self) -> tuple[Replacement, ...]:
        return (self.replacement,)

    @property
    def kinds(self) -> frozenset[Kind]:
        return frozenset((Kind.HEAD, Kind.MLP))


@dataclass(frozen=True, kw_only=True)
class LensLayer:
    """The residual stream entering one layer, at the answer position; the last has left all layers."""

    layer: int
    lens: Observational[Estimate]
    """Logit of the answer minus that of the foil, read through the final norm and the unembedding."""
    prefers: Observational[float]
    """Share of the prompts on which this difference is positive."""
    jacobian: Observational[Estimate | None] = None
    """The same after the mean derivative of the rest of the model has carried the stream to the end; None before the first layer,
    and where no Jacobian lens was fitted."""
    measured: Causal[Estimate | None]
    """Lead lost when the stream here is that of the counterpart's run; None after the last layer."""


@dataclass(frozen=True, kw_only=True)
class LensPart:
    """One head or MLP."""

    component: str
    direct: Observational[Estimate]
    """What it writes to the logit difference on the unchanged run."""
    writing: Observational[str]
    measured: Causal[Estimate]
    """Lead lost when it is replaced."""
    effect: Causal[str]


@dataclass(frozen=True, kw_only=True)
class LensesResult:
    """Layers and parts, each with what is read and what is measured."""

    finding: str
    prompt_set: NotEvidence[str]
    prompt_set_sha256: NotEvidence[str]
    """Digest of the whole set, of which `split` was read and measured."""
    split: NotEvidence[str]
    unit: str
    n: int
    n_templates: int
    replacement: str
    delta: NotEvidence[float]
    lead: Observational[Estimate]
    """Logit difference of the clean runs."""
    gap: Observational[Estimate]
    """Clean minus corrupted logit difference."""
    least_written: NotEvidence[float]
    """δ of the lead, in logits."""
    least_effect: NotEvidence[float]
    """δ of the gap, in logits."""
    layers: tuple[LensLayer, ...]
    parts: tuple[LensPart, ...]
    no_parts: str
    """Why no part was read; empty otherwise."""
    rest: Observational[Estimate | None]
    """What embeddings and biases write."""
    heads_agree: Observational[Estimate | None]
    """Rank correlation of heads by size of what they write and by size of the measured effect."""
    parts_agree: Observational[Estimate | None]
    """The same over heads and MLPs together."""
    lens_agrees: Observational[Estimate | None] = None
    """Rank correlation of layers by size of what the logit lens reads and by size of the measured effect; None in older results,
    and where all layers are alike."""
    jacobian_agrees: Observational[Estimate | None] = None
    """The same of the Jacobian lens, over the same layers."""
    n_texts: int = 0
    """Texts that the Jacobian lens was fitted on."""
    no_jacobian: str = ""
    """Why it was not read; empty if it was, or was not asked for."""
    no_agreement: str
    """Why a correlation is missing; empty otherwise."""
    added_up: NotEvidence[float | None]
    """Check: largest difference between the sum of what parts write and the logit difference."""
    controls: Controls


def count_pairs(parts: Sequence[LensPart]) -> dict[tuple[str, str], int]:
    """Number of parts by what they write and what replacing them does."""
    found = {(writing.value, effect.value): 0 for writing in LensWriting for effect in LensEffect}
    for part in parts:
        found[part.writing, part.effect] += 1
    return found
