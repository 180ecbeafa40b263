"""The request about a label, and its result: what a probe decodes and what the answer relies on, never one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from audit_core.controls import Controls
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, Request
from audit_core.stats.estimates import Estimate

DELTA = 0.1
"""Smallest share of the lead that matters, and smallest accuracy above the more frequent label."""


class Position(StrEnum):
    """Token at which activations are read and edited."""

    LABEL = "label"
    """The last token in which the two texts of a pair differ."""
    LAST = "last"
    """The last token of the text, from which the answer is read."""


class ProbeVerdict(StrEnum):
    """What a site is to a label."""

    USED = "decodable and used"
    UNUSED = "decodable, not used"
    ABSENT = "not decodable"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True)
class LabelSource:
    """The file behind the labelled texts of a run."""

    name: str
    sha256: str
    n_in_file: int
    has_answers: bool
    left_out: tuple[tuple[str, int], ...] = ()
    """Why texts were left out, and how many."""

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name, "sha256": self.sha256, "n_in_file": self.n_in_file, "has_answers": self.has_answers,
            "left_out": [list(one) for one in self.left_out],
        }  # fmt: skip


@dataclass(frozen=True)
class ProbesRequest(Request):
    """Request: pairs of texts with different labels. The label is a prompt's group, or its answer without a source."""

    settings: ClassVar[Mapping[str, Any]] = {"delta": DELTA}

    prompts: TokenisedPrompts
    layers: Annotated[int, Ask("Layers", "Spread from the first to the last.")] = 8
    texts: Annotated[int, Ask("Edited texts", "Texts on which the label is erased and swapped, at most.")] = 24
    draws: Annotated[int, Ask("Random subspaces", "Of equal rank, at each site; at least 19.")] = 19
    source: LabelSource | None = None
    """The file that the labels are from; None for a prompt set, whose labels are its answers."""
    seed: int = 0


@dataclass(frozen=True)
class ProbesFile:
    """How a file of labelled texts is asked, beside the fields of a request."""

    most_texts: Annotated[int, Ask("Texts", "At most, spread over the file.")] = 400


@dataclass(frozen=True, kw_only=True)
class ProbeSite:
    """One layer at one position."""

    layer: int
    position: str
    accuracy: Observational[Estimate]
    """Share of texts that a probe labels rightly, trained on other templates (and other words, where they are held out)."""
    seen_words: Observational[Estimate | None]
    """The same with the words seen in training; None where words are not held out."""
    control: Observational[Estimate | None]
    """Accuracy on random labels per word, words seen in training; None with too few words."""
    selectivity: Observational[Estimate | None]
    """Accuracy with seen words minus that on random labels."""
    compression: Observational[float]
    """Bits of the labels without a probe, per bit of an online code with one."""
    erased_accuracy: NotEvidence[float | None]
    """Accuracy of a probe trained and tested on activations with the label erased: the check of the erasure."""
    erased: Causal[Estimate | None]
    """Share of the lead lost when the label is erased."""
    erased_moved: Causal[Estimate | None]
    """Mean size of that change, whatever its sign."""
    erased_random: Causal[float | None]
    """Largest share lost when a random subspace is erased."""
    swapped: Causal[Estimate | None]
    """Share of the lead lost when the label's coordinate is that of the pair's other text; 2 would swap the answers."""
    swapped_moved: Causal[Estimate | None]
    swapped_random: Causal[float | None]
    """Largest share lost when a random coordinate is swapped."""
    whole: Causal[Estimate | None]
    """Share lost when the whole activation is that of the pair's other text: what any subspace here could do."""
    verdict: str
    reason: str
    """Why it is unresolved; empty otherwise."""


@dataclass(frozen=True, kw_only=True)
class ProbesResult:
    """A label at every site."""

    finding: str
    unit: str
    labels: tuple[str, str]
    n: int
    """Labelled texts."""
    n_templates: int
    n_words: int
    """Distinct words in which the texts of a pair differ."""
    holds_out_words: bool
    chance: NotEvidence[float]
    """Share of the more frequent label."""
    delta: NotEvidence[float]
    n_edited: int
    lead: Observational[Estimate | None]
    """Logit of the answer minus that of the foil, without an edit."""
    no_use: str
    """Why no edit was measured; empty otherwise."""
    sites: tuple[ProbeSite, ...]
    draws: int
    self_swap: NotEvidence[float | None]
    """Check: largest change of a logit when a label's coordinate is replaced by its own value."""
    source: NotEvidence[LabelSource | None]
    controls: Controls | None
