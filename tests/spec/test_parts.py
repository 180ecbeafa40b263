"""Runs as Parquet parts in a folder of several installations, and an index of them for each reader."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import astuple, replace
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import TypeAdapter
from spec.test_exchange_effects import make_sweep

from audit_core import cli
from audit_core.audits.sweep import SweepResult
from audit_core.errors import IntegrityError, Refused, StoreRefused
from audit_core.exchange import parts
from audit_core.exchange.effect_files import read_effects
from audit_core.exchange.effect_table import tabulate_run
from audit_core.exchange.parts import Published, publish_runs
from audit_core.store import RunLog, open_database
from audit_core.store.log import run_log
from audit_core.store.log.backup import back_up, restore
from audit_core.store.log.run_log import RunRecord
from audit_core.store.parts_index import build_index, name_effects, name_run

SECRETS = ("Ada Actor", "session-of-ada", "a prompt that was quoted", "/home/ada")
IDENTITY = {
    "model": "toy",
    "prompts": "letters",
    "n_prompts": 40,
    "folder": SECRETS[3],
    "environment": {"host": SECRETS[3]},
}
DONE = RunRecord(
    "a1", "2026-11-01T10:00:00.000+00:00", SECRETS[0], SECRETS[1], "sweep", "done", "", "", "c" * 64, "m" * 64, "p" * 64,
    json.dumps(IDENTITY), "{}", TypeAdapter(SweepResult).dump_json(make_sweep()).decode(), 1.5,
)  # fmt: skip
REFUSED = replace(
    DONE, run_id="a2", started_at="2026-11-02T10:00:00.000+00:00", outcome="not_measured", reason="control_failed", detail=SECRETS[2],
    content_key="d" * 64, result=None,
)  # fmt: skip


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with two runs; tests only read it."""
    home = tmp_path_factory.mktemp("installation")
    for record in (DONE, REFUSED):
        RunLog(home).append(record)
    return home


@pytest.fixture(scope="module")
def published(installation: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shared") / "it's parts"
    assert publish_runs(RunLog(installation), folder) == Published(2, 0, 1, 0)
    return folder


def read_files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ask(index: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(index), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_the_index_has_the_runs_and_every_estimate_of_the_log(published: Path, tmp_path: Path) -> None:
    index = tmp_path / "index.duckdb"
    found = build_index(published, index)
    table = tabulate_run(DONE)
    assert (found.runs, found.effects, found.newest) == (2, len(table.rows), REFUSED.started_at)
    assert ask(index, "SELECT * FROM effects") == [("a1", *astuple(row)) for row in table.rows]
    columns = (
        "run_id, audit, outcome, reason, model, model_digest, prompts, prompts_sha256, content_key, wall_s, n_effects"
    )
    same = ("toy", "m" * 64, "letters", "p" * 64)
    assert ask(index, f"SELECT {columns} FROM runs") == [
        ("a1", "sweep", "done", "", *same, "c" * 64, 1.5, len(table.rows)),
        ("a2", "sweep", "not_measured", "control_failed", *same, "d" * 64, 1.5, 0),
    ]
    assert index.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["index.duckdb"]
    raw = (published / name_effects("a1")).read_bytes()
    assert read_effects(raw, name="effects.parquet") == table, "a part is a file that `exchange read-effects` takes"


def test_nothing_that_names_a_person_a_machine_or_a_text_is_published(published: Path, tmp_path: Path) -> None:
    build_index(published, tmp_path / "index.duckdb")
    files = [*read_files(published).values(), (tmp_path / "index.duckdb").read_bytes()]
    assert not [secret for secret in SECRETS for raw in files if secret.encode() in raw]
    assert any(DONE.model_digest.encode() in raw for raw in files)


def test_an_installation_that_moved_publishes_the_same_parts_and_none_twice(
    installation: Path, published: Path, tmp_path: Path
) -> None:
    """Back up, restore elsewhere, go on there: the log's history and the parts agree."""
    before, moved = read_files(published), tmp_path / "moved"
    with open_database(installation):
        pass
    back_up(installation, tmp_path / "b.zip", with_private_keys=True)
    restore(tmp_path / "b.zip", moved)
    assert publish_runs(RunLog(moved), published) == Published(0, 2, 0, 0)
    assert read_files(published) == before
    publish_runs(RunLog(moved), tmp_path / "fresh")
    assert read_files(tmp_path / "fresh") == before


def test_a_second_installation_adds_its_runs_while_a_reader_has_the_older_index(
    published: Path, tmp_path: Path
) -> None:
    folder, index = shutil.copytree(published, tmp_path / "parts"), tmp_path / "index.duckdb"
    build_index(folder, index)
    (tmp_path / "other").mkdir()
    RunLog(tmp_path / "other").append(replace(DONE, run_id="b1", started_at="2026-11-03T10:00:00.000+00:00"))
    with duckdb.connect(str(index), read_only=True) as reader:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: publish_runs(RunLog(tmp_path / "other"), folder), range(4)))
        assert all(one.new + one.known == 1 for one in found)
        # What a publisher was killed while writing is not seen: files are named when they are whole.
        (folder / "runs" / ".assay-0.part").write_bytes(b"PAR1")
        assert build_index(folder, tmp_path / "new.duckdb").runs == 3
        (tmp_path / "new.duckdb").replace(index)
        assert reader.execute("SELECT count(*) FROM runs").fetchall() == [(2,)]
    assert ask(index, "SELECT count(DISTINCT run_id) FROM effects") == [(2,)]


def test_a_publication_that_was_killed_goes_on(
    installation: Path, published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the effects and before the run's row: until then the run is not there."""
    written: list[Path] = []

    def write(path: Path, data: bytes, *, mode: int) -> None:
        if written:
            raise OSError(28, "No space left on device")
        written.append(path)
        parts_write(path, data, mode=mode)

    parts_write = parts.write_new
    with monkeypatch.context() as patch:
        patch.setattr(parts, "write_new", write)
        with pytest.raises(StoreRefused, match="No space left"):
            publish_runs(RunLog(installation), tmp_path / "parts")
    with pytest.raises(Refused, match="has no part of a run"):
        build_index(tmp_path / "parts", tmp_path / "index.duckdb")
    assert publish_runs(RunLog(installation), tmp_path / "parts") == Published(2, 0, 1, 0)
    assert read_files(tmp_path / "parts") == read_files(published)


def test_a_run_without_an_end_is_published_when_it_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    log = RunLog(tmp_path / "home")
    monkeypatch.setattr(run_log, "is_alive", lambda *_: False)
    log.start(DONE.start)
    assert publish_runs(log, tmp_path / "parts") == Published(0, 0, 0, 1)
    log.append(DONE)
    assert publish_runs(log, tmp_path / "parts") == Published(1, 0, 0, 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda folder: (folder / name_effects("a1")).unlink(), "run_id=a1 of .* has no effects"),
        (lambda folder: (folder / name_run("a2")).rename(folder / name_run("a3")), "another run in it"),
        (lambda folder: (folder / name_run("a2")).write_bytes(b"PAR1 not"), "cannot be read"),
        (lambda folder: shutil.copy(folder / name_run("a2"), folder / name_effects("a1")), "cannot be read|effects"),
    ],
)
def test_parts_that_do_not_agree_give_no_index_and_leave_the_older_one(
    published: Path, tmp_path: Path, change: Callable[[Path], object], says: str
) -> None:
    folder, index = shutil.copytree(published, tmp_path / "parts"), tmp_path / "index.duckdb"
    build_index(folder, index)
    before = index.read_bytes()
    change(folder)
    with pytest.raises(IntegrityError, match=says):
        build_index(folder, index)
    assert index.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["index.duckdb", "parts"]


def test_the_commands_publish_and_index(
    installation: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUDIT_HOME", str(installation))
    folder, index = str(tmp_path / "parts"), str(tmp_path / "index.duckdb")
    assert cli.main(["exchange", "index", folder, "--out", index]) == 2
    assert cli.main(["exchange", "publish", folder]) == 0
    assert "2 runs added, of which 1 without effects" in capsys.readouterr().out
    assert cli.main(["exchange", "index", folder, "--out", index, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"runs": 2, "effects": 8, "newest": REFUSED.started_at}
