"""The recorded comparison of two models in the sample."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from audit_core.change.effect_diff import EffectDiff
from audit_core.change.model_diff import ModelDiff
from audit_core.errors import IntegrityError
from audit_core.sample.installation import CHANGE


@dataclass(frozen=True)
class RecordedChange:
    """Files and effects of the default model and its edited sibling."""

    models: ModelDiff
    effects: EffectDiff


@cache
def _adapter() -> TypeAdapter[RecordedChange]:
    # Built on first use, because it takes a tenth of a second.
    return TypeAdapter(RecordedChange)


def read_recorded_change(sample: Path) -> RecordedChange:
    """Read the comparison from the sample's data directory.

    Raises:
        IntegrityError: it is missing or cannot be read.
    """
    try:
        return _adapter().validate_json((sample / CHANGE).read_bytes())
    except (OSError, ValidationError) as error:
        raise IntegrityError(f"The recorded comparison of the sample cannot be read: {CHANGE}.") from error
