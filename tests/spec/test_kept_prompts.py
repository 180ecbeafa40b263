"""The home: made where it is asked for, and prompts kept under their hash and never under a name somebody typed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from toy.prompts import make_letters

from audit_core.errors import IntegrityError, PromptRefused, StoreRefused
from audit_core.store import audit_home, keep_prompts, load_kept_prompts


def test_the_home_is_made_where_the_environment_says(own_home: Path) -> None:
    assert audit_home() == own_home
    assert own_home.is_dir()


def test_a_home_that_cannot_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(StoreRefused, match="set AUDIT_HOME"):
        audit_home()


def test_kept_prompts_come_back_by_their_id_and_equal_sets_share_it(own_home: Path) -> None:
    rows = make_letters([4, 5])
    key = keep_prompts(rows)
    assert keep_prompts(make_letters([4, 5])) == key
    assert load_kept_prompts(key).prompts == rows.prompts
    assert load_kept_prompts(key).sha256 == rows.sha256
    assert keep_prompts(make_letters([4, 6])) != key
    assert [path.suffix for path in (own_home / "prompts").iterdir()] == [".jsonl"] * 2


def test_sessions_that_bring_the_same_prompts_at_once_all_keep_them(own_home: Path) -> None:
    sets = [make_letters([6] * 300, seed=seed) for seed in range(10)]
    barrier, keys = threading.Barrier(6), []

    def keep() -> None:
        for rows in sets:
            barrier.wait(30)
            keys.append(keep_prompts(rows))

    workers = [threading.Thread(target=keep) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(keys) == 60
    assert len(set(keys)) == len(list((own_home / "prompts").iterdir())) == 10


@pytest.mark.parametrize(
    "key", ["", "own-", "own-" + "0" * 24, "../runs", "own-../../../../etc/passwd", "own-" + "G" * 24]
)
def test_an_id_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(PromptRefused, match="type or upload them again"):
        load_kept_prompts(key)


def test_kept_prompts_that_were_changed_are_not_read_and_keeping_them_again_puts_them_right(own_home: Path) -> None:
    rows = make_letters([4, 5])
    key = keep_prompts(rows)
    path = own_home / "prompts" / f"{key}.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole.splitlines(keepends=True)[0])
    with pytest.raises(IntegrityError, match="changed on disk"):
        load_kept_prompts(key)
    assert keep_prompts(rows) == key
    assert path.read_bytes() == whole
