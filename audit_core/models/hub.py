"""Fetch a model from the hub: small files first, weights only if those pass the checks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from audit_core.errors import Cancelled, ModelRefused
from audit_core.models.access import ANONYMOUS, TOKEN_VARIABLE, ModelAccess
from audit_core.models.cache import Progress
from audit_core.models.folder import check_configs

_SMALL_FILES = ("*.json", "*.txt", "*.model", "*.jinja")
_WEIGHT_FILES = ("*.safetensors",)
# Folders may contain the same weights in other formats; consolidated* is Mistral's own layout.
_IGNORED_FILES = ("*/*", "consolidated*")


def fetch_from_hub(repo_id: str, on_progress: Progress | None, access: ModelAccess = ANONYMOUS) -> Path:
    """Return the snapshot of a hub model in the hub library's cache; only from the cache if offline or without requests.

    A cancelled fetch deletes what it wrote.

    Raises:
        ModelRefused: the hub is unreachable, has no such model for this user, or the model requests to run code.
    """
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, XetDownloadError

    # The library re-exports the base class of its HTTP client's errors.
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined, unused-ignore]  # isort: skip

    cached = find_in_cache(repo_id)
    if access.is_cached_only:
        if cached is None:
            raise _refuse_uncached(repo_id)
        return cached
    bar = _silent_bar(on_progress)
    try:
        with _leaving_nothing(repo_id):
            small = _snapshot(repo_id, bar, _SMALL_FILES, access)
            check_configs(small)
            # The folder is named by its commit, which must be the same for both calls.
            return _snapshot(repo_id, bar, _SMALL_FILES + _WEIGHT_FILES, access, revision=small.name)
    except (GatedRepoError, RepositoryNotFoundError) as error:
        if cached is not None:
            # Fetched before by a user with access.
            return cached
        is_gated = isinstance(error, GatedRepoError)
        state = (
            "requires its users to accept terms first" if is_gated else "is not on the hub, or you have no access to it"
        )
        first = "accept them there" if is_gated else "check the spelling"
        raise _refuse(
            repo_id, state, f"{first}, set {TOKEN_VARIABLE} and fetch it on the command line", error
        ) from error
    except (OSError, HTTPError, XetDownloadError, ValueError) as error:
        raise _refuse(repo_id, "could not be fetched", "check the network and run again", error) from error


def find_in_cache(repo_id: str) -> Path | None:
    """Return the last fetched snapshot if the hub library's cache has it completely; makes no request."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = snapshot_download(
            repo_id,
            allow_patterns=[*_SMALL_FILES, *_WEIGHT_FILES],
            ignore_patterns=list(_IGNORED_FILES),
            local_files_only=True,
            token=False,
        )
    except (LocalEntryNotFoundError, OSError, ValueError):
        return None
    # Without the library's list of files, the snapshot may be incomplete.
    return Path(folder) if any(Path(folder).glob("*.safetensors")) else None


@contextmanager
def _leaving_nothing(repo_id: str) -> Iterator[None]:
    """On cancellation, delete a new cache entry, or the unfinished files of an existing one."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    name = repo_folder_name(repo_id=repo_id, repo_type="model")
    entry = Path(constants.HF_HUB_CACHE) / name
    was_there = entry.exists()
    try:
        yield
    except Cancelled:
        for path in entry.glob("blobs/*.incomplete"):
            path.unlink(missing_ok=True)
        if not was_there:
            shutil.rmtree(entry, ignore_errors=True)
            shutil.rmtree(entry.parent / ".locks" / name, ignore_errors=True)
        raise


def _snapshot(
    repo_id: str, bar: type[Any], patterns: tuple[str, ...], access: ModelAccess, *, revision: str | None = None
) -> Path:
    from huggingface_hub import snapshot_download

    folder = snapshot_download(
        repo_id,
        revision=revision,
        allow_patterns=list(patterns),
        ignore_patterns=list(_IGNORED_FILES),
        tqdm_class=bar,
        # False, not None: None would send this machine's stored login or a token from the environment.
        token=access.token or False,
    )
    return Path(folder)


def _refuse(repo_id: str, state: str, first_step: str, error: Exception) -> ModelRefused:
    message = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return ModelRefused(
        f"The model {repo_id} {state} ({message[:200].rstrip('.')}).",
        wanted="a model that you can access on a reachable hub, or one in the local hub cache.",
        remedy=f"{first_step}; or download the model elsewhere and give its folder.",
    )


def _refuse_uncached(repo_id: str) -> ModelRefused:
    return ModelRefused(
        f"The model {repo_id} is no longer in the local hub cache, and a page opened by a link sends no request.",
        wanted="a model that is on this machine.",
        remedy="press the button that loads it, or fetch it on the command line.",
    )


def _silent_bar(on_progress: Progress | None) -> type[Any]:
    """A progress bar that draws nothing and reports the bytes to a callback."""
    from tqdm import tqdm

    done = 0
    is_stopped = False

    class SilentBar(tqdm):  # type: ignore[misc, unused-ignore]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.counts_bytes = kwargs.get("unit") == "B"
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> None:
            nonlocal done, is_stopped
            self.n += n or 0
            if on_progress is None or not self.counts_bytes:
                return
            # Files are fetched in several threads, each of which must stop on cancellation.
            if is_stopped:
                raise Cancelled("stopped while fetching from the hub")
            done = max(done, int(self.n))
            try:
                on_progress("download", done, int(self.total or 0))
            except Cancelled:
                is_stopped = True
                raise

    return SilentBar
