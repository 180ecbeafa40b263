"""Join the verifier's modules into one file without dependencies, so that third parties can read and run it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from pathlib import Path

from audit_core import verifier
from audit_core.errors import IntegrityError

PACKAGE = "audit_core.verifier"
_HEAD = '''"""Checks an evidence pack of Assay with the standard library alone: python -I -S verify_pack.py PACK.zip --trust trust.toml

Needs Python 3.11 or newer. It reads the pack, the trust file and a saved checkpoint, writes to standard output, and opens
nothing else. Take this file from the people you trust, never from inside a pack.

Exit codes: 0 integrity and signer verified, 2 wrong usage, 3 a requested check could not be done, 4 integrity or
authenticity failed, 5 internal error.

Made from audit_core/verifier/*.py by: python -m audit_core verifier --out verify_pack.py
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):
    # An import error would exit with 1, which other commands use for: evaluated and not met.
    sys.stderr.write("Python 3.11 or newer is needed.\\n")
    sys.exit(2)

'''
_FOOT = """
if __name__ == "__main__":
    try:
        code = run_verifier()
    except Exception:
        # An uncaught error would exit with 1, which other commands use for: evaluated and not met.
        traceback.print_exc()
        code = EXIT_INTERNAL
    sys.exit(code)
"""


def join_modules() -> str:
    """Return the joined file, with modules in order of their imports.

    Raises:
        IntegrityError: two modules define the same name, or an import cannot be joined.
    """
    folder = Path(verifier.__file__).parent
    sources = {
        path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.py")) if path.stem != "__init__"
    }
    trees = {name: ast.parse(source) for name, source in sources.items()}
    _check_names(trees)
    order = _sort_modules({name: _list_own_imports(tree) for name, tree in trees.items()})
    imports = _merge_imports(trees.values())
    return _HEAD + imports + "\n" + "".join(_cut(name, sources[name], trees[name]) for name in order) + "\n" + _FOOT


def _list_own_imports(tree: ast.Module) -> list[str]:
    found = [node for node in tree.body if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE)]
    return [str(node.module).removeprefix(f"{PACKAGE}.") for node in found]


def _merge_imports(trees: Iterable[ast.Module]) -> str:
    plain, named = {"traceback"}, dict[str, set[str]]()
    for node in (node for tree in trees for node in tree.body):
        if isinstance(node, ast.Import):
            plain |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not (node.module or "").startswith((PACKAGE, "__future__")):
            named.setdefault(str(node.module), set()).update(name.name for name in node.names)
    lines = [f"import {name}" for name in sorted(plain - {"sys"})]
    return "\n".join(
        lines + [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(named.items())]
    )


def _check_names(trees: Mapping[str, ast.Module]) -> None:
    """Require distinct names: the joined modules share one namespace, where a later definition replaces an earlier one."""
    defined_in: dict[str, str] = {}
    for module, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom) and any(name.asname for name in node.names):
                raise IntegrityError(f"{module}.py imports under an alias, which cannot be joined.")
        for name in (name for node in tree.body for name in _list_defined(node)):
            if defined_in.setdefault(name, module) != module:
                raise IntegrityError(f"{name} is defined in {defined_in[name]}.py and in {module}.py.")


def _list_defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return [part.id for target in targets for part in ast.walk(target) if isinstance(part, ast.Name)]


def _sort_modules(needs: Mapping[str, list[str]]) -> list[str]:
    order: list[str] = []

    def place(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise IntegrityError(f"{name}.py imports itself through {', '.join(above)}.")
        for other in needs[name]:
            place(other, (*above, name))
        if name not in order:
            order.append(name)

    for name in needs:
        place(name, ())
    return order


def _cut(name: str, source: str, tree: ast.Module) -> str:
    """Return a module without docstring and imports, under a comment with the docstring's first line."""
    removed = {
        number
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom) or node is tree.body[0]
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    body = "\n".join(line for number, line in enumerate(source.splitlines(), 1) if number not in removed).strip("\n")
    summary = (ast.get_docstring(tree) or "").splitlines()[0]
    rule = "#" * 100
    return f"\n\n{rule}\n# {name}.py: {summary}\n{rule}\n\n{body}\n"
