"""`finding` on the command line: from a suggestion to a closed finding in a pack that a third party checks."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from toy.withheld import make_prompts, pack_claim, read_pack, run_claim

from audit_core import cli
from audit_core.cli.keys import describe_trust
from audit_core.evidence.keys import make_key
from audit_core.subjects.transformer import TransformerSubject

pytestmark = pytest.mark.usefixtures("short_draws")
ROOT = Path(__file__).resolve().parents[2]
Ask = Callable[..., Any]


@pytest.fixture(scope="module")
def tested(tmp_path_factory: pytest.TempPathFactory, planted: TransformerSubject) -> Iterator[Path]:
    """A data directory with one tested claim."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIT_HOME", str(home))
        run_claim(home, planted, make_prompts())
        make_key(home, "anna")
        yield home


@pytest.fixture
def ask(tested: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Ask:
    """One `finding` command with `--json`; returns its document, or its exit code if that is not 0."""
    monkeypatch.setenv("AUDIT_HOME", str(tested))

    def run(*words: str) -> Any:
        code = cli.main(["finding", *words, "--json"])
        said = capsys.readouterr().out
        return json.loads(said) if code == 0 else code

    return run


def test_a_suggestion_becomes_a_finding_that_travels_in_the_pack(ask: Ask, tested: Path, tmp_path: Path) -> None:
    suggested = ask("suggest", "C-0001")
    assert suggested
    assert ask("list") == [], "a suggestion is no finding"
    assert ask("add", "--claim", "C-0001", "--suggestion", "1", "--severity", "high") == 2, "a person names the owner"
    made = ask("add", "--claim", "C-0001", "--suggestion", "1", "--severity", "high", "--owner", "bela")
    assert made["state"]["basis"] == suggested[0]["text"]
    assert len(ask("suggest", "C-0001")) == len(suggested) - 1
    assert ask("close", "F-0001", "--reason", "x", "--version", "7") == 2, "a version that was never read"
    assert (
        ask("update", "F-0001", "--status", "in_remediation", "--reason", "begun")["state"]["status"]
        == "in_remediation"
    )
    assert ask("close", "F-0001", "--reason", "tested again")["state"]["status"] == "closed"
    assert ask("reopen", "F-0001", "--reason", "not yet")["state"]["status"] == "open"
    assert ask("accept", "F-0001", "--reason", "narrow use")["state"]["status"] == "accepted"
    (listed,) = ask("list", "--claim", "C-0001")
    assert [row["step"] for row in listed["history"]] == ["recorded", "changed", "closed", "reopened", "accepted"]

    pack_claim(tested, "p.zip")
    (tested / "trust.toml").write_text(describe_trust(tested, [("anna", "preparer")]))
    assert json.loads(read_pack(tested / "p.zip")["claims/findings.json"]) == [
        {name: value for name, value in listed.items() if name != "overdue"}
    ]
    checked = subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "verify_pack.py"), str(tested / "p.zip"), "--trust", str(tested / "trust.toml")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr
    out = tmp_path / "report.json"
    assert cli.main(["report", str(tested / "p.zip"), "--out", str(out)]) == 0
    register = next(one for one in json.loads(out.read_bytes())["sections"] if one["key"] == "register")
    assert "F-0001" in json.dumps(register)
    assert "◆ accepted" in json.dumps(register, ensure_ascii=False)


def test_notices_are_written_as_calendar_and_feed_and_under_no_other_name(ask: Ask, tmp_path: Path) -> None:
    assert isinstance(
        ask("add", "--claim", "C-0001", "--severity", "critical", "--owner", "o", "--title", "t", "--finding", "f"),
        dict,
    )
    for name, start in (("n.ics", b"BEGIN:VCALENDAR"), ("n.json", b'{\n "version"')):
        assert [one["kind"] for one in ask("notices", "--out", str(tmp_path / name))] == ["finding due soon"]
        assert (tmp_path / name).read_bytes().startswith(start)
    assert ask("notices", "--out", str(tmp_path / "n.txt")) == 2
    assert not (tmp_path / "n.txt").exists()


@pytest.mark.parametrize(
    "words",
    [("close", "F-0099", "--reason", "x"), ("suggest", "C-0099"), ("add", "--claim", "C-0001", "--suggestion", "999")],
)
def test_what_is_not_there_is_refused(ask: Ask, words: tuple[str, ...]) -> None:
    assert ask(*words) == 2
