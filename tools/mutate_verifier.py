"""Mutation test of the verifier: change one operator, number, condition, call or refusal at a time, and see whether a test fails.

Tests are collected once and run once unchanged, which says how long each takes and which functions it reaches. Each mutant then
runs, in a forked process in which the code of one function is replaced, the tests that reach that function, until one fails.
Constants at the top of a module, and the texts of messages, are not changed. Linux and macOS only.

    PYTHONPATH=.:tests python tools/mutate_verifier.py --out mutants.tsv [MODULE …]
"""

from __future__ import annotations

import argparse
import ast
import copy
import importlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "audit_core/verifier"
TESTS = tuple(
    f"tests/spec/test_{name}.py"
    for name in (
        "answers_in_packs", "decisions", "disclosure", "ed25519", "findings_in_packs", "hostile_text", "merkle", "note", "pack_amounts",
        "pack_container", "pack_documents", "pack_log", "pack_scan", "pack_semantics", "pack_statements", "pack_tampering",
        "pack_trust", "pack_writing", "policy_file", "policy_rule", "strict_json", "verifier_survivors", "witness", "witnessed_packs",
    )
)  # fmt: skip
"""Tests that call the verifier in this process on packs of toys, and build no model."""
SKIPPED = "not processes and not joined and not two_requests"
"""Tests that start processes, or time threads: no function changed here reaches them."""
SLOWEST_S = 3.0
"""A test that takes longer is left out: a mutant must not cost more than seconds."""
LIMIT_S = 60
_BROKEN = 99
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
    code: types.CodeType


def list_mutants(short: str) -> Iterator[Mutant]:
    """Yield each mutant of a module; one that cannot be compiled is none."""
    tree = ast.parse((FOLDER / f"{short}.py").read_text(encoding="utf-8"))
    for name, function in list_functions(tree):
        for statement in function.body:
            for node in _walk_without_annotations(statement):
                for text, changed in change_node(node):
                    # Replaced and put back: a deep copy of the tree would lose the identity of its nodes.
                    code = _compile_changed(function, node, changed)
                    if code is not None:
                        yield Mutant(
                            short, name, getattr(node, "lineno", function.lineno), " ".join(text.split()), code
                        )


def _walk_without_annotations(statement: ast.AST) -> Iterator[ast.AST]:
    """Every node that runs: annotations of variables do not."""
    left = [statement]
    while left:
        node = left.pop(0)
        yield node
        skipped = node.annotation if isinstance(node, ast.AnnAssign) else None
        left += [one for one in ast.iter_child_nodes(node) if one is not skipped]


def _compile_changed(function: ast.FunctionDef, node: ast.AST, changed: ast.AST) -> types.CodeType | None:
    for parent in ast.walk(function):
        for field, value in ast.iter_fields(parent):
            if value is node:
                setattr(parent, field, ast.copy_location(changed, node))
                try:
                    return _compile(function)
                finally:
                    setattr(parent, field, node)
            if isinstance(value, list) and any(one is node for one in value):
                at = next(number for number, one in enumerate(value) if one is node)
                value[at] = ast.copy_location(changed, node)
                try:
                    return _compile(function)
                finally:
                    value[at] = node
    return None


def _compile(function: ast.FunctionDef) -> types.CodeType:
    """Compile the function alone: the decorators that keep answers are left to the function that stands in the module."""
    alone = copy.deepcopy(function)
    alone.decorator_list = []
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


@dataclass(frozen=True)
class Reached:
    """What the unchanged run gave: seconds of each test, and the tests that reach each function, shortest first."""

    seconds: dict[str, float]
    tests: dict[str, list[str]]


class Mutator:
    """A plugin of pytest: where it would run the collected tests, it runs them on every mutant."""

    def __init__(self, modules: Sequence[str], out: Path, reached: Path, every: int, budget_s: float) -> None:
        self.modules, self.out, self.reached, self.every = modules, out, reached, every
        self.budget_s = budget_s
        self.again: set[tuple[str, ...]] | None = None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            sys.exit("the tests cannot be collected")
        items = {item.nodeid: item for item in session.items}
        report(f"{len(items)} tests collected")
        reached = self._reach(items)
        with self.out.open("a", encoding="utf-8") as out:
            # The slow arithmetic of signatures stays for the module that has it.
            for short in sorted(self.modules, key=lambda short: short != "ed25519"):
                if short != "ed25519":
                    find_function("ed25519", "is_signed_by").__code__ = _is_signed_quickly.__code__
                report(short)
                last: dict[str, str] = {}
                for mutant in list(list_mutants(short))[:: self.every]:
                    if (
                        self.again is not None
                        and (short, mutant.function, str(mutant.line), mutant.text) not in self.again
                    ):
                        continue
                    tests = reached.tests.get(f"{short}.{mutant.function}", [])
                    # What noticed the last change of this function is likely to notice the next.
                    tests = self._choose(
                        [*(name for name in (last.get(mutant.function),) if name), *tests], reached.seconds
                    )
                    result, by = try_mutant(mutant, [items[name] for name in tests])
                    last |= {mutant.function: by} if by else {}
                    row = (short, mutant.function, mutant.line, result if tests else "not reached", mutant.text)
                    out.write("\t".join(map(str, row)) + "\n")
                    out.flush()
        return True

    def _choose(self, tests: list[str], seconds: dict[str, float]) -> list[str]:
        """The first tests that fit the seconds that one mutant may cost."""
        chosen: list[str] = []
        spent = 0.0
        for name in tests:
            spent += seconds[name]
            if chosen and spent > self.budget_s:
                break
            chosen.append(name)
        return chosen

    def _reach(self, items: dict[str, pytest.Item]) -> Reached:
        """Run every test once, unchanged, in a process of its own: this one must stay as it was after collection."""
        if not self.reached.exists():
            child = os.fork()
            if child == 0:
                try:
                    self.reached.write_text(json.dumps(_watch(items)), encoding="utf-8")
                except BaseException:  # noqa: BLE001  the child must say why it ends
                    report(traceback.format_exc())
                finally:
                    os._exit(0)
            os.waitpid(child, 0)
        seconds, by_test = json.loads(self.reached.read_text(encoding="utf-8"))
        report(f"{len(seconds)} tests, {sum(one or 0 for one in seconds.values()):.0f} CPU s")
        failed = [name for name, spent in seconds.items() if spent is None]
        if failed:
            sys.exit(f"these tests fail without a change: {failed[:5]}")
        tests: dict[str, list[str]] = {}
        for name in sorted(
            (one for one in seconds if seconds[one] <= min(SLOWEST_S, self.budget_s)), key=seconds.__getitem__
        ):
            for function in by_test[name]:
                tests.setdefault(function, []).append(name)
        return Reached(seconds, tests)


def _watch(items: dict[str, pytest.Item]) -> tuple[dict[str, float | None], dict[str, list[str]]]:
    """Seconds of each test, None where it fails, and the functions that it reaches."""
    seen = _mark_functions()
    seconds: dict[str, float | None] = {}
    by_test: dict[str, list[str]] = {}
    # The tests of the signature's own arithmetic come first: for all others it is done by a library.
    ordered = sorted(items.values(), key=lambda item: "ed25519" not in item.nodeid)
    n_slow = sum("ed25519" in item.nodeid for item in ordered)
    for some in (ordered[:n_slow], ordered[n_slow:]):
        forget_answers()
        seen.clear()
        begun = time.process_time()
        for item, is_passed in run_items(some):
            seconds[item.nodeid] = time.process_time() - begun if is_passed else None
            by_test[item.nodeid] = sorted(seen)
            seen.clear()
            begun = time.process_time()
        find_function("ed25519", "is_signed_by").__code__ = _is_signed_quickly.__code__
    return seconds, by_test


def _mark_functions() -> set[str]:
    """Have every function of the verifier add its name to the returned set when it is called."""
    seen: set[str] = set()
    for short in list_modules():
        module = importlib.import_module(f"audit_core.verifier.{short}")
        vars(module)[_SEEN] = seen
        for name, function in list_functions(ast.parse((FOLDER / f"{short}.py").read_text(encoding="utf-8"))):
            marked = copy.deepcopy(function)
            marked.body.insert(0, ast.parse(f"{_SEEN}.add({f'{short}.{name}'!r})").body[0])
            find_function(short, name).__code__ = _compile(marked)
    return seen


def report(text: str) -> None:
    """Write past pytest, which keeps the standard streams for its tests."""
    assert sys.__stderr__ is not None
    sys.__stderr__.write(f"{text}\n")
    sys.__stderr__.flush()


def _is_signed_quickly(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """In the place of the verifier's own check, which takes most of the time of every test."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def run_items(items: Sequence[pytest.Item]) -> Iterator[tuple[pytest.Item, bool]]:
    """Run tests one after the other; what a module or a class shares stays while the next test needs it."""
    for item, following in zip(items, [*items[1:], None], strict=False):
        yield item, all(not one.failed for one in runtestprotocol(item, log=False, nextitem=following))


def forget_answers() -> None:
    """Clear what the verifier's functions kept from before the change."""
    for name, module in list(sys.modules.items()):
        if name.startswith("audit_core.verifier."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def list_modules() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def try_mutant(mutant: Mutant, items: list[pytest.Item]) -> tuple[str, str]:
    """Run the tests on one mutant in a forked process: killed, survived or timeout; and the name of the test that noticed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            forget_answers()
            find_function(mutant.module, mutant.function).__code__ = mutant.code
            for item, is_passed in run_items(items):
                if not is_passed:
                    os.write(writing, item.nodeid.encode())
                    os._exit(1)
            os._exit(0)
        finally:
            os._exit(_BROKEN)
    os.close(writing)
    begun = time.monotonic()
    try:
        while time.monotonic() - begun < LIMIT_S:
            done, status = os.waitpid(child, os.WNOHANG)
            if done:
                code = os.waitstatus_to_exitcode(status)
                return {0: "survived", 1: "killed"}.get(code, "broken"), os.read(reading, 1 << 16).decode()
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "timeout", ""
    finally:
        os.close(reading)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="of audit_core/verifier; all without one")
    parser.add_argument("--out", type=Path, required=True, help="one line per mutant, as it is done")
    parser.add_argument(
        "--reached", type=Path, help="keeps the unchanged run for a second process; delete it after any change"
    )
    parser.add_argument("--every", type=int, default=1, help="try every n-th mutant only")
    parser.add_argument(
        "--budget", type=float, default=1e9, help="CPU seconds of tests that one mutant may cost, shortest first"
    )
    parser.add_argument(
        "--again", type=Path, help="try only the mutants that this file of an earlier run names as survivors"
    )
    parser.add_argument("--tests", nargs="+", default=TESTS, help="files of tests, in the place of all that are known")
    parser.add_argument("--count", action="store_true", help="count the mutants of each module, and try none")
    options = parser.parse_args()
    modules = options.modules or list_modules()
    if options.count:
        for short in modules:
            sys.stdout.write(f"{short}\t{sum(1 for _ in list_mutants(short))}\n")
        return 0
    folder = tempfile.mkdtemp()
    mutator = Mutator(modules, options.out.resolve(), Path(), options.every, options.budget)
    if options.again is not None:
        rows = [line.split("\t") for line in options.again.read_text(encoding="utf-8").splitlines()]
        mutator.again = {(row[0], row[1], row[2], row[4]) for row in rows if row[3] not in ("killed", "timeout")}
    reached = options.reached or Path(folder, "reached.json")
    arguments = ["-q", "-p", "no:cacheprovider", "--capture=sys", "--basetemp", f"{folder}/pytest", "-k", SKIPPED]
    mutator.reached = reached.resolve()
    try:
        return int(
            pytest.main(
                [*arguments, *(name for name in options.tests if (ROOT / name).exists())],
                plugins=[mutator],
            )
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
