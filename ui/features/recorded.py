"""The recorded answer of an audit about one dictionary."""

from __future__ import annotations

from typing import Any

from audit_core import AuditError
from audit_core.features import DictionaryEntry
from audit_core.recorded import RecordedAnswer, load_recorded
from ui.flow.answers import show_refusal


def find_recorded(audit: str, model: str, entry: DictionaryEntry) -> RecordedAnswer[Any] | None:
    """The record on this model and dictionary, if one ships; one that cannot be read is shown as refused."""
    try:
        found = load_recorded(audit)
    except AuditError as error:
        show_refusal(error)
        return None
    return next((one for one in found if one.is_of(model) and one.result.dictionary == entry.sha256), None)
