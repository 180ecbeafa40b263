"""Facts about the machine for a pack: an allow-list, because an unforeseen variable may contain a secret."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

from audit_core.errors import Refused

_WORDS = re.compile(r"(?!.*\S@|.*@\S)[A-Za-z0-9][A-Za-z0-9 ()@.,+_-]{0,79}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9 .+_-]{0,39}")
_DIGEST = re.compile(r"(sha256:)?[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")
ALLOWED: dict[str, re.Pattern[str] | type] = {
    "os": _WORDS, "kernel": _VERSION, "cpu_model": _WORDS, "n_cpu": int, "gpu_model": _WORDS, "gpu_count": int, "driver": _VERSION,
    "cuda": _VERSION, "torch": _VERSION, "transformers": _VERSION, "numpy": _VERSION, "blas": _WORDS, "python": _VERSION,
    "container_digest": _DIGEST, "lock_sha256": _DIGEST, "git_commit": _COMMIT, "git_dirty": bool, "diff_sha256": _DIGEST,
}  # fmt: skip
"""Allowed facts with their required format. The formats exclude paths, addresses and sentences."""
_VENDORS = re.compile(r"Linux|Darwin|Windows|FreeBSD")


@dataclass(frozen=True)
class Accelerator:
    """Facts that only the engine can read."""

    gpu_model: str | None = None
    gpu_count: int = 0
    driver: str | None = None
    cuda: str | None = None


@dataclass(frozen=True)
class Origin:
    """Versions of code and packages, without their paths."""

    lock_sha256: str | None = None
    git_commit: str | None = None
    git_dirty: bool | None = None
    diff_sha256: str | None = None
    container_digest: str | None = None


def describe_environment(accelerator: Accelerator, origin: Origin) -> dict[str, str | int | bool | None]:
    """Return the facts about this machine for a run's manifest; an unknown fact is None."""
    system = platform.system()
    facts = {
        "os": system if _VENDORS.fullmatch(system) else None,
        "kernel": re.match(r"[0-9.]*", platform.release())[0].rstrip(".") or None,  # type: ignore[index]
        "cpu_model": _read_processor(),
        "n_cpu": os.cpu_count(),
        "torch": _version("torch"),
        "transformers": _version("transformers"),
        "numpy": _version("numpy"),
        "blas": _read_blas(),
        "python": platform.python_version(),
        **asdict(accelerator),
        **asdict(origin),
    }
    return dict.fromkeys(ALLOWED) | keep_allowed(facts)


def keep_allowed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that are on the allow-list and have the required format; drop the others silently."""
    return {key: facts[key] for key in ALLOWED if key in facts and _fits(key, facts[key])}


def require_allowed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the same as `keep_allowed`, but reject facts that it would drop.

    Raises:
        Refused: a fact that is not on the list or has another format. The message omits the value.
    """
    kept = keep_allowed(facts)
    if lost := sorted(set(facts) - set(kept)):
        raise Refused(
            f"{lost[0][:40]!r} among the facts about the machine.",
            wanted=", ".join(ALLOWED) + ", each in its required format.",
            remedy="remove it: third parties read packs.",
        )
    return kept


def list_packages() -> list[tuple[str, str]]:
    """Return name and version of every installed package, sorted, without paths or addresses."""
    # Metadata is parsed again at each access.
    facts = [distribution.metadata for distribution in distributions()]
    found = {(str(fact["Name"]).lower(), str(fact["Version"])) for fact in facts if fact["Name"]}
    return sorted(pair for pair in found if _VERSION.fullmatch(pair[0]) and _VERSION.fullmatch(pair[1]))


def _fits(key: str, value: Any) -> bool:
    form = ALLOWED[key]
    if value is None:
        return True
    if isinstance(form, re.Pattern):
        return isinstance(value, str) and form.fullmatch(value) is not None
    return type(value) is form


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _read_processor() -> str | None:
    info = Path("/proc/cpuinfo")
    if not info.is_file():
        return platform.processor() or None
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(encoding="utf-8", errors="replace"), re.M)
    return found[1].strip() if found else platform.machine() or None


def _read_blas() -> str | None:
    from numpy import show_config

    # The configuration also contains paths of the build machine, so only name and version are read.
    parts: Any = show_config(mode="dicts")
    blas = parts.get("Build Dependencies", {}).get("blas", {})
    return f"{blas['name']} {blas['version']}" if blas.get("name") and blas.get("version") else None
