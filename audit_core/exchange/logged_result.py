"""Results of logged runs, as their audits returned them."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter, ValidationError

from audit_core.errors import Refused
from audit_core.registry import get_plugin
from audit_core.store.log.run_log import RunRecord


def read_result(record: RunRecord) -> Any:
    """The result of a logged run.

    Raises:
        Refused: it ended without one, or is of an audit or a version of it that this program lacks.
    """
    wanted, again = "a run that ended with a result of this version.", "run the audit again."
    if record.result is None:
        raise Refused(f"Run {record.run_id} ended without a result: {record.outcome}.", wanted=wanted, remedy=again)
    shape: Any = get_plugin("audits", record.kind).result
    try:
        return TypeAdapter(shape).validate_json(record.result)
    except ValidationError as error:
        raise Refused(
            f"Run {record.run_id} has a result of another version of {record.kind}.", wanted=wanted, remedy=again
        ) from error
