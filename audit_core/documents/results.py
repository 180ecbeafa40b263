"""The request about documents, and its result: consulted and relied on, side by side, never one number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from audit_core.controls import Controls
from audit_core.documents.labels import DELTA
from audit_core.evidence.kind import Causal, Estimated, NotEvidence, Observational
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, Request
from audit_core.stats.estimates import Estimate

FORM_VERSION = 1
"""Raise it when a question with the same documents becomes another text, or is measured in another way."""


@dataclass(frozen=True)
class DocumentSource:
    """The file behind the questions of a run."""

    name: str
    sha256: str
    n_in_file: int
    left_out: tuple[tuple[str, int], ...] = ()
    """Why questions were left out, and how many."""

    def to_json(self) -> dict[str, object]:
        return {
            "name": self.name, "sha256": self.sha256, "n_in_file": self.n_in_file,
            "left_out": [list(one) for one in self.left_out],
        }  # fmt: skip


@dataclass(frozen=True)
class DocumentsRequest(Request):
    """Request: questions with their documents, as prompts in the reader's form."""

    settings: ClassVar[Mapping[str, Any]] = {"form": FORM_VERSION, "delta": DELTA}

    prompts: TokenisedPrompts
    fillers: Annotated[int, Ask("Fillers", "Neutral texts that replace each document in turn.")] = 5
    edits: Annotated[int, Ask("Value edits", "Other values put into a document; about 40 decide a follow rate.")] = 40
    traced: Annotated[int, Ask("Traced questions", "Questions traced through the layers, at most.")] = 2
    by_sentence: Annotated[int, Ask("Questions by sentence", "Questions whose sentences are masked too, at most.")] = 0
    source: DocumentSource | None = None
    """The file that the questions are from; None for a prompt set in the reader's form."""
    seed: int = 0


@dataclass(frozen=True)
class DocumentsFile:
    """How a file of questions is asked, beside the fields of a request."""

    most_questions: Annotated[int, Ask("Questions", "At most, spread over the file.")] = 500


@dataclass(frozen=True, kw_only=True)
class DocumentRow:
    """One document of one question."""

    rank: int
    """Its place among the documents, from 1."""
    text: str
    """Its beginning."""
    states: str | None
    """Value that it states for the question, by its words."""
    score: Observational[float | None]
    """The retriever's score; None if the file has none."""
    attended: Observational[float | None]
    """Attention from the answer position, averaged over heads and layers; None if the model shows none."""
    cited: Observational[bool | None]
    """Whether the answer cites it; None without a citation."""
    replaced: Causal[Estimate]
    """Loss when it is replaced by fillers of its length; the interval is over fillers."""
    deleted: Causal[float]
    """Loss when it is deleted, in the unit of the result: the documents behind it move."""
    alone: Causal[Estimate]
    """Gain when only it is kept, over none."""
    shapley: Causal[float]
    """Its Shapley value over all sets of documents, in the unit of the result."""
    doubled: Causal[float]
    """Loss when it is repeated at the end, in the unit of the result."""
    follow: Causal[Estimate | None]
    """Share of edits of its value that the answer follows; None where it has no value to edit."""
    swapped: Causal[float | None] = None
    """Loss when the next hit of the ranking takes its place, in the unit of the result: the documents behind it may move. None
    where no next hit is known."""
    swapped_to: str = ""
    """The preferred value then; empty without a swap, and without a preference."""


@dataclass(frozen=True, kw_only=True)
class DocumentPair:
    """Two documents of one question, by rank."""

    first: int
    second: int
    joint: Causal[Estimate]
    """Loss when both are replaced."""
    interaction: Causal[Estimate]
    """What both restore beyond what each restores alone."""


@dataclass(frozen=True, kw_only=True)
class HeldOutSet:
    """A set of kept sentences that the fit has not seen."""

    kept: tuple[int, ...]
    """Numbers of the kept sentences over all documents, from 1; fillers take the place of the others."""
    measured: Causal[float]
    """Lead of the answer, in logits."""
    predicted: Estimated[float]
    """The same by the fit."""


@dataclass(frozen=True, kw_only=True)
class SentenceRow:
    """One sentence of one document."""

    document: int
    """Rank of its document."""
    place: int
    """Its place in the document, from 1."""
    text: str
    weight: Estimated[Estimate]
    """What keeping it adds to the lead by the fit, averaged over sets of the others; the interval is of the fit."""
    replaced: Causal[Estimate]
    """Loss when it alone is replaced; the interval is over fillers."""


@dataclass(frozen=True, kw_only=True)
class SentenceReading:
    """The sentences of one question."""

    n: int
    n_fit: int
    """Sets that the fit is made of."""
    n_held_out: int
    lds: Estimated[Estimate | None]
    """Linear datamodelling score: rank correlation of predicted and measured leads on the held-out sets; None without a test."""
    refused: str
    """Why nothing is said of single sentences; empty if it is."""
    sets: tuple[HeldOutSet, ...]
    sentences: tuple[SentenceRow, ...]


@dataclass(frozen=True, kw_only=True)
class QuestionRow:
    """One question."""

    id: str
    family: str
    question: str
    expected: str
    given: str
    """The value that the model prefers."""
    is_right: Observational[bool]
    is_first: Observational[bool]
    """Whether it is the most probable token of the whole vocabulary; of a closed model, whether its reply begins with it."""
    closed_book: str
    """The value that it prefers without documents; empty without a preference."""
    lead: Observational[float]
    """Logit of the given value minus that of the next one; of a closed model, its probability, or 1 by its reply."""
    foil: str
    label: str
    names: tuple[int, ...]
    """Ranks of the documents that the label is about."""
    reason: str
    """Why it is unresolved; empty otherwise."""
    delta: NotEvidence[float]
    """Smallest effect that matters, in the unit of the result."""
    documents: tuple[DocumentRow, ...]
    pairs: tuple[DocumentPair, ...]
    order: Causal[float]
    """Mean change of the lead over the other orders, in the unit of the result."""
    order_flips: int
    """Other orders that give another answer."""
    n_orders: int
    efficiency_error: NotEvidence[float]
    """Sum of the Shapley values minus the effect of all documents, in the unit of the result."""
    next_hit: str = ""
    """Beginning of the document that the ranking has after the last one; empty where it is not known."""
    sentences: SentenceReading | None = None
    """None where sentences were not asked for."""


@dataclass(frozen=True, kw_only=True)
class LabelShare:
    """How many questions have a label."""

    label: str
    n: int
    share: Causal[Estimate]


@dataclass(frozen=True, kw_only=True)
class FamilyRow:
    """The questions of one family."""

    family: str
    n: int
    accuracy: Observational[Estimate]
    refused: str
    """Why its labels are not counted; empty if they are."""
    labels: tuple[LabelShare, ...]
    lost: Causal[Estimate]
    """Largest loss by replacing one document, per question on average."""
    follow: Causal[Estimate | None]
    """Share of followed edits of documents that state a value."""


@dataclass(frozen=True, kw_only=True)
class DocumentTrace:
    """Restoring a document's fillers in one layer of the run with documents, on one question."""

    id: str
    rank: int
    lost: Causal[tuple[float, ...]]
    """Loss in logits when what enters the layer at the document's positions is that of a filler, by traced layer."""
    layers: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class DocumentsResult:
    """Every question, and the counts of labels."""

    finding: str
    unit: str
    n: int
    n_families: int
    accuracy: Observational[Estimate]
    labels: tuple[LabelShare, ...]
    families: tuple[FamilyRow, ...]
    agreement: Observational[Estimate | None]
    """Mean over questions of Spearman ρ between attention and loss over the documents."""
    questions: tuple[QuestionRow, ...]
    traces: tuple[DocumentTrace, ...]
    fillers: int
    source: NotEvidence[DocumentSource | None]
    controls: Controls
