"""The command `verify` and the joined file: same code, same words, exit codes of the reference."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from toy.packs import (
    ANNA,
    MALLORY,
    build_files,
    edit,
    genuine_members,
    seal,
    tell_story,
    write_checkpoint,
    write_log,
    write_trust,
    zip_up,
)

from audit_core.cli import main

ROOT = Path(__file__).resolve().parents[2]
JOINED = ROOT / "verify_pack.py"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    (folder / "pack.zip").write_bytes(zip_up(genuine_members()))
    (folder / "trust.toml").write_bytes(write_trust())
    (folder / "saved.txt").write_bytes(genuine_members()["log/checkpoint.txt"])
    false = edit("verdict/verdict.json", lambda verdict: verdict.update(overall="INCONCLUSIVE"))
    (folder / "false.zip").write_bytes(zip_up(false))
    (folder / "stranger.zip").write_bytes(zip_up(seal(build_files(tell_story()), MALLORY)))
    (folder / "bad.toml").write_text("x = 1")
    (folder / "bad.txt").write_text("nothing")
    later = write_log([*tell_story().events, ("log.verified", "x", {}, False)])
    (folder / "later.txt").write_bytes(write_checkpoint(later))
    return folder


def run_joined(*arguments: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-S", str(JOINED), *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        env={},
    )


CASES = [
    (("pack.zip", "--trust", "trust.toml"), 0),
    (("pack.zip", "--trust", "trust.toml", "--checkpoint", "saved.txt"), 0),
    (("pack.zip",), 3),
    (("pack.zip", "--trust", "trust.toml", "--checkpoint", "later.txt"), 3),
    (("stranger.zip", "--trust", "trust.toml"), 3),
    (("false.zip", "--trust", "trust.toml"), 4),
    (("trust.toml", "--trust", "trust.toml"), 4),
    (("pack.zip", "--trust", "missing.toml"), 2),
    (("pack.zip", "--trust", "bad.toml"), 2),
    (("pack.zip", "--checkpoint", "bad.txt"), 2),
    ((".",), 2),
]


@pytest.mark.parametrize(("arguments", "code"), CASES)
def test_the_command_and_the_joined_file_say_the_same(
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    code: int,
) -> None:
    monkeypatch.chdir(files)
    assert main(["verify", *arguments]) == code
    ours = capsys.readouterr()
    theirs = run_joined(*arguments, cwd=files)
    assert (theirs.returncode, theirs.stdout, theirs.stderr) == (code, ours.out, ours.err)
    assert bool(ours.out) is (code != 2)
    assert bool(ours.err) is (code == 2)


def test_the_joined_file_runs_alone_in_an_empty_folder_and_leaves_it_empty(files: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    done = run_joined(files / "pack.zip", "--trust", files / "trust.toml", cwd=empty)
    assert done.returncode == 0, done.stderr
    assert "integrity      INTEGRITY_VERIFIED" in done.stdout
    assert list(empty.iterdir()) == []


def test_the_joined_file_loads_nothing_but_the_standard_library(files: Path) -> None:
    code = (
        f"import sys, runpy; sys.argv = ['v', {str(files / 'pack.zip')!r}]\n"
        f"try: runpy.run_path({str(JOINED)!r}, run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() == "{'__main__'}" or done.stderr.strip() == "set()"


def test_json_holds_the_steps_and_five_results(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(files / "pack.zip"), "--trust", str(files / "trust.toml"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in found["steps"]] == [
        "container", "manifest", "statement", "signature", "schema", "semantics", "log", "time",
    ]  # fmt: skip
    assert [row["step"] for row in found["steps"]] == list(range(1, 9))
    assert {name: found[name] for name in ("integrity", "authenticity", "time", "reproduction", "judgement", "exit_code")} == {
        "integrity": "INTEGRITY_VERIFIED", "authenticity": "SIGNER_VERIFIED", "time": "UNANCHORED", "reproduction": "DECISION_EQUAL",
        "judgement": "MEETS_POLICY", "exit_code": 0,
    }  # fmt: skip
    assert found["signers"][0]["person"] == "anna"
    assert len(found["manifest_sha256"]) == 64


def test_lines_name_each_step_and_each_result_and_no_single_mark_sums_them_up(
    files: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["verify", str(files / "pack.zip"), "--trust", str(files / "trust.toml")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[:8]] == [
        ["1", "container", "PASSED"], ["2", "manifest", "PASSED"], ["3", "statement", "PASSED"], ["4", "signature", "PASSED"],
        ["5", "schema", "PASSED"], ["6", "semantics", "PASSED"], ["7", "log", "PASSED"], ["8", "time", "NOT_CHECKED"],
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[9:15]] == [
        "pack",
        "integrity",
        "authenticity",
        "time",
        "reproduction",
        "judgement",
    ]
    assert lines[-1].startswith("exit 0: ")


def test_usage_errors_leave_with_2(files: Path) -> None:
    assert run_joined("pack.zip", "--no-such-option", cwd=files).returncode == 2


def test_a_file_larger_than_any_pack_fails_without_being_read_whole(files: Path) -> None:
    with (files / "huge.zip").open("wb") as file:
        file.truncate(3 << 30)
    done = run_joined("huge.zip", cwd=files)
    assert done.returncode == 4
    assert "the file is larger than" in done.stdout


def test_an_error_of_our_own_is_5_and_not_1(files: Path) -> None:
    """Python leaves with 1 after an uncaught error, which means elsewhere: evaluated and not met."""
    text = JOINED.read_text().replace(
        "_Walk(trust, saved, openings, witnesses)\n", "_Walk(trust, 1 // 0, openings, witnesses)\n"
    )
    broken = files / "broken.py"
    broken.write_text(text)
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(broken), "pack.zip"], cwd=files, capture_output=True, text=True
    )
    assert done.returncode == 5
    assert "ZeroDivisionError" in done.stderr


def test_an_untrusted_name_is_shown_and_not_obeyed(files: Path) -> None:
    trust = write_trust((ANNA, "preparer")).decode().replace('person = "anna"', 'person = "\\u001b[31manna\\u202e"')
    (files / "odd.toml").write_text(trust)
    (files / "odd.zip").write_bytes(zip_up(seal(build_files(tell_story()), person="\x1b[31manna\u202e")))
    done = run_joined("odd.zip", "--trust", "odd.toml", cwd=files)
    assert done.returncode == 0
    assert "\\u001b[31manna\\u202e (preparer)" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_name_that_the_terminal_has_no_letters_for_is_written_as_numbers(files: Path) -> None:
    trust = write_trust((ANNA, "preparer")).decode().replace('person = "anna"', 'person = "\u5b89\u5a1c"')
    (files / "odd.toml").write_text(trust, encoding="utf-8")
    (files / "odd.zip").write_bytes(zip_up(seal(build_files(tell_story()), person="\u5b89\u5a1c")))
    command = [sys.executable, "-S", str(JOINED), "odd.zip", "--trust", "odd.toml"]
    done = subprocess.run(command, cwd=files, capture_output=True, text=True, env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "\\u5b89\\u5a1c (preparer)" in done.stdout


def test_the_verifier_is_written_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verifier", "--out", str(tmp_path / "v.py"), "--json"]) == 0
    assert (tmp_path / "v.py").read_bytes() == JOINED.read_bytes()
    assert json.loads(capsys.readouterr().out)["lines"] == len(JOINED.read_text().splitlines())
    assert main(["verifier", "--out", str(tmp_path / "no" / "v.py")]) == 2


def test_the_manual_path_of_the_reference_leads_to_the_same_answer(files: Path, tmp_path: Path) -> None:
    """`sha256sum -c` and openssl, as docs/reference/pack.md gives them."""
    from shutil import which

    from audit_core.verifier.statement import encode_before_signing

    if which("sha256sum") is None or which("openssl") is None:
        pytest.skip("needs sha256sum and openssl")
    folder = tmp_path / "unpacked"
    for name, data in genuine_members().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    done = subprocess.run(
        ["sha256sum", "--quiet", "--strict", "-c", "MANIFEST.sha256"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    envelope = json.loads((folder / "attestations/pack.dsse.json").read_bytes())
    payload = base64.b64decode(envelope["payload"])
    (folder / "pae").write_bytes(encode_before_signing(payload))
    (folder / "sig").write_bytes(base64.b64decode(envelope["signatures"][0]["sig"]))
    (folder / "key.der").write_bytes(bytes.fromhex("302a300506032b6570032100") + ANNA.public_key)
    command = [
        "openssl",
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "key.der",
        "-keyform",
        "DER",
        "-rawin",
        "-in",
        "pae",
        "-sigfile",
        "sig",
    ]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ)
    assert "Signature Verified Successfully" in done.stdout + done.stderr
