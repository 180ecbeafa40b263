"""A log that was deleted beside its key is a loss that a person has to name, and not a first start."""

from pathlib import Path

import pytest

from audit_core.cli import main
from audit_core.errors import StoreRefused
from audit_core.store import RunLog, list_events, open_database
from audit_core.store.database.lost_log import BEGINNING


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home"
    monkeypatch.setenv("AUDIT_HOME", str(home))
    home.mkdir()
    with open_database(home):
        pass
    return home


def lose(home: Path, how: str) -> None:
    database = home / "runs.duckdb"
    database.unlink()
    if how == "emptied":
        database.touch()
    elif how == "replaced by an empty database":
        import duckdb

        duckdb.connect(str(database)).close()
    elif how == "key in waiting":
        (home / "keys/log.pem").rename(home / "keys/log.pem.next")


LOSSES = ("deleted", "emptied", "replaced by an empty database", "key in waiting")


@pytest.mark.parametrize("how", LOSSES)
def test_a_log_that_is_gone_beside_its_key_stops_reading_and_writing(home: Path, how: str) -> None:
    lose(home, how)
    with (
        pytest.raises(StoreRefused, match="log of this data directory is missing.*Nothing was recorded"),
        open_database(home),
    ):
        pass
    with pytest.raises(StoreRefused, match="log restart"):
        RunLog(home).list_runs()
    for command in (["log", "verify"], ["log", "status"], ["keys", "make", "anna"]):
        assert main(command) == 2


def test_a_restart_is_reported_by_the_new_log_and_by_its_check(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (home / "runs.duckdb").unlink()
    assert main(["log", "restart", "--reason", " "]) == 2
    assert main(["log", "restart", "--reason", "the disk died"]) == 0
    with open_database(home) as connection:
        events = list_events(connection)
    assert [event.action for event in events[:2]] == ["key.made", "log.restarted"]
    assert events[1].payload == {"reason": "the disk died", "left_behind": ["keys/log.pem"]}
    assert events[1].actor != "audit log"
    capsys.readouterr()
    assert main(["log", "verify"]) == 0
    assert "Event 1: this log replaces a lost log" in capsys.readouterr().out


def test_a_log_that_is_there_is_not_restarted(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["log", "restart", "--reason", "I want to"]) == 2
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path / "fresh"))
    assert main(["log", "restart", "--reason", "none was here"]) == 2


def test_a_first_start_that_was_cut_short_goes_on_by_itself(home: Path) -> None:
    """The key is made before the log that names it: what lies beside it says that no log was lost."""
    (home / "runs.duckdb").unlink()
    (home / "keys" / BEGINNING).touch()
    with open_database(home) as connection:
        assert len(list_events(connection)) == 1
    assert not (home / "keys" / BEGINNING).exists()


def test_a_key_that_is_gone_beside_its_log_is_not_made_again(home: Path) -> None:
    (home / "keys/log.pem").unlink()
    assert main(["log", "checkpoint"]) in (0, 2)
    assert main(["log", "verify"]) == 2
    assert not (home / "keys/log.pem").exists()
