"""Where the disk fills up, an error says whether the batch was recorded, and that is so."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from audit_core.errors import StoreRefused
from audit_core.store import Action, append_event, list_events, open_database, verify_log
from audit_core.store.database import connection


class Failing:
    """A connection at one of whose steps the disk is full."""

    def __init__(self, connection: Any, step: str, *, after: bool) -> None:
        self.connection, self.step, self.after = connection, step, after

    def cursor(self) -> "Failing":
        return Failing(self.connection.cursor(), self.step, after=self.after)

    def _do(self, step: str, act: Callable[[], Any]) -> Any:
        if step != self.step:
            return act()
        if self.after:
            act()
        raise duckdb.IOException("IO Error: No space left on device")

    def execute(self, statement: str, *arguments: Any) -> Any:
        return self._do(statement.split()[0], lambda: self.connection.execute(statement, *arguments))

    def commit(self) -> None:
        self._do("commit", self.connection.commit)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)


def write_two(home: Path) -> None:
    with open_database(home) as connection:
        for name in ("a", "b"):
            append_event(connection, actor="ada", action=Action.PERSON_SIGNED_IN, object_id=name, payload={})


def count(home: Path) -> int:
    with open_database(home) as connection:
        assert verify_log(connection).findings == ()
        return len(list_events(connection))


@pytest.fixture
def fail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    assert count(tmp_path) == 1
    genuine, once = connection._find_engine, [True]

    def break_once(step: str, *, after: bool) -> None:
        def find(path: str) -> Any:
            engine = genuine(path)
            return Failing(engine, step, after=after) if once and once.pop() else engine

        monkeypatch.setattr(connection, "_find_engine", find)

    return break_once


@pytest.mark.parametrize("step", ["INSERT", "commit"])
def test_what_failed_before_it_was_committed_is_said_not_to_be_recorded(
    tmp_path: Path, fail: Callable[..., None], step: str
) -> None:
    fail(step, after=False)
    with pytest.raises(StoreRefused, match=r"No space left.*Nothing was recorded\."):
        write_two(tmp_path)
    assert count(tmp_path) == 1


@pytest.mark.parametrize("step", ["commit", "DETACH"])
def test_what_is_in_the_file_is_done_whatever_failed_after_it(
    tmp_path: Path, fail: Callable[..., None], step: str
) -> None:
    """The error after a commit was once reported as if nothing had been written, and the batch was then written twice."""
    fail(step, after=True)
    write_two(tmp_path)
    assert count(tmp_path) == 3


def test_where_it_cannot_be_read_the_error_says_that_it_is_not_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert count(tmp_path) == 1
    genuine = connection._find_engine
    monkeypatch.setattr(connection, "_find_engine", lambda path: Failing(genuine(path), "commit", after=False))
    monkeypatch.setattr(connection, "_count", _refuse_second_count())
    with pytest.raises(StoreRefused, match="Whether this was recorded is unknown"):
        write_two(tmp_path)


def _refuse_second_count() -> Callable[[Any], int]:
    counts = [3]

    def answer(connection: Any) -> int:
        if counts:
            return counts.pop()
        raise duckdb.IOException("IO Error: cannot read")

    return answer


def test_a_refusal_for_want_of_a_turn_says_that_nothing_was_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LOCK_S", 0.0)
    with open_database(tmp_path), pytest.raises(StoreRefused, match="Nothing was recorded"):
        write_two(tmp_path)


LIMITED = """
import resource, sys
from pathlib import Path
from audit_core.errors import StoreRefused
from audit_core.store import Action, append_event, open_database
home = Path(sys.argv[1])
with open_database(home):
    pass
most = (home / "runs.duckdb").stat().st_size + 300_000
resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
done = refused = 0
for batch in range(23):
    try:
        with open_database(home) as connection:
            for row in range(10):
                text = str(batch * 10 + row) * 5_000
                payload = {"text": text[:9_000]}
                append_event(connection, actor="ada", action=Action.PERSON_SIGNED_IN, object_id=str(batch), payload=payload)
        done += 1
    except StoreRefused as error:
        assert "Nothing was recorded." in str(error), error
        refused += 1
print(done, refused)
"""


@pytest.mark.skipif(os.name != "posix", reason="limits of POSIX")
def test_under_a_real_limit_there_are_as_many_batches_as_were_said_to_be_done(tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(root)}, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    done, refused = map(int, ended.stdout.split())
    assert refused, "the limit was not met"
    assert count(tmp_path) == 1 + 10 * done
