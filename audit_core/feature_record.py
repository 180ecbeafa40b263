"""What was recorded of the shipped dictionary: its evaluation, and how its features fire in another version of the model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

from pydantic import TypeAdapter

from audit_core.data_folder import DATA, read_record
from audit_core.evidence.kind import NotEvidence
from audit_core.evidence.source import hash_source
from audit_core.features.difference import FiringDifference
from audit_core.features.evaluation import DictionaryEvaluation
from audit_core.story import round_recorded

Result = TypeVar("Result")
EVALUATION, DIFFERENCE = "evaluation.json", "difference.json"
_MAX_BYTES = 1 << 20
_FORMS = {EVALUATION: DictionaryEvaluation, DIFFERENCE: FiringDifference}


@dataclass(frozen=True, kw_only=True)
class RecordedMeasure(Generic[Result]):
    """A result, and when and by which code it was measured."""

    recorded_at: NotEvidence[str]
    code_sha256: NotEvidence[str]
    wall_s: NotEvidence[float]
    result: Result


def write_measure(result: DictionaryEvaluation | FiringDifference, path: Path, *, wall_s: float) -> None:
    """Write a result as a record."""
    made = RecordedMeasure(
        recorded_at=datetime.now(UTC).isoformat(timespec="seconds"), code_sha256=hash_source(), wall_s=wall_s, result=result
    )  # fmt: skip
    plain = round_recorded(TypeAdapter(cast(Any, RecordedMeasure)[type(result)]).dump_python(made, mode="json"))
    path.write_text(json.dumps(plain, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


@cache
def load_measure(dictionary: str, name: str) -> RecordedMeasure[Any] | None:
    """The shipped record of a dictionary, by its digest; None without one.

    Raises:
        IntegrityError: it is too large or does not parse.
    """
    path = DATA / "features" / name
    if not path.exists():
        return None
    found: RecordedMeasure[Any] = read_record(path, cast(Any, RecordedMeasure)[_FORMS[name]], max_bytes=_MAX_BYTES)
    return found if found.result.dictionary == dictionary else None
