"""Mutation test of the verifier: change one operator, number, condition, call or refusal at a time, and see whether a test fails.

Tests are collected once and run once unchanged, file by file, which says how long each takes and which statements it reaches.
What a file's tests share stays built. Then each mutant runs, in a forked process in which the code of one function is replaced,
the tests that reach the changed statement, shortest first, until one fails. Linux and macOS only.

A run that was stopped goes on where it was: what is in the record is not tried again. Delete the record after any change.

    PYTHONPATH=.:tests python tools/mutate_verifier.py --out mutants.tsv [MODULE …]
"""

from __future__ import annotations

import argparse
import gc
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from verifier_mutants import ROOT, Mutant, find_function, list_modules, list_mutants, mark_statements

_LIGHT = (
    "skeletons", "prompts_in_packs", "disclosed_by_hand", "answer_thresholds", "verifier_limits", "what_is_decided", "policy_rule", "strict_json", "pack_trust",
    "pack_amounts", "policy_file", "pack_tampering", "pack_semantics", "pack_log", "decisions", "note", "merkle", "pack_documents", "pack_container",
)  # fmt: skip
"""Tests that import little, as a fork of a small process costs little; quick and far-reaching files first."""
_HEAVY = (
    "findings_in_packs", "answers_in_packs", "witness", "witnessed_packs", "hostile_text", "pack_statements", "pack_writing",
)  # fmt: skip
TESTS = tuple(tuple(f"tests/spec/test_{name}.py" for name in names) for names in (_LIGHT, _HEAVY))
"""Tests that call the verifier in this process on packs of toys, and build no model; each group in a process of its own."""
SIGNATURES = (("tests/spec/test_ed25519.py",),)
"""Tests of the signature's own arithmetic: in all others a library does it."""
SKIPPED = "not processes and not joined and not two_requests"
"""Tests that start processes, or time threads: no function changed here reaches them."""
CPU_S, WALL_S = 3, 300
"""A mutant that computes longer than this, and than three times its tests, never ends; one that waits longer is stuck, which is no answer."""
KILLED, ENDLESS, PASSED, SURVIVED, UNREACHED = "killed", "timeout", "passed", "survived", "not reached"
ANSWERS = (KILLED, ENDLESS)


class Record:
    """The rows of this run and of the runs before it: module, function, line, number, change, result, test."""

    def __init__(self, path: Path) -> None:
        rows = [line.split("\t") for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []
        self.noticed = {tuple(row[:5]): row[6] for row in rows if row[5] in ANSWERS}
        self.passed = {(tuple(row[:5]), row[6]) for row in rows if row[5] == PASSED}
        self.reached = {key for key, _ in self.passed}
        self.ended = {tuple(row[:5]): row[5] for row in rows if row[5] in (SURVIVED, UNREACHED)}
        self._file = path.open("a", encoding="utf-8")

    def add(self, mutant: Mutant, result: str, by: str = "") -> None:
        self._file.write("\t".join((*mutant.key, result, by)) + "\n")
        self._file.flush()
        if result in ANSWERS:
            self.noticed[mutant.key] = by
        elif result == PASSED:
            self.passed.add((mutant.key, by))
        else:
            self.ended[mutant.key] = result


class Mutator:
    """A plugin of pytest: where it would run the collected tests, it runs them on every mutant."""

    def __init__(
        self, mutants: Sequence[Mutant], files: Sequence[str], record: Record, slowest_s: float, is_fresh: bool
    ) -> None:
        self.mutants, self.files, self.record = mutants, files, record
        self.slowest_s, self.is_fresh = slowest_s, is_fresh
        self.seen = mark_statements()
        self.shared: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        """Note what only the building of something shared reaches: it is not built again for each mutant."""
        before = set(self.seen)
        found = yield
        if fixturedef.scope != "function":
            self.shared |= self.seen - before
        return found

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            sys.exit("the tests cannot be collected")
        # The project's own order begins with what takes longest: here what is quick and far-reaching comes first.
        by_file: dict[str, list[pytest.Item]] = {name: [] for name in self.files}
        for item in session.items:
            by_file[item.nodeid.split("::")[0]].append(item)
        files = [(name, items) for name, items in by_file.items() if items]
        for number, (name, items) in enumerate(files):
            self._try_file(name, items)
            following = files[number + 1][1][0] if number + 1 < len(files) else None
            session._setupstate.teardown_exact(following)
        return True

    def _try_file(self, name: str, items: list[pytest.Item]) -> None:
        begun = time.process_time()
        self.shared = set()
        seconds, reached = self._run_unchanged(items)
        quick = sorted((one for one in items if seconds[one] <= self.slowest_s), key=seconds.__getitem__)
        last: dict[str, pytest.Item] = {}
        gc.collect()
        gc.freeze()
        if fork_and_run(None, quick, 600)[0] != PASSED:
            sys.exit(f"{name}: a test fails in a forked process without a change")
        # What a test leaves in files, such as a key, can make it fail in every later process: it would notice any change.
        quick = [one for one in quick if fork_and_run(None, [one], 600)[0] == PASSED]
        results: Counter[str] = Counter()
        for mutant in self.mutants:
            if mutant.key in self.record.noticed or (mutant.key, name) in self.record.passed:
                continue
            is_fresh = self.is_fresh and mutant.place in self.shared
            tests = [one for one in quick if is_fresh or mutant.place in reached[one]]
            if not tests:
                continue
            # What noticed the last change of this function is likely to notice the next.
            if (first := last.get(mutant.function)) in tests:
                tests = [first, *(one for one in tests if one is not first)]
            limit_s = CPU_S + 3 * int(sum(seconds[one] for one in tests)) + (60 if is_fresh else 0)
            result, by = fork_and_run(mutant, tests, limit_s, is_fresh)
            results[result] += 1
            self.record.add(mutant, result, by or name)
            if by:
                last[mutant.function] = next(one for one in tests if one.nodeid == by)
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        report(
            f"{name}: {len(quick)} of {len(items)} tests, {time.process_time() - begun:.0f} CPU s here, "
            f"{children.ru_utime + children.ru_stime:.0f} in children so far; {dict(results)}"
        )

    def _run_unchanged(self, items: list[pytest.Item]) -> tuple[dict[pytest.Item, float], dict[pytest.Item, set[str]]]:
        """CPU seconds of each test, and the statements that it reaches; what the file shares stays built."""
        seconds, reached = {}, {}
        for item in items:
            self.seen.clear()
            begun = time.process_time()
            if not is_passing(item):
                sys.exit(f"{item.nodeid} fails without a change")
            seconds[item], reached[item] = time.process_time() - begun, set(self.seen)
        # The first test that asks for something shared pays for it once, and not for each mutant.
        for item in items:
            begun = time.process_time()
            if seconds[item] > self.slowest_s and is_passing(item):
                seconds[item] = time.process_time() - begun
        return seconds, reached


class AnyTestOf:
    """Stands for a following test of the same file: what the file shares stays built."""

    def __init__(self, item: pytest.Item) -> None:
        chain = item.listchain()
        self._chain = chain[: 1 + next(place for place, one in enumerate(chain) if isinstance(one, pytest.Module))]

    def listchain(self) -> list[Any]:
        return self._chain


def is_passing(item: pytest.Item) -> bool:
    """Run one test; what its file shares stays."""
    return all(not one.failed for one in runtestprotocol(item, log=False, nextitem=AnyTestOf(item)))  # type: ignore[arg-type]


def fork_and_run(
    mutant: Mutant | None, tests: Sequence[pytest.Item], limit_s: int, is_fresh: bool = False
) -> tuple[str, str]:
    """Run tests in a forked process, on one mutant if there is one: the result, and the test that noticed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 99
        try:
            status = _run_child(mutant, tests, limit_s, is_fresh, writing)
        finally:
            os._exit(status)
    os.close(writing)
    try:
        begun = time.monotonic()
        while time.monotonic() - begun < WALL_S:
            done, code = os.waitpid(child, os.WNOHANG)
            if done:
                by = os.read(reading, 1 << 16).decode()
                return {0: PASSED, 1: KILLED, -signal.SIGXCPU: ENDLESS}.get(
                    os.waitstatus_to_exitcode(code), "broken"
                ), by
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return "stuck", ""
    finally:
        os.close(reading)


def _run_child(mutant: Mutant | None, tests: Sequence[pytest.Item], limit_s: int, is_fresh: bool, writing: int) -> int:
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 5))
    forget_answers()
    if mutant is not None:
        find_function(mutant.module, mutant.function).__code__ = mutant.code
    if is_fresh:
        tests[0].session._setupstate.teardown_exact(None)
    for item in tests:
        if not is_passing(item):
            os.write(writing, item.nodeid.encode())
            return 1
    return 0


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


def forget_answers() -> None:
    """Clear what the verifier's functions kept from before the change."""
    for name, module in list(sys.modules.items()):
        if name.startswith("audit_core.verifier."):
            for value in vars(module).values():
                if hasattr(value, "cache_clear"):
                    value.cache_clear()


def summarise(modules: Sequence[str], record: Record) -> str:
    """Counts of each module, and every change that no test noticed."""
    rows, open_rows = [], []
    for short in modules:
        mutants = list(list_mutants(short))
        found = Counter(KILLED if one.key in record.noticed else record.ended.get(one.key, "open") for one in mutants)
        counts = (len(mutants), found[KILLED], found[SURVIVED], found[UNREACHED], found["open"])
        rows.append(f"{short}\t" + "\t".join(map(str, counts)))
        open_rows += [
            "\t".join((*one.key, record.ended.get(one.key, "open"))) for one in mutants if one.key not in record.noticed
        ]
    return "\n".join(["module\tchanges\tnoticed\tsurvive\tnot reached\topen", *rows, "", *open_rows]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="of audit_core/verifier; all without one")
    parser.add_argument("--out", type=Path, required=True, help="the record: one line per mutant and file of tests")
    parser.add_argument(
        "--slowest", type=float, default=0.5, help="leave out tests that take more CPU seconds than this"
    )
    parser.add_argument(
        "--fresh", action="store_true", help="build what tests share again where a change is in what it reaches"
    )
    parser.add_argument("--tests", nargs="+", help="files of tests, in the place of all that are known")
    parser.add_argument("--summary", action="store_true", help="count what is in the record, and try none")
    options = parser.parse_args()
    modules = options.modules or list_modules()
    if options.summary:
        sys.stdout.write(summarise(modules, Record(options.out.resolve())))
        return 0
    if (is_arithmetic := "ed25519" in modules) and len(modules) > 1:
        sys.exit("try ed25519 alone: the tests of all other modules have a library in its place")
    groups = (tuple(options.tests),) if options.tests else SIGNATURES if is_arithmetic else TESTS
    for names in groups:
        child = os.fork()
        if child == 0:
            os._exit(try_modules(modules, [name for name in names if (ROOT / name).exists()], options))
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
            return 1
    if not options.tests:
        record = Record(options.out.resolve())
        for mutant in (one for short in modules for one in list_mutants(short)):
            if mutant.key not in record.noticed:
                record.add(mutant, SURVIVED if mutant.key in record.reached else UNREACHED)
    return 0


def try_modules(modules: Sequence[str], names: Sequence[str], options: argparse.Namespace) -> int:
    """Try every mutant of these modules on these files of tests."""
    mutants = [mutant for short in modules for mutant in list_mutants(short)]
    mutator = Mutator(mutants, names, Record(options.out.resolve()), options.slowest, options.fresh)
    if "ed25519" not in modules:
        find_function("ed25519", "is_signed_by").__code__ = _is_signed_quickly.__code__
    folder = tempfile.mkdtemp()
    arguments = ["-q", "-p", "no:cacheprovider", "--capture=sys", "--basetemp", f"{folder}/pytest", "-k", SKIPPED]
    try:
        return int(pytest.main([*arguments, *names], plugins=[mutator]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
