"""Paths of the shipped files: next to the package in a checkout, inside it once installed."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

from audit_core.errors import IntegrityError

_PACKAGE = Path(__file__).resolve().parent
_INSTALLED = _PACKAGE / "data"

DATA = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent / "data"
"""Prompt sets, circuits, policies, references, texts, fonts."""
APP = _PACKAGE.parent / ("assay_dashboard/app.py" if _INSTALLED.is_dir() else "app.py")
"""Files that Streamlit serves; absent if the package was copied without the dashboard."""


def locate_home() -> Path:
    """Path of the data directory, which may not exist yet: `AUDIT_HOME`, else the user's data folder."""
    import platformdirs

    return Path(os.environ.get("AUDIT_HOME") or platformdirs.user_data_dir("assay", appauthor=False))


@cache
def load_texts() -> tuple[str, ...]:
    """Sentences of ordinary prose, unrelated to any task."""
    return tuple((DATA / "text/plain.txt").read_text(encoding="utf-8").split("\n")[:-1])


def read_record(path: Path, form: Any, *, max_bytes: int) -> Any:
    """A shipped JSON file as an instance of a dataclass.

    Raises:
        IntegrityError: it is missing, too large, or not of this form.
    """
    # Imported here: the command line starts without it.
    from pydantic import TypeAdapter

    if not path.is_file() or path.stat().st_size > max_bytes:
        raise IntegrityError(f"{path.name}: no record of at most {max_bytes:,} bytes ships with this version.")
    try:
        return TypeAdapter(form).validate_json(path.read_bytes())
    except ValueError as error:
        raise IntegrityError(f"{path.name} is not a record that this version reads: {str(error)[:300]}") from error


Result = TypeVar("Result")
MAX_RUN_BYTES = 4 << 20


@dataclass(frozen=True)
class ShippedRun(Generic[Result]):
    """A run on a shipped file that was recorded when this version was made."""

    result: Result
    model: str
    """Name that the model was opened by."""
    made_at: str
    code_sha256: str
    weights_sha256: str


def find_shipped_run(folder: Path, model: str, models: Collection[str], form: Any) -> Any:
    """The recorded run of a model, by the name it is opened by; None if there is none.

    Args:
        models: names with a recorded run.
        form: a `ShippedRun` of the audit's result.

    Raises:
        IntegrityError: it is too large, or not of this form.
    """
    path = folder / f"{model}.run.json"
    return read_record(path, form, max_bytes=MAX_RUN_BYTES) if model in models and path.is_file() else None
