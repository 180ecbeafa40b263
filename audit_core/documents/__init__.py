"""Documents of a reader: which are consulted, and which its answer relies on."""

from audit_core.documents.form import MAX_DOCUMENTS
from audit_core.documents.labels import Judged, Label, Measured, judge_question
from audit_core.documents.results import (
    DocumentPair,
    DocumentRow,
    DocumentsFile,
    DocumentSource,
    DocumentsRequest,
    DocumentsResult,
    DocumentTrace,
    FamilyRow,
    HeldOutSet,
    LabelShare,
    QuestionRow,
    SentenceReading,
    SentenceRow,
)
from audit_core.documents.retrieval import Retrieved, read_passages, retrieve
from audit_core.documents.shipped import BY_SENTENCE, SHIPPED, read_shipped

__all__ = [
    "BY_SENTENCE",
    "MAX_DOCUMENTS",
    "SHIPPED",
    "DocumentPair",
    "DocumentRow",
    "DocumentSource",
    "DocumentTrace",
    "DocumentsFile",
    "DocumentsRequest",
    "DocumentsResult",
    "FamilyRow",
    "HeldOutSet",
    "Judged",
    "Label",
    "LabelShare",
    "Measured",
    "QuestionRow",
    "Retrieved",
    "SentenceReading",
    "SentenceRow",
    "judge_question",
    "read_passages",
    "read_shipped",
    "retrieve",
]
