"""Documents: which a reader consults, beside which its answer relies on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from audit_core.audit import Audit, Example, Verdicts, know_verdict
from audit_core.capability import DOCUMENTS, Capability
from audit_core.documents.labels import Label
from audit_core.documents.reading import ask_documents
from audit_core.documents.report import MAX_QUESTIONS, count_work_of, measure_documents
from audit_core.documents.results import DocumentsFile, DocumentsRequest, DocumentsResult
from audit_core.errors import Refused
from audit_core.request import Request
from audit_core.request_form import make_request, read_answers
from audit_core.subject import Means, Progress, Subject, no_partial


def _know_label(label: Label, *numbers: int) -> Verdicts:
    """This label of every question, and of these documents."""

    def read(found: DocumentsResult) -> list[str]:
        return [
            row.label if row.names == numbers or row.label == Label.UNRESOLVED else f"{row.label} {row.names}"
            for row in found.questions
        ]

    return Verdicts(read, label.value, frozenset({Label.UNRESOLVED.value}))


_EXAMPLES = (
    know_verdict(
        {},
        "The answer is copied from the second document: every question is grounded in it.",
        _know_label(Label.GROUNDED, 2),
        task="reader-lookup",
    ),
    know_verdict(
        {},
        "Two documents state the answer: neither alone matters, both together do.",
        _know_label(Label.REDUNDANT, 2, 3),
        task="reader-twice",
    ),
    Example(
        {"by_sentence": "1", "fillers": "2", "edits": "2"},
        "The answer is copied from the last sentence of the second document: that sentence alone has a weight.",
        lambda found: (
            [(one.document, one.place) for one in found.questions[0].sentences.sentences if one.weight.value > 1]
            == [(2, 2)]
        ),
        task="reader-sentences",
        is_of_one=True,
    ),
)
_CONTRASTS = (
    know_verdict(
        {},
        "The answer is remembered: no question relies on a document.",
        _know_label(Label.PARAMETRIC),
        task="reader-remembered",
        model="planted-reader-parametric",
    ),
    know_verdict(
        {},
        "The answer is copied from the first document, which does not state it.",
        _know_label(Label.WRONG_SOURCE, 1),
        task="reader-first",
        model="planted-reader-wrong-document",
    ),
)


@dataclass(frozen=True)
class DocumentsAudit(Audit):
    name: str = "documents"
    question: str = "Which documents does a reader consult, and which does its answer rely on?"
    request: type[Request] = DocumentsRequest
    result: type = DocumentsResult
    version: int = 2
    shown_versions: tuple[int, ...] = (1,)
    summary: str = (
        "Every set of the documents is replaced by fillers of the same length, documents are deleted, reordered, repeated "
        "and edited. Attention and citations are shown apart."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    planted: str = "planted-reader-grounded"
    examples: tuple[Example, ...] = _EXAMPLES
    contrasts: tuple[Example, ...] = _CONTRASTS
    demands: tuple[Capability[Any], ...] = (DOCUMENTS,)
    keeps_parts: bool = True
    file_form: type | None = DocumentsFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> DocumentsRequest:
        self.require(subject)
        most = read_answers(DocumentsFile, answers).most_questions
        if not 1 <= most <= MAX_QUESTIONS:
            raise Refused(f"{most} questions.", wanted=f"1 to {MAX_QUESTIONS}.", remedy="change the number.")
        prompts, source = ask_documents(raw, name, subject, most=most)
        request = make_request(
            DocumentsRequest, answers, subject=subject, prompts=prompts, reference=prompts, explored=prompts, seed=seed
        )
        return replace(request, source=source)  # type: ignore[type-var,return-value]

    def count_work(self, subject: Subject, request: DocumentsRequest) -> int:
        return count_work_of(subject, request).total * subject.geometry.n_layers

    def run(
        self,
        subject: Subject,
        request: DocumentsRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> DocumentsResult:
        return measure_documents(subject, request, on_progress)


PLUGIN = DocumentsAudit()
