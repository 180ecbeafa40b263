"""Recorded answers: the result of a long audit, shipped and shown as recorded until it is measured again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar, cast

from audit_core.data_folder import DATA, read_record
from audit_core.models.known import find_known
from audit_core.registry import get_plugin
from audit_core.request import Request
from audit_core.story import MeasuredWith

Result = TypeVar("Result")
MAX_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class RecordedAnswer(Generic[Result]):
    """One result, with everything that it depends on."""

    audit: str
    model_file_sha256: str
    """Digest of the file that the known model is converted from: identifies it before it is loaded."""
    asked: dict[str, Any]
    """The request as described in the log."""
    version: int
    """Version of the audit's result; another version is not shown."""
    wall_s: float
    measured_with: MeasuredWith
    result: Result

    def is_of(self, model: str) -> bool:
        """Whether it is of this known model, in the form that the audit of today stores; the model need not be loaded."""
        known = find_known(model)
        return (
            known is not None
            and known.member_sha256 == self.model_file_sha256
            and self.version == get_plugin("audits", self.audit).version
        )

    def answers(self, request: Request, weights_sha256: str) -> bool:
        """Whether it answers exactly this request of a loaded model."""
        asked = json.loads(json.dumps(request.describe()))
        return weights_sha256 == self.measured_with.identity["weights_sha256"] and bool(asked == self.asked)


@cache
def load_recorded(audit: str) -> tuple[RecordedAnswer[Any], ...]:
    """The shipped answers of an audit: the files `recorded*.json` of its folder in `data/`.

    Raises:
        IntegrityError: one is too large or does not parse.
    """
    form = cast(Any, RecordedAnswer)[get_plugin("audits", audit).result]
    paths = sorted((DATA / audit).glob("recorded*.json"))
    return tuple(read_record(path, form, max_bytes=MAX_BYTES) for path in paths)
