"""Digest of the code that computes the results of frozen claims: syntax trees without docstrings and comments."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from audit_core.registry import PLUGIN_FOLDERS

ENTRIES = ("confirm", "run")
"""Modules that run a frozen claim. Plug-ins are not imported by statements, so each module in `PLUGIN_FOLDERS` is an entry too."""

EXEMPT = {
    "engine.pace": "predicts how long a run takes",
    "errors": "texts of refusals; the decision to refuse is covered where it is taken",
    "evidence": "digests, keys, environment and reports: written after the numbers",
    "governance": "policies: each is pinned by its own digest",
    "models.access": "who may fetch a model; its files are pinned by digest",
    "models.cache": "where models are stored; their files are pinned by digest",
    "models.fetch": "fetches models; their files are pinned by digest",
    "models.hub": "fetches models; their files are pinned by digest",
    "models.known": "addresses of models; their files are pinned by digest",
    "models.provenance": "where a model came from; its files are pinned by digest",
    "models.resolve": "finds and fetches models; their files are pinned by digest",
    "preregistration": "the plan of a claim: it has its own digest",
    "prompt_files": "reads uploaded files; the prompts that were read are pinned by digest",
    "store": "stores and finds results",
    "verifier": "checks packs, logs and signatures",
}
"""Module or package that the entries import → why it may change under a frozen claim. Modules that only these import are
not covered."""

_LIBRARY = Path(__file__).resolve().parents[1]
_NAME = _LIBRARY.name


@cache
def hash_source() -> str:
    """Return the digest of the running library; computed once per process, at the first freeze or run of a claim."""
    return hash_library(_LIBRARY)


def hash_library(library: Path) -> str:
    """Return the SHA-256 over digest and name of every covered module, sorted by name.

    Changes of comments, docstrings, pages, commands and exempt modules keep the digest; changes of statements and numbers
    change it. Moving or renaming a module changes it too, as its name and its imports are included.

    Args:
        library: folder of the package.
    """
    digests = {name: digest_syntax(tree) for name, tree in read_computing(library)}
    rows = [f"{digest}  {name}\n" for name, digest in sorted(digests.items())]
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def read_computing(library: Path) -> Iterator[tuple[str, ast.Module]]:
    """Yield name, without the library's, and syntax tree of each covered module: entries and all they import.

    One tree at a time: all together are a million objects, through which each collection of garbage would go.
    """
    waiting, seen = list_entries(library), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in seen and not is_exempt(name):
            seen.add(name)
            tree = _parse(_find_file(library, name))
            waiting += _list_imports(library, tree)
            yield name, tree


def list_entries(library: Path) -> list[str]:
    """List `ENTRIES` and all plug-ins."""
    entries = list(ENTRIES)
    for shelf in PLUGIN_FOLDERS:
        folder = library.joinpath(*shelf.split("."))
        packages = [path.parent for path in folder.glob("*/__init__.py")]
        modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
        entries += [f"{shelf}.{path.stem}" for path in (*packages, *modules)]
    return entries


def is_exempt(name: str) -> bool:
    """Check whether a module or one of its parent packages is in `EXEMPT`."""
    parts = name.split(".")
    return any(".".join(parts[:end]) in EXEMPT for end in range(1, len(parts) + 1))


def digest_syntax(tree: ast.Module) -> str:
    """Return the SHA-256 of a syntax tree's non-empty fields, without docstrings.

    `ast.dump` is not used: its output for empty fields depends on the version of Python.
    """
    parts: list[str] = []
    _write(tree, parts)
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _write(node: ast.AST, parts: list[str]) -> None:
    parts.append(type(node).__name__ + "(")
    for field in node._fields:
        # The context (load or store) follows from the position, and `u"…"` equals `"…"`.
        value = None if field in ("ctx", "kind") else getattr(node, field, None)
        if isinstance(value, ast.AST):
            parts.append(field + "=")
            _write(value, parts)
        elif isinstance(value, list) and value:
            parts.append(field + "=[")
            for inner in value:
                if not isinstance(inner, ast.AST):
                    parts.append(ascii(inner) + ",")
                elif not _is_docstring(inner):
                    _write(inner, parts)
            parts.append("]")
        elif value is not None and value != []:
            parts.append(f"{field}={value!a}")
    parts.append(")")


def _is_docstring(node: ast.AST) -> bool:
    """Check whether a statement is a docstring, including those below attributes."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _list_imports(library: Path, tree: ast.Module) -> Iterator[str]:
    """Return the library's modules that a module imports, at top level or inside functions."""
    for node in _walk_statements(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name[len(_NAME) + 1 :] for alias in node.names if alias.name.startswith(_NAME + "."))
    for own in _list_own(tree):
        yield from (_find_definition(library, _strip(own), alias.name) for alias in own.names)


def _walk_statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Iterate over all statements, nested ones included; visits far fewer nodes than `ast.walk`."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(node, block, None)
            if isinstance(inner, list):
                waiting += inner


def _find_definition(library: Path, package: str, name: str) -> str:
    """Return the module that defines an imported name: a package's `__init__` may only re-export it."""
    if is_exempt(package):
        return package
    inner, file = f"{package}.{name}".lstrip("."), _find_file(library, package)
    if _find_file(library, inner).is_file():
        return inner
    for node in _list_own(_parse(file)) if file.name == "__init__.py" else ():
        for alias in node.names:
            if (alias.asname or alias.name) == name:
                return _find_definition(library, _strip(node), alias.name)
    return package


def _list_own(tree: ast.Module) -> Iterator[ast.ImportFrom]:
    """Iterate over the statements that import from the library."""
    for node in _walk_statements(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "the library imports by full names"
            if f"{node.module}.".startswith(_NAME + "."):
                yield node


def _strip(node: ast.ImportFrom) -> str:
    """Return the module's name without the library's; empty for the library itself."""
    return (node.module or "")[len(_NAME) + 1 :]


def _find_file(library: Path, name: str) -> Path:
    """Return the file path of a module or package, whether or not it exists."""
    path = library.joinpath(*name.split(".")) if name else library
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _parse(file: Path) -> ast.Module:
    return ast.parse(file.read_bytes(), str(file))
