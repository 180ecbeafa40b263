"""Documents of a closed model: what its replies depend on, by edits of the text alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from audit_core.audit import Audit
from audit_core.capability import REPLIES, Capability
from audit_core.closed.reading import read_closed_questions
from audit_core.closed.report import count_document_calls, measure_closed_documents
from audit_core.closed.results import ClosedDocumentsRequest, ClosedDocumentsResult
from audit_core.documents.results import DocumentsFile
from audit_core.request import Request
from audit_core.request_form import list_form_fields, read_answers
from audit_core.subject import Means, Progress, Subject, no_partial


@dataclass(frozen=True)
class ClosedDocumentsAudit(Audit):
    name: str = "closed_documents"
    question: str = "Which documents do the replies of a closed model rely on, by edits of the text alone?"
    request: type[Request] = ClosedDocumentsRequest
    result: type = ClosedDocumentsResult
    version: int = 2
    no_rate: str = "No closed model with known wiring is declared: a reply comes from an endpoint."
    summary: str = (
        "Every set of the documents is replaced by fillers of the same number of words, documents are deleted, reordered, "
        "repeated and edited, and the replies are read. Only the text is intervened on: `--endpoint` names the model."
    )
    counts_as: tuple[str, ...] = ("causal_results",)
    demands: tuple[Capability[Any], ...] = (REPLIES,)
    file_form: type | None = DocumentsFile

    def ask_file(
        self, subject: Subject, raw: bytes, name: str, answers: Mapping[str, str], *, seed: int = 0
    ) -> ClosedDocumentsRequest:
        self.require(subject)
        most = read_answers(DocumentsFile, answers).most_questions
        prompts, source = read_closed_questions(raw, name, most=most, seed=seed)
        given = {
            f.name: f.parse(answers[f.name]) for f in list_form_fields(ClosedDocumentsRequest) if f.name in answers
        }
        return replace(ClosedDocumentsRequest(prompts, source, seed=seed), **given)

    def count_work(self, subject: Subject, request: ClosedDocumentsRequest) -> int:
        return count_document_calls(request)

    def run(
        self,
        subject: Subject,
        request: ClosedDocumentsRequest,
        *,
        means: Means | None,
        on_progress: Progress,
        on_partial: Callable[[Any], None] = no_partial,
    ) -> ClosedDocumentsResult:
        return measure_closed_documents(subject, request, on_progress)


PLUGIN = ClosedDocumentsAudit()
