"""The cache folder of fetched models, and helpers for its files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from audit_core.errors import ModelRefused

Progress = Callable[[str, int, int], None]
"""Progress callback, called as (stage, done, total); total 0 means unknown. May raise `Cancelled` to stop.

Stages, in order: "wait" (another process is fetching), "download" (bytes), "unpack" (bytes),
"convert" (tensors), "write" (files).
"""

CACHE_VARIABLE = "AUDIT_MODELS"


def ignore_progress(stage: str, done: int, total: int) -> None:
    """Progress callback that does nothing."""


def model_cache() -> Path:
    """Return the folder for fetched models: $AUDIT_MODELS, or the user's cache folder."""
    named = os.environ.get(CACHE_VARIABLE)
    if named:
        return Path(named).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("assay", appauthor=False)) / "models"


def hash_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file, read in chunks."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def refuse_storage(found: str, cache: Path, wanted_bytes: int) -> ModelRefused:
    """Return the error for a cache that is full or not writable."""
    return ModelRefused(
        f"{found.rstrip('.')} (model cache {cache}).",
        wanted=f"a writable folder with {wanted_bytes / 1e6:.0f} MB free.",
        remedy=f"free space there, or set {CACHE_VARIABLE} to a folder on another disk.",
    )
