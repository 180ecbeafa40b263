"""Parts of a run: a run that was stopped, or whose process was killed, measures no question twice."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from audit_core import open_subject, parts
from audit_core.documents import DocumentsRequest, report
from audit_core.errors import Cancelled, StoreRefused
from audit_core.parts import FOLDER, KeptParts, measure_each
from audit_core.prompts.alignment import tokenise
from audit_core.run import Actor, Auditor
from audit_core.store import RunLog
from audit_core.subject import no_progress
from audit_core.subject_family import find_planted

pytestmark = pytest.mark.usefixtures("short_draws")
ROOT = Path(__file__).resolve().parents[2]
MODEL = "planted-reader-grounded"


@dataclass(frozen=True)
class Part:
    value: float


def measure(
    home: Path, n: int, *, fails_at: int = -1, about: str = "a"
) -> tuple[list[int], tuple[Part, ...], list[Any]]:
    """Indices that were measured, the parts, and the progress."""
    measured: list[int] = []
    seen: list[Any] = []

    def one(at: int) -> Part:
        if at == fails_at:
            raise Cancelled("stop")
        measured.append(at)
        return Part(0.1 * at)

    kept = KeptParts(home, [about])
    found: tuple[Part, ...] = ()
    with kept.lend(), suppress(Cancelled):
        found = measure_each(
            [["q", at] for at in range(n)], Part, one, work=[2] * n, on_progress=lambda *x: seen.append(x), after=1
        ).parts
    assert kept.n_found == n - len(measured) - (0 if fails_at < 0 else n - fails_at)
    return measured, found, seen


def measure_nothing(home: Path) -> list[Any]:
    """Progress where all five parts are kept and nothing follows."""
    seen: list[Any] = []
    with KeptParts(home, ["a"]).lend():
        measure_each(
            [["q", at] for at in range(5)], Part, lambda at: pytest.fail("measured again"), work=[2] * 5, on_progress=lambda *x: seen.append(x)
        )  # fmt: skip
    return seen


def test_a_stopped_run_goes_on_and_its_progress_counts_what_is_left(tmp_path: Path) -> None:
    assert measure(tmp_path, 5, fails_at=3)[0] == [0, 1, 2]
    measured, found, seen = measure(tmp_path, 5)
    assert measured == [3, 4]
    assert found == tuple(Part(0.1 * at) for at in range(5)), "numbers are read back to the last bit"
    assert seen == [(0, 5), (2, 5), (4, 5)]
    assert measure_nothing(tmp_path) == [(1, 1)], "nothing is left: that is the end"
    assert measure(tmp_path, 7)[0] == [5, 6], "another set of questions finds those that it shares"
    assert measure(tmp_path, 5, about="b")[0] == [0, 1, 2, 3, 4], "another model or version finds none"


def test_without_an_auditor_nothing_is_kept(tmp_path: Path) -> None:
    found = measure_each([["q"]], Part, lambda at: Part(1.0), work=[1], on_progress=no_progress)
    assert found.parts == (Part(1.0),)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "damage", [lambda raw: raw[:-3], lambda raw: raw.replace(b"0.1", b"9.9"), lambda raw: b"", lambda raw: b"x" * 99]
)
def test_a_part_that_was_cut_or_changed_is_measured_again(damage: Any, tmp_path: Path) -> None:
    measure(tmp_path, 3)
    path = next(p for p in tmp_path.glob(f"{FOLDER}/*/*") if b"0.1" in p.read_bytes())
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_bytes(damage(path.read_bytes()))
    measured, found, _ = measure(tmp_path, 3)
    assert measured == [1]
    assert found[1] == Part(0.1)


def test_the_oldest_parts_are_deleted_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure(tmp_path, 4)
    size = sum(path.stat().st_size for path in tmp_path.glob(f"{FOLDER}/*/*"))
    monkeypatch.setattr(parts, "MAX_BYTES", size)
    measure(tmp_path, 6)
    assert len(list(tmp_path.glob(f"{FOLDER}/*/*"))) == 5, "swept once, at the first new part"


def test_a_folder_that_cannot_be_written_refuses_the_run(tmp_path: Path) -> None:
    (tmp_path / FOLDER).write_bytes(b"")
    with pytest.raises(StoreRefused, match="cannot be kept"):
        measure(tmp_path, 2)


def ask(n: int) -> tuple[Any, DocumentsRequest]:
    subject, model = open_subject(MODEL), find_planted(MODEL)
    assert model is not None
    prompts = tokenise(model.find_task("reader-lookup").make(2, 0), subject.tokenizer)
    return subject, DocumentsRequest(prompts.take(range(n)), fillers=2, edits=2, traced=1)


def run_slowly(home: Path) -> None:
    """In a process of its own: measure questions until killed."""
    real = report.measure_question

    def slow(*asked: Any) -> Any:
        time.sleep(0.3)
        return real(*asked)

    report.measure_question = slow  # type: ignore[assignment]
    subject, request = ask(8)
    Auditor(subject, RunLog(home)).run("documents", request, actor=Actor("me", "s"))


def test_a_killed_process_leaves_its_questions_to_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, folder = tmp_path / "home", tmp_path / "home" / FOLDER
    home.mkdir()
    code = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'tests')!r}]; from pathlib import Path; from spec.test_parts import run_slowly; run_slowly(Path({str(home)!r}))"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) as process:
        until = time.monotonic() + 120
        while len(list(folder.glob("*/*.json"))) < 3 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    kept = len(list(folder.glob("*/*.json")))
    assert 3 <= kept < 8
    real, measured = report.measure_question, []

    def count(subject: Any, question: Any, request: Any) -> Any:
        measured.append(question.id)
        return real(subject, question, request)

    monkeypatch.setattr(report, "measure_question", count)
    subject, request = ask(8)
    log = RunLog(home)
    found = Auditor(subject, log).run("documents", request, actor=Actor("me", "s"))
    assert len(measured) == len(set(measured)) == 8 - kept
    (end, killed) = log.list_runs()
    assert (killed.outcome, end.outcome, end.detail) == (
        "abandoned",
        "done",
        f"{kept} parts were measured by earlier runs",
    )
    other = tmp_path / "other"
    other.mkdir()
    fresh = Auditor(subject, RunLog(other))
    assert fresh.run("documents", request, actor=Actor("me", "s")).result == found.result
    monkeypatch.setattr(fresh._pace, "keep", lambda *x: pytest.fail("a run from kept parts says nothing of the pace"))
    fresh.execute("documents", replace(request, seed=request.seed))
