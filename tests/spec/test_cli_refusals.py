"""Bad input on the command line: exit code 2, what was found, what was wanted, what to do; and a row in the log."""

import io
import json
import os
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from audit_core.cli import main
from audit_core.version import VERSION

ROOT = Path(__file__).resolve().parents[2]
ROW = {
    "id": "a", "clean": "When Mary and John met, John saw", "corrupted": "When Mary and John met, Mary saw",
    "answer": " Mary", "foil": " John", "template": "t",
}  # fmt: skip
CLAIM = 'name = "a claim"\ncomponents = ["L1.H1"]\n'


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def assay(home: Path, *arguments: str) -> Done:
    """The command in this process: what a shell would see, without starting Python anew each time."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("AUDIT_HOME", str(home))
        code = main(arguments)
    return Done(code, out.getvalue(), err.getvalue())


def assay_in_a_shell(home: Path, *arguments: str) -> Done:
    environment = {**os.environ, "AUDIT_HOME": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "audit_core", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def is_refusal(done: Done) -> bool:
    return done.returncode == 2 and "Wanted:" in done.stderr and "What to do:" in done.stderr and done.stdout == ""


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "no prompts"),
        ("not json\n", "line 1"),
        (json.dumps(ROW | {"id": "a7", "answer": 3}) + "\n", "a7"),
        (json.dumps({k: v for k, v in ROW.items() if k != "foil"}) + "\n", "no column foil"),
        (json.dumps(ROW) + "\n" + json.dumps(ROW | {"foil": " Bob"}) + "\n", "more than once"),
        (json.dumps(ROW | {"clean": "x" * 10_000_000}) + "\n", "4,000,000"),
        ("[" * 100_000 + "\n", "line 1"),
    ],
)
def test_prompts_that_are_not_in_the_format_are_refused_quickly(tmp_path: Path, text: str, says: str) -> None:
    start = time.monotonic()
    done = assay(tmp_path, "sweep", "--prompts", write(tmp_path / "p.jsonl", text))
    assert is_refusal(done), done.stderr
    assert says in done.stderr
    assert time.monotonic() - start < 30


def test_a_missing_prompt_file_is_refused_and_the_refusal_is_logged(tmp_path: Path) -> None:
    done = assay(tmp_path, "sweep", "--prompts", str(tmp_path / "none.jsonl"))
    assert is_refusal(done)
    runs = [json.loads(line) for line in assay(tmp_path, "log", "export").stdout.splitlines()]
    assert [(run["kind"], run["outcome"], run["result"]) for run in runs] == [("sweep", "refused", None)]


@pytest.mark.parametrize(
    "claim, says",
    [
        ("", "No name"),
        ("name = 'x'\ncomponents = []\n", "No components"),
        ("name = 'x'\ncomponents = ['9.6']\n", "not an address"),
        (CLAIM + "delta = 'big'\n", "delta"),
        (CLAIM + "delta = 0\n", "delta"),
        (CLAIM + "role = 'complete'\n", "role"),
        (CLAIM + "p_value = 0.05\n", "Unknown field"),
        ("name = \n", "not TOML"),
    ],
)
def test_claims_that_are_not_in_the_format_are_refused(tmp_path: Path, claim: str, says: str) -> None:
    prompts = write(tmp_path / "p.jsonl", json.dumps(ROW) + "\n")
    done = assay(tmp_path, "test", write(tmp_path / "c.toml", claim), "--prompts", prompts)
    assert is_refusal(done), done.stderr
    assert says in done.stderr


def test_pickle_weights_and_remote_code_are_refused(tmp_path: Path) -> None:
    prompts = write(tmp_path / "p.jsonl", json.dumps(ROW) + "\n")
    pickled, remote = tmp_path / "pickled", tmp_path / "remote"
    pickled.mkdir()
    remote.mkdir()
    write(pickled / "config.json", '{"model_type": "gpt2"}')
    (pickled / "pytorch_model.bin").write_bytes(b"\x80\x02}q\x00.")
    write(remote / "config.json", '{"model_type": "x", "auto_map": {"AutoModelForCausalLM": "evil.Model"}}')
    write(remote / "evil.py", f"open({str(tmp_path / 'ran')!r}, 'w')")
    (remote / "model.safetensors").write_bytes(b"\x08\x00\x00\x00\x00\x00\x00\x00{}      ")
    for folder, says in ((pickled, "safetensors"), (remote, "auto_map")):
        done = assay(tmp_path, "sweep", "--prompts", prompts, "--model", str(folder))
        assert is_refusal(done), done.stderr
        assert says in done.stderr
    assert not (tmp_path / "ran").exists()


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    prompts = write(tmp_path / "p.jsonl", json.dumps(ROW) + "\n")
    done = assay(tmp_path, "sweep", "--prompts", prompts, "--model", "./no-such-folder")
    assert is_refusal(done)


def test_the_shell_sees_the_same_refusal_and_the_same_exit_code(tmp_path: Path) -> None:
    done = assay_in_a_shell(tmp_path, "sweep", "--prompts", str(tmp_path / "none.jsonl"))
    assert is_refusal(done), done


def test_a_defect_ends_with_5_and_not_with_evaluated_and_not_met(tmp_path: Path) -> None:
    code = "import sys, audit_core.cli as c; c.main = lambda: 1 / 0; import runpy; runpy.run_module('audit_core', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 5
    assert "ZeroDivisionError" in done.stderr


def test_calibrating_writes_no_page_where_the_package_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before the first measurement: it takes minutes, and the page would be beside the package."""
    monkeypatch.setattr("audit_core.cli.calibrate.PAGE", tmp_path / "docs/calibration.md")
    monkeypatch.setattr("audit_core.cli.calibrate.calibrate", lambda **_: pytest.fail("it measured"))
    done = assay(tmp_path, "calibrate", "--planted-only", "--write")
    assert is_refusal(done)
    assert "a checkout of the repository" in done.stderr


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="^0$"):
        main(["--version"])
    assert capsys.readouterr().out == f"assay {VERSION}\n"
