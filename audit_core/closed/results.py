"""Requests about closed models, and their results: only the text is intervened on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from audit_core.controls import Controls
from audit_core.documents.labels import DELTA
from audit_core.documents.results import DocumentSource, FamilyRow, LabelShare, QuestionRow
from audit_core.evidence.kind import Causal, NotEvidence, Observational
from audit_core.prompts.prompt_set import TokenisedPrompts
from audit_core.request import Ask, Request
from audit_core.stats.estimates import Estimate
from audit_core.tools.results import EditRow

FORM_VERSION = 1
"""Raise it when a question becomes another text, or a reply is read in another way."""
LIMIT = (
    "Behavioural: only the text was intervened on. Heads, experts and features of a closed model are not available, so "
    "this says what the replies depend on, and nothing of how."
)


@dataclass(frozen=True)
class ClosedDocumentsRequest(Request):
    """Request: the questions of a file, with their documents."""

    settings: ClassVar[Mapping[str, Any]] = {"form": FORM_VERSION, "delta": DELTA}

    prompts: TokenisedPrompts
    source: DocumentSource
    """The file that the questions are from."""
    fillers: Annotated[int, Ask("Fillers", "Neutral texts of the same number of words that replace each document.")] = 3
    edits: Annotated[int, Ask("Value edits", "Other values put into a document; 16 can decide a follow rate.")] = 20
    seed: int = 0


@dataclass(frozen=True)
class ClosedToolsRequest(Request):
    """Request: the requests of a file, each with every edit of its result."""

    settings: ClassVar[Mapping[str, Any]] = {"form": FORM_VERSION}

    prompts: TokenisedPrompts
    source: DocumentSource
    """The file that the requests are from."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class ClosedDocumentsResult:
    """Every question, and the counts of labels."""

    finding: str
    limit: str
    """What this does not show."""
    read_by: str
    """How answers were read: from log-probabilities of the first token, or from the words of the reply."""
    unit: str
    n: int
    left_out: tuple[tuple[str, int], ...]
    """Why questions of the run are not measured, and how many."""
    accuracy: Observational[Estimate]
    replaced: Causal[Estimate]
    """Share of questions with another answer when every document is replaced by its first filler."""
    deleted: Causal[Estimate]
    """The same without documents."""
    followed: Causal[Estimate | None]
    """Share of edits of stated values that the answer follows; None where no document states one."""
    labels: tuple[LabelShare, ...]
    families: tuple[FamilyRow, ...]
    questions: tuple[QuestionRow, ...]
    fillers: int
    calls: int
    """Texts whose replies were read."""
    reading_error: NotEvidence[float]
    """Largest probability that a value may have beyond what was read; 0 by words."""
    source: NotEvidence[DocumentSource | None]
    controls: Controls
    """Identity: the same text again. Noise: another text. In the unit of the result."""


@dataclass(frozen=True, kw_only=True)
class ClosedToolsResult:
    """Whether replies rely on the results of tools that they are shown."""

    finding: str
    limit: str
    """What this does not show."""
    verdicts: tuple[str, ...]
    """Values of `Verdict` on the result."""
    reason: str
    n: int
    left_out: tuple[tuple[str, int], ...]
    """Why requests are not measured, and how many."""
    answered: Causal[Estimate]
    """Share of right answers with the result as executed."""
    edits: tuple[EditRow, ...]
    calls: int
    source: NotEvidence[DocumentSource | None]
    controls: Controls
    """Identity: the same text again. Noise: another text. 0 for the same reply, 1 for another."""
