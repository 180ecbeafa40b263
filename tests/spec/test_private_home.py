"""Whatever a home holds is its owner's alone, under any umask."""

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from toy.additive import AdditiveSubject

from audit_core.claim import Claim
from audit_core.component import head
from audit_core.confirm import freeze_claim, run_confirmatory
from audit_core.prompts.prompt_set import Prompt, PromptSet
from audit_core.run import Actor, Auditor
from audit_core.shipped import load_shipped_policy
from audit_core.store import RunLog, audit_home, keep_prompts, make_key, open_database, read_log_view
from audit_core.store.claims.register import Register
from audit_core.store.database.private import tighten_home

pytestmark = pytest.mark.skipif(os.name != "posix", reason="modes are of POSIX")


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def list_open(home: Path) -> list[str]:
    found = [home, *home.rglob("*")]
    return [str(path) for path in found if stat.S_IMODE(path.lstat().st_mode) & 0o077]


@pytest.mark.usefixtures("open_umask")
def test_a_run_leaves_nothing_in_the_home_that_others_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path / "home"))
    home = audit_home()
    subject = AdditiveSubject({head(1, 0): 1.0, head(0, 1): 0.5})
    prompts = PromptSet(
        "additive", tuple(Prompt(f"p{i}", f"good {i} x", f"bad {i} x", " yes", " no", f"t{i % 5}") for i in range(20))
    )
    keep_prompts(prompts)
    keep_prompts(prompts, owner="0" * 32)
    make_key(home, "anna")
    claim = Claim("the second layer's head is needed", (head(1, 0),))
    freeze_claim(
        Register(home), subject, claim, prompts, load_shipped_policy(), owner="anna", model="additive", questions=()
    )
    run_confirmatory(Register(home), "C-0001", lambda name: Auditor(subject, RunLog(home)), actor=Actor("anna", "test"))
    read_log_view(home)
    assert len(list(home.rglob("*"))) > 8
    assert list_open(home) == []


@pytest.mark.usefixtures("open_umask")
def test_a_home_from_before_is_tightened_as_it_is_opened_with_a_notice(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    home = tmp_path / "home"
    (home / "prompts/of-x").mkdir(parents=True)
    (home / "prompts/of-x/own.jsonl").write_text("{}")
    outside = tmp_path / "outside.txt"
    outside.write_text("mine")
    (home / "link").symlink_to(outside)
    with caplog.at_level(logging.WARNING), open_database(home):
        pass
    (home / "link").unlink()
    assert list_open(home) == []
    assert "were accessible to other accounts" in caplog.text
    assert stat.S_IMODE(outside.stat().st_mode) == 0o666


@pytest.mark.usefixtures("open_umask")
def test_a_shared_temporary_folder_is_left_as_it_is(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    (shared / "another's.txt").write_text("x")
    assert tighten_home(shared, os.getpid()) == 0
    assert stat.S_IMODE(shared.stat().st_mode) == 0o1777
