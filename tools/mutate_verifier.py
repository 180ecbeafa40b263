"""Mutation test of the verifier: change one operator, number, condition or refusal at a time, and see whether a test fails.

Each mutant runs in a forked process, in which the code of one function is replaced; so tests and modules are imported once.
Constants at the top of a module are not changed. Linux and macOS only.

    PYTHONPATH=.:tests python tools/mutate_verifier.py merkle note --out mutants.tsv
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import io
import os
import signal
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

TESTS = {
    "merkle": ["tests/spec/test_merkle.py"],
    "note": ["tests/spec/test_note.py"],
    "cosignature": ["tests/spec/test_witness.py", "tests/spec/test_witnessed_packs.py"],
    "witnessed": ["tests/spec/test_witnessed_packs.py"],
    "log_proof": ["tests/spec/test_pack_log.py"],
    "manifest": ["tests/spec/test_pack_tampering.py"],
    "decisions": ["tests/spec/test_decisions.py"],
    "trust": ["tests/spec/test_pack_trust.py"],
    "walk": ["tests/spec/test_pack_log.py", "tests/spec/test_witnessed_packs.py", "tests/spec/test_decisions.py"],
}
"""The tests that must notice a change of each module, most specific first."""
SKIPPED = "not processes and not joined and not two_requests"
"""Tests that start processes, or time threads: no function changed here reaches them."""
LIMIT_S = 120
_BROKEN = 99
_SWAPS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_SUMS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitAnd: ast.BitOr, ast.RShift: ast.LShift, ast.Mod: ast.FloorDiv,
}  # fmt: skip


def change_node(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield each change of one node: a description, and the changed copy."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            if type(operator) in _SWAPS:
                changed = copy.deepcopy(node)
                changed.ops[place] = _SWAPS[type(operator)]()
                yield f"{ast.unparse(node)} -> {ast.unparse(changed)}", changed
    elif isinstance(node, ast.BoolOp):
        turned = copy.deepcopy(node)
        turned.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        yield f"{ast.unparse(node)} -> {ast.unparse(turned)}", turned
        for place in range(len(node.values)):
            values = [value for number, value in enumerate(node.values) if number != place]
            left: ast.AST = copy.deepcopy(values[0]) if len(values) == 1 else ast.BoolOp(node.op, copy.deepcopy(values))
            yield f"{ast.unparse(node)} -> {ast.unparse(left)}", left
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"{ast.unparse(node)} -> {ast.unparse(node.operand)}", copy.deepcopy(node.operand)
    elif isinstance(node, ast.BinOp) and type(node.op) in _SUMS and not isinstance(node.left, ast.JoinedStr):
        other = copy.deepcopy(node)
        other.op = _SUMS[type(node.op)]()
        yield f"{ast.unparse(node)} -> {ast.unparse(other)}", other
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        value = (not node.value) if isinstance(node.value, bool) else node.value + 1
        yield f"{node.value} -> {value}", ast.Constant(value)
    elif isinstance(node, ast.Raise):
        yield f"{ast.unparse(node)[:90]} -> pass", ast.Pass()


def list_functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{one.name}", one) for one in node.body if isinstance(one, ast.FunctionDef))


def list_mutants(source: str) -> Iterator[tuple[str, int, str, types.CodeType]]:
    """Yield function, line, description and the changed function's code."""
    tree = ast.parse(source)
    for name, function in list_functions(tree):
        for statement in function.body:
            for node in list(ast.walk(statement)):
                for text, changed in change_node(node):
                    # Replaced and put back: a deep copy of the tree would lose the identity of its nodes.
                    code = _compile_changed(tree, node, changed, name)
                    if code is not None:
                        yield name, getattr(node, "lineno", function.lineno), " ".join(text.split()), code


def _compile_changed(tree: ast.Module, node: ast.AST, changed: ast.AST, name: str) -> types.CodeType | None:
    for parent in ast.walk(tree):
        for field, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, field, ast.copy_location(changed, node))
                try:
                    return _compile(tree, name)
                finally:
                    setattr(parent, field, node)
            if isinstance(value, list) and any(one is node for one in value):
                at = next(number for number, one in enumerate(value) if one is node)
                value[at] = ast.copy_location(changed, node)
                try:
                    return _compile(tree, name)
                finally:
                    value[at] = node
    return None


def _compile(tree: ast.Module, name: str) -> types.CodeType:
    code = compile(ast.fix_missing_locations(copy.deepcopy(tree)), "<mutant>", "exec")
    for part in name.split("."):
        code = next(one for one in code.co_consts if isinstance(one, types.CodeType) and one.co_name == part)
    return code


def find_function(module: types.ModuleType, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        found = vars(found)[part]
    found = found.fget if isinstance(found, property) else found
    return getattr(found, "__wrapped__", found)


def try_mutant(module: types.ModuleType, name: str, code: types.CodeType, tests: list[str]) -> str:
    """Run the tests on one mutant in a forked process: killed, survived or timeout."""
    child = os.fork()
    if child == 0:
        try:
            find_function(module, name).__code__ = code
            os._exit(_run(tests))
        finally:
            os._exit(_BROKEN)
    begun = time.monotonic()
    while time.monotonic() - begun < LIMIT_S:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            # Neither a failing test nor an error while tests are collected: the run itself is broken, and says nothing.
            return {0: "survived", 1: "killed", 2: "killed"}.get(os.waitstatus_to_exitcode(status), "broken")
        time.sleep(0.02)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "timeout"


def _run(tests: list[str]) -> int:
    import pytest

    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        return int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-k", SKIPPED, *tests]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="+", choices=sorted(TESTS))
    parser.add_argument("--out", type=Path, required=True, help="one line per mutant, as it is done")
    parser.add_argument("--every", type=int, default=1, help="try every n-th mutant only")
    options = parser.parse_args()
    # The tests' own temporary folder is removed at the end of the first run, and children would still have its name.
    os.environ.setdefault("TMPDIR", tempfile.gettempdir())
    with options.out.open("a", encoding="utf-8") as out:
        for short in options.modules:
            module = importlib.import_module(f"audit_core.verifier.{short}")
            assert module.__file__ is not None
            if _run(TESTS[short]) != 0:
                sys.exit(f"{short}: its tests fail without a change")
            found = list(list_mutants(Path(module.__file__).read_text(encoding="utf-8")))
            for name, line, text, code in found[:: options.every]:
                result = try_mutant(module, name, code, TESTS[short])
                out.write(f"{short}\t{name}\t{line}\t{result}\t{text}\n")
                out.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
