"""Plug-in registry: every module in a folder of `PLUGIN_FOLDERS` defines one `PLUGIN`; the module name is its key."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from audit_core.errors import Refused

PLUGIN_FOLDERS = (
    "metrics", "subjects", "estimators", "views", "circuit_discovery", "audits", "benchmark_formats", "perturbations",
    "attributions", "retrievers",
)  # fmt: skip


@cache
def list_plugins(folder: str) -> MappingProxyType[str, Any]:
    """Plug-ins of a folder by key, in alphabetical order.

    Raises:
        Refused: no such folder, or a module without a `PLUGIN`.
    """
    if folder not in PLUGIN_FOLDERS:
        raise Refused(f"Plug-in folder {folder!r}.", wanted=", ".join(PLUGIN_FOLDERS) + ".", remedy="name one of them.")
    package = importlib.import_module(f"audit_core.{folder}")
    found = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        plugin = getattr(importlib.import_module(f"{package.__name__}.{module}"), "PLUGIN", None)
        if plugin is None:
            raise Refused(
                f"{folder}/{module}.py has no PLUGIN.", wanted="one per file.", remedy="define it or move the file."
            )
        found[module] = plugin
    return MappingProxyType(found)


def import_plugins() -> None:
    """Import all plug-ins and with them nearly the whole library, before threads that import parts of it at the same time.

    Python breaks the deadlock of two threads of which one imports a package and the other a module in it by giving one of them
    a package without its names: an ImportError that comes and goes.
    """
    for folder in PLUGIN_FOLDERS:
        list_plugins(folder)


def get_plugin(folder: str, key: str) -> Any:
    """One plug-in.

    Raises:
        Refused: no such plug-in; lists the available ones.
    """
    plugins = list_plugins(folder)
    if key not in plugins:
        raise Refused(f"{key[:60]!r} is not in {folder}.", wanted=", ".join(plugins) + ".", remedy="name one of them.")
    return plugins[key]


@contextmanager
def search_also(folder: str, place: Path) -> Iterator[None]:
    """Find the plug-ins of another folder on the disk as well, such as one that a test plants; not safe between threads.

    Args:
        folder: one of `PLUGIN_FOLDERS`.
        place: folder with files as in it; their names must be new.
    """
    package = importlib.import_module(f"audit_core.{folder}")
    before, package.__path__ = package.__path__, [*package.__path__, str(place)]
    list_plugins.cache_clear()
    importlib.invalidate_caches()
    try:
        yield
    finally:
        package.__path__ = before
        list_plugins.cache_clear()
        for path in place.glob("*.py"):
            sys.modules.pop(f"{package.__name__}.{path.stem}", None)
            vars(package).pop(path.stem, None)
