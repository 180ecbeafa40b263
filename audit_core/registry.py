"""Finds what stands on a shelf, one of `SHELVES`: each of its files defines one `PLUGIN`, whose key is the file's name."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache
from types import MappingProxyType
from typing import Any

from audit_core.errors import Refused

SHELVES = ("metrics", "subjects", "estimators", "views", "circuit_discovery", "audits")


@cache
def list_plugins(shelf: str) -> MappingProxyType[str, Any]:
    """Plug-ins of a shelf by key, in order of their names.

    Raises:
        Refused: no such shelf, or a file on it without a `PLUGIN`.
    """
    if shelf not in SHELVES:
        raise Refused(f"Shelf {shelf!r}.", wanted=", ".join(SHELVES) + ".", remedy="name one of them.")
    package = importlib.import_module(f"audit_core.{shelf}")
    found = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
        plugin = getattr(importlib.import_module(f"{package.__name__}.{module}"), "PLUGIN", None)
        if plugin is None:
            raise Refused(
                f"{shelf}/{module}.py has no PLUGIN.", wanted="one per file.", remedy="define it or move the file."
            )
        found[module] = plugin
    return MappingProxyType(found)


def get_plugin(shelf: str, key: str) -> Any:
    """One plug-in.

    Raises:
        Refused: no plug-in of that name; lists those there are.
    """
    plugins = list_plugins(shelf)
    if key not in plugins:
        raise Refused(
            f"{key[:60]!r} is not among the {shelf}.", wanted=", ".join(plugins) + ".", remedy="name one of them."
        )
    return plugins[key]
