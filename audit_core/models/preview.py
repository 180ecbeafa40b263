"""What loading a model would take, read from its configuration and weight headers before it is loaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import prod
from pathlib import Path

from audit_core.models.cache import model_cache
from audit_core.models.folder import CONFIG_BYTES, check_folder, read_json
from audit_core.models.hub import find_in_cache
from audit_core.models.known import find_known, find_shipped
from audit_core.models.resolve import ModelOrigin, find_origin

_FLOAT32_BYTES = 4
_PEAK = 2.2
"""Peak of a load over its float32 weights; measured on the default model: 1.2 GB for 0.54 GB."""
_MEMORY = Path("/proc/meminfo")
_LIMIT, _USED = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")


@dataclass(frozen=True)
class ModelPreview:
    """A model before it is loaded; nothing here comes from running it."""

    architecture: str
    """As config.json names it."""
    n_parameters: int
    """Stored numbers; tied weights count once."""
    dtypes: tuple[str, ...]
    """Number formats of the stored weights, such as BF16."""
    disk_bytes: int
    """Bytes of the weights."""

    @property
    def memory_bytes(self) -> int:
        """Estimated peak memory of a load: every weight becomes float32."""
        return round(self.n_parameters * _FLOAT32_BYTES * _PEAK)


def preview_folder(folder: Path) -> ModelPreview:
    """Read configuration and headers of a model folder; no weight is read.

    Raises:
        ModelRefused: the folder would be refused on loading as well.
    """
    check_folder(folder)
    # Imported here: it loads numpy, and importing the package must load nothing heavy.
    from audit_core.models.declared import check_declared

    tensors = check_declared(folder).values()
    config = read_json(folder / "config.json", limit=CONFIG_BYTES)
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named else config.get("model_type")
    return ModelPreview(
        str(first or "not named")[:80],
        sum(prod(tensor.shape) for tensor in tensors),
        tuple(sorted({tensor.dtype for tensor in tensors})),
        sum(tensor.size_bytes for tensor in tensors),
    )


def preview_model(name: str) -> ModelPreview | None:
    """Preview a folder, or a known or hub model whose files are on this machine; sends no request.

    Returns:
        None if nothing is known before the model is fetched.

    Raises:
        ModelRefused: the files are here and must not be loaded.
    """
    folder = _find_files(name)
    return None if folder is None else preview_folder(folder)


def _find_files(name: str) -> Path | None:
    known = find_known(name)
    if known is not None:
        folder = model_cache() / known.folder_name
        return folder if (folder / "config.json").is_file() else None
    shipped = find_shipped(name)
    if shipped is not None:
        return shipped.folder
    origin, expanded = find_origin(name), Path(os.path.expanduser(name))
    if origin is ModelOrigin.FOLDER or (expanded / "config.json").is_file():
        return expanded
    return find_in_cache(name) if origin is ModelOrigin.HUB else None


def read_free_memory() -> int | None:
    """Return the bytes that a process may still take on this machine; None if it does not say."""
    found = [_read_available(), _read_group_rest()]
    return min((n for n in found if n is not None), default=None)


def _read_available() -> int | None:
    try:
        lines = _MEMORY.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, IndexError, StopIteration):
        return None


def _read_group_rest() -> int | None:
    """Return what is left of a container's limit; None without a limit, which reads `max`."""
    try:
        return int(_LIMIT.read_text(encoding="ascii")) - int(_USED.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
