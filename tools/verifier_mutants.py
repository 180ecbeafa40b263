"""The mutants of the verifier: every change of one operator, number, condition, call or refusal in a function.

Constants at the top of a module, and the texts of messages, are not changed.
"""

from __future__ import annotations

import ast
import copy
import importlib
import types
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "audit_core/verifier"
_SEEN = "_seen_by_the_mutator"
_SWAPS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
    ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip
_SUMS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.BitXor: ast.BitAnd, ast.Mult: ast.Add,
    ast.RShift: ast.LShift, ast.LShift: ast.RShift, ast.Mod: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
}  # fmt: skip
_NAMES = {"any": "all", "all": "any", "min": "max", "max": "min"}


def change_node(node: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Yield each change of one node: a description, and the changed copy."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
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
    elif isinstance(node, ast.Name) and node.id in _NAMES:
        yield f"{node.id} -> {_NAMES[node.id]}", ast.Name(_NAMES[node.id], ast.Load())
    elif isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        yield f"{ast.unparse(node)[:90]} -> pass", ast.Pass()
    elif isinstance(node, ast.Continue):
        yield "continue -> break", ast.Break()
    elif isinstance(node, ast.If | ast.IfExp) and isinstance(node.test, ast.Name | ast.Call | ast.Attribute):
        denied = copy.deepcopy(node)
        denied.test = ast.UnaryOp(ast.Not(), denied.test)
        yield f"if {ast.unparse(node.test)} -> if not", denied


def list_functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node.name, node
        elif isinstance(node, ast.ClassDef):
            yield from ((f"{node.name}.{one.name}", one) for one in node.body if isinstance(one, ast.FunctionDef))


@dataclass(frozen=True)
class Mutant:
    """One change of one function."""

    module: str
    function: str
    line: int
    text: str
    number: int
    """1 for the first of the changes of a line that read the same."""
    statement: int
    """Line of the innermost statement that the change is in: a test that never comes there cannot notice it."""
    code: types.CodeType

    @property
    def key(self) -> tuple[str, ...]:
        """Its first columns in the record."""
        return self.module, self.function, str(self.line), str(self.number), self.text

    @property
    def place(self) -> str:
        return f"{self.module}:{self.statement}"


def list_mutants(short: str) -> Iterator[Mutant]:
    """Yield each mutant of a module; one that cannot be compiled is none."""
    seen: Counter[tuple[str, int, str]] = Counter()
    for name, function in list_functions(read_module(short)):
        for statement in function.body:
            for node, inner in _walk_statement(statement):
                for text, changed in change_node(node):
                    # Replaced and put back: a deep copy of the tree would lose the identity of its nodes.
                    code = _compile_changed(function, node, changed)
                    if code is None:
                        continue
                    line, text = getattr(node, "lineno", function.lineno), " ".join(text.split())
                    seen[name, line, text] += 1
                    yield Mutant(short, name, line, text, seen[name, line, text], inner.lineno, code)


def read_module(short: str) -> ast.Module:
    return ast.parse((FOLDER / f"{short}.py").read_text(encoding="utf-8"))


def list_modules() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def _walk_statement(statement: ast.stmt) -> Iterator[tuple[ast.AST, ast.stmt]]:
    """Every node that runs, with its innermost statement: annotations of variables do not run."""
    left: list[tuple[ast.AST, ast.stmt]] = [(statement, statement)]
    while left:
        node, inner = left.pop(0)
        yield node, inner
        skipped = node.annotation if isinstance(node, ast.AnnAssign) else None
        left += [
            (one, one if isinstance(one, ast.stmt) else inner)
            for one in ast.iter_child_nodes(node)
            if one is not skipped
        ]


def mark_statements() -> set[str]:
    """Have every statement of the verifier's functions add its place to the returned set before it runs."""
    seen: set[str] = set()
    for short in list_modules():
        vars(importlib.import_module(f"audit_core.verifier.{short}"))[_SEEN] = seen
        for name, function in list_functions(read_module(short)):
            marked = copy.deepcopy(function)
            for node in list(ast.walk(marked)):
                for field in ("body", "orelse", "finalbody"):
                    rows = getattr(node, field, None)
                    if isinstance(rows, list):
                        setattr(node, field, [one for row in rows for one in (_mark(short, row.lineno), row)])
            find_function(short, name).__code__ = _compile(marked)
    return seen


def _mark(short: str, line: int) -> ast.stmt:
    return ast.parse(f"{_SEEN}.add({f'{short}:{line}'!r})").body[0]


def _compile_changed(function: ast.FunctionDef, node: ast.AST, changed: ast.AST) -> types.CodeType | None:
    keeps_class = any(isinstance(one, ast.Name) and one.id == "super" for one in ast.walk(function))
    for parent in ast.walk(function):
        for field, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, field, ast.copy_location(changed, node))
                try:
                    return _compile(function, keeps_class=keeps_class)
                finally:
                    setattr(parent, field, node)
            if isinstance(value, list) and any(one is node for one in value):
                at = next(number for number, one in enumerate(value) if one is node)
                value[at] = ast.copy_location(changed, node)
                try:
                    return _compile(function, keeps_class=keeps_class)
                finally:
                    value[at] = node
    return None


def _compile(function: ast.FunctionDef, *, keeps_class: bool = False) -> types.CodeType:
    """Compile the function alone: the decorators that keep answers are left to the function that stands in the module.

    Args:
        keeps_class: whether the code uses the variable of `super()` even where the call was taken away, as a function's code can
            only be replaced by one with the same free variables.
    """
    alone = copy.deepcopy(function)
    alone.decorator_list = []
    alone.body += ast.parse("__class__").body if keeps_class else []
    body: ast.stmt = alone
    if function.args.args and function.args.args[0].arg == "self":
        # `super()` finds its class through a variable that only a class gives.
        body = ast.ClassDef("Alone", bases=[], keywords=[], body=[alone], decorator_list=[])
    module = ast.fix_missing_locations(ast.Module(body=[body], type_ignores=[]))
    return next(one for one in _walk_code(compile(module, "<mutant>", "exec")) if one.co_name == function.name)


def _walk_code(code: types.CodeType) -> Iterator[types.CodeType]:
    for one in code.co_consts:
        if isinstance(one, types.CodeType):
            yield one
            yield from _walk_code(one)


def find_function(short: str, name: str) -> Any:
    found: Any = importlib.import_module(f"audit_core.verifier.{short}")
    for part in name.split("."):
        found = vars(found)[part]
    found = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
    return getattr(found, "__wrapped__", found)
