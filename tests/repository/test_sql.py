"""SQL is written down and never put together: values go in as parameters, one statement a call."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.repository.source import find_nodes, parse, read

ROOT = Path(__file__).resolve().parents[2]
STORE = sorted((ROOT / "audit_core/store").rglob("*.py"))
CALLS = {"execute", "executemany", "sql", "query"}


@cache
def list_constants() -> dict[str, ast.expr]:
    """Names in capitals at the level of a module of the store, and what they are."""
    found: dict[str, ast.expr] = {}
    for path in STORE:
        for node in parse(path).body:
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id.isupper():
                found[node.targets[0].id] = node.value
    return found


def is_written_down(node: ast.expr, constants: dict[str, ast.expr]) -> bool:
    """A literal, or constants made of literals alone."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str)
    if isinstance(node, ast.Name):
        return node.id in constants and is_written_down(constants[node.id], constants)
    if isinstance(node, ast.Tuple | ast.List):
        return all(is_written_down(part, constants) for part in node.elts)
    if isinstance(node, ast.JoinedStr):
        return all(is_written_down(part, constants) for part in node.values)
    if isinstance(node, ast.FormattedValue | ast.Starred):
        return is_written_down(node.value, constants)
    return False


def list_loops(tree: ast.AST) -> dict[str, ast.expr]:
    """Names that a loop over statements gives them."""
    return {
        node.target.id: node.iter
        for node in ast.walk(tree)
        if isinstance(node, ast.For) and isinstance(node.target, ast.Name)
    }


def find_built_sql(source: str, constants: dict[str, ast.expr]) -> Iterator[int]:
    tree = ast.parse(source)
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        loops = list_loops(function)
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CALLS:
                statement = node.args[0] if node.args else ast.Constant(None)
                is_parameter = isinstance(statement, ast.Name) and statement.id == "statement"
                if isinstance(statement, ast.Name) and statement.id in loops:
                    statement = loops[statement.id]
                elif is_parameter:
                    continue
                if not is_written_down(statement, constants):
                    yield node.lineno


@pytest.mark.parametrize("path", STORE, ids=lambda path: path.stem)
def test_no_statement_is_put_together_from_data(path: Path) -> None:
    assert list(find_built_sql(read(path), list_constants())) == []


def test_a_statement_handed_on_comes_from_a_constant() -> None:
    """`statement` may be a parameter of a function of the store: then each caller names a constant."""
    constants = list_constants()
    handed = [
        node.args[1]
        for path in STORE
        for node in find_nodes(path, ast.Call)
        if isinstance(node.func, ast.Name) and node.func.id == "_read_rows"
    ]
    assert len(handed) == 2
    assert all(is_written_down(node, constants) for node in handed)


@pytest.mark.parametrize(
    "line",
    [
        'c.execute(f"SELECT * FROM runs WHERE id = {run}")',
        'c.execute("SELECT * FROM runs WHERE id = " + run)',
        'c.execute("SELECT %s" % run)',
        'c.execute("SELECT {}".format(run))',
        "c.execute(run)",
        'c.sql(f"DROP TABLE {run}")',
        'c.execute("; ".join(run))',
        "c.execute(NOT_KNOWN)",
        "for s in run:\n        c.execute(s)",
    ],
)
def test_a_statement_put_together_would_be_found(line: str) -> None:
    assert len(list(find_built_sql(f"def f(c, run):\n    {line}\n", {}))) == 1


def test_only_the_store_speaks_sql() -> None:
    others = [
        path
        for path in (ROOT / "audit_core").rglob("*.py")
        if path.relative_to(ROOT / "audit_core").parts[0] != "store"
    ]
    assert len(STORE) >= 35
    # The tool that looks facts up has a database of its own in memory, which is what it shows.
    speaking = [path.relative_to(ROOT).as_posix() for path in others if "connection.execute(" in path.read_text()]
    assert speaking == ["audit_core/tools/lookup.py"]
