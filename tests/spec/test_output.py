"""What a command writes arrives whatever encoding standard output has; where it cannot arrive that is said, and the run is in the log."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from audit_core import cli
from audit_core.cli.circuits import print_findings
from audit_core.cli.output import print_json, print_json_text, print_result
from audit_core.errors import Refused
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.store import RunLog
from tests.toy.golden import find_pack, list_packs
from tests.toy.models import build_random

ROOT = Path(__file__).resolve().parents[2]
PACK = find_pack(list_packs("planted")[0])
TRUST = ROOT / "data/packs/trust.toml"
WORDS = "模型 é 😀 \u2028"
ENCODINGS = ["ascii", "cp1252", "latin-1", "utf-16", "utf-8", "koi8-r", "shift_jis"]
GATE = ["-m", "audit_core", "gate", str(PACK), "--trust", str(TRUST), "--policy", "data/policy/default.toml"]
VERIFY = ["verify_pack.py", str(PACK), "--trust", str(TRUST)]


def write_to(monkeypatch: pytest.MonkeyPatch, encoding: str) -> io.BytesIO:
    """Standard output in an encoding, as Python opens it: what it lacks is an error."""
    buffer = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(buffer, encoding=encoding, errors="strict", newline="\n"))
    return buffer


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_the_same_document_in_every_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    buffer = write_to(monkeypatch, encoding)
    cli.output.open_output()
    document = {WORDS: [WORDS, 1.5, None, "\\u00e9"]}
    print_json(document)
    assert json.loads(buffer.getvalue().decode(encoding)) == document


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_that_was_text_already_stays_the_same_document(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    buffer = write_to(monkeypatch, encoding)
    cli.output.open_output()
    print_json_text('{"é":"😀"}')
    assert json.loads(buffer.getvalue().decode(encoding)) == {"é": "😀"}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_text_keeps_the_letters_that_there_are_and_numbers_the_others(
    monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    buffer = write_to(monkeypatch, encoding)
    cli.output.open_output()
    print_result(f"{WORDS} end")
    written = buffer.getvalue().decode(encoding)
    assert written.endswith(" end\n")
    assert ("模型" in written) is (encoding in ("utf-8", "utf-16", "shift_jis")) or "\\u6a21" in written


def test_a_name_that_is_no_text_is_still_json(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file name of bytes that are not UTF-8 holds half of a pair, which UTF-8 has no form for."""
    buffer = write_to(monkeypatch, "utf-8")
    cli.output.open_output()
    print_json({"path": "a\udcff"})
    assert json.loads(buffer.getvalue()) == {"path": "a\udcff"}


def test_a_command_runs_to_its_end_in_an_encoding_without_its_letters(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`models` names the folder of the cache."""
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path / "模型"))
    for words in (["models"], ["models", "--json"], ["log", "export"], ["log", "status", "--json"], ["desk", "list"]):
        write_to(monkeypatch, "ascii")
        assert cli.main(words) == 0, words


def test_a_closed_output_is_refused_before_anything_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "stdout", None)
    assert cli.main(["gate", str(PACK), "--policy", "data/policy/default.toml"]) == 2
    assert "Standard output is closed" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("word", ["\udce6\udca8", "a\ud800"])
def test_letters_that_the_machine_cannot_read_are_refused_before_anything_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path))
    assert cli.main(["sweep", "--model", word, "--prompts", "none.jsonl"]) == 2
    assert "PYTHONUTF8=1" in capsys.readouterr().err
    assert list(RunLog(tmp_path).export()) == []


class Full(io.TextIOWrapper):
    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def test_a_full_disk_says_that_the_run_is_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Full(io.BytesIO(), encoding="utf-8"))
    with pytest.raises(Refused, match=r"No space left on device.*log export"):
        print_result("a result")
    print_result("what comes after it is not tried")


def start(words: list[str], how: str, home: Path, **more: str) -> subprocess.CompletedProcess[bytes]:
    """A command of a shell, with Python's words in place of $@."""
    environment = {**os.environ, "AUDIT_HOME": str(home), **more}
    shell = ["bash", "-c", f'set -o pipefail; "$@" {how}', "bash", sys.executable, *words]
    return subprocess.run(shell, cwd=ROOT, env=environment, capture_output=True, timeout=120)


@pytest.mark.parametrize("words, code", [(VERIFY, 0), (GATE, 3), (["verify_pack.py", "--help"], 0)])
def test_a_reader_who_stops_reading_changes_nothing(tmp_path: Path, words: list[str], code: int) -> None:
    for how in ("| true", "| head -c 1 >/dev/null") if words is not GATE else ("| true",):
        done = start(words, how, tmp_path)
        assert (done.returncode, done.stderr) == (code, b""), how


@pytest.mark.parametrize("words", [VERIFY, ["verify_pack.py", "--help"], ["-m", "audit_core", "--help"]])
@pytest.mark.parametrize("how", [">&-", ">&- 2>&-", ">/dev/full"])
def test_output_that_cannot_be_written_is_an_exit_code_and_a_sentence(
    tmp_path: Path, words: list[str], how: str
) -> None:
    done = start(words, how, tmp_path)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert b"xception" not in done.stderr
    assert ("2>" in how) is (b"tandard output" not in done.stderr)


@pytest.mark.parametrize("words, code", [(VERIFY, 0), (GATE, 3)])
def test_a_closed_standard_error_takes_nothing_away(tmp_path: Path, words: list[str], code: int) -> None:
    done = start(words, "2>&-", tmp_path)
    assert done.returncode == code
    assert done.stdout


def test_the_joined_verifier_writes_names_in_ascii(tmp_path: Path) -> None:
    done = start(VERIFY, "", tmp_path, PYTHONIOENCODING="ascii", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_sweep_of_a_model_whose_name_has_other_letters_is_reported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, encoding: str
) -> None:
    """The run is done and logged once, and its result arrives as JSON and as text."""
    folder = build_random("llama", tmp_path / "模型")
    prompts = tmp_path / "données.jsonl"
    rows = [
        {"id": f"é{n}", "clean": f"a b {x} a b", "corrupted": f"a c {x} a c", "answer": f" {x}", "foil": " d", "template": "t"}
        for n, x in enumerate("efgh")
    ]  # fmt: skip
    prompts.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path / "home"))
    words = ["sweep", "--model", str(folder), "--prompts", str(prompts), "--half", "all", "--kind", "mlp"]
    for more in (["--json"], []):
        buffer = write_to(monkeypatch, encoding)
        assert cli.main([*words, *more]) == 0
        written = buffer.getvalue().decode(encoding)
        assert not more or json.loads(written)["identity"]["model"] == "模型"
    assert {run["outcome"] for run in RunLog(tmp_path / "home").export()} == {"done"}


def test_a_finding_by_name_is_a_line_of_its_own_with_its_interval(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclass(frozen=True)
    class Found:
        replaced: dict[str, Estimate]
        not_measured: dict[str, str]

    print_findings(Found({"zero": Estimate(1.5, 1.0, 2.0, 8, "logits", 0.95)}, {"mean": "no reference"}))
    assert capsys.readouterr().out.splitlines() == [
        f"  replaced, zero: {format_estimate(Estimate(1.5, 1.0, 2.0, 8, 'logits', 0.95))}",
        "  not measured, mean: no reference",
    ]
