"""Names that are imported when first read: a type checker takes any name for one, so that only this finds a wrong one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("audit_core", "ui", "pages", "tools", "data", "bench")


def list_imports(source: str) -> Iterator[tuple[str, str]]:
    """Module and name of each import from the library."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").split(".")[0] == "audit_core":
            assert node.module is not None
            yield from ((node.module, alias.name) for alias in node.names)


def exists(module: str, name: str) -> bool:
    return hasattr(import_module(module), name) or find_spec(f"{module}.{name}") is not None


def test_every_name_that_is_imported_from_the_library_exists() -> None:
    files = [path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")]
    asked = {found for path in files for found in list_imports(path.read_text(encoding="utf-8"))}
    assert len(asked) > 1000
    assert {f"{module}.{name}" for module, name in asked if not exists(module, name)} == set()


def test_a_name_that_is_missing_is_found() -> None:
    assert list(list_imports("from audit_core import Nothing")) == [("audit_core", "Nothing")]
    assert not exists("audit_core", "Nothing")
