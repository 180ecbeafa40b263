"""Packs that earlier code made and that ship: they verify, and what is run here decides as they do."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy.golden import EXPECTED, FOLDER, ROOT, find_pack, list_packs

from audit_core import cli
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.container import make_manifest, write_pack
from audit_core.packs.rerun import Comparison
from audit_core.run import open_subject
from audit_core.store import RunLog
from audit_core.store.log.trail import read_log_view
from audit_core.verifier.schemas_disclosure import DISCLOSURE_MEMBER

OTHER_CODE = "f" * 64
PLANTED = "planted-strict-2"
PACK = find_pack(PLANTED)


def verify(pack: Path, empty: Path) -> subprocess.CompletedProcess[str]:
    """As a stranger would: the standard library alone, in an empty folder."""
    empty.mkdir()
    return subprocess.run(
        [sys.executable, "-I", "-S", str(ROOT / "verify_pack.py"), str(pack), "--trust", str(FOLDER / "trust.toml"), "--json"],
        cwd=empty, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_every_pack_that_ships_is_expected_to_say_something() -> None:
    assert {path.name.removesuffix(".evidence.zip") for path in FOLDER.glob("*.zip")} == set(EXPECTED)
    assert list_packs("planted"), "without one, nothing below is tested quickly"


@pytest.mark.parametrize("name", EXPECTED)
def test_a_golden_pack_verifies_as_it_did(name: str, tmp_path: Path) -> None:
    found = verify(find_pack(name), tmp_path / "empty")
    said, wanted = json.loads(found.stdout), EXPECTED[name]["verify"]
    assert {key: said[key] for key in wanted} == wanted, said["steps"]
    assert found.returncode == wanted["exit_code"]


@pytest.mark.parametrize("name", EXPECTED)
def test_a_golden_pack_says_what_is_true_of_the_model(name: str) -> None:
    """The wiring of the planted model, and the head that the circuits' page found."""
    with zipfile.ZipFile(find_pack(name)) as pack:
        results = [json.loads(pack.read(member)) for member in pack.namelist() if member.endswith("/result.json")]
    assert {row["claim_id"]: row["state"] for row in results} == EXPECTED[name]["claims"]


@pytest.mark.parametrize("name", EXPECTED)
def test_one_changed_byte_of_a_golden_pack_is_found(name: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(find_pack(name)) as pack:
        members = {member: pack.read(member) for member in pack.namelist()}
    changed = next(member for member in sorted(members) if member.endswith("/items.jsonl") and "runs/" in member)
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", zipfile.ZIP_DEFLATED) as bad:
        for member, data in members.items():
            content = bytes([*data[:100], data[100] ^ 1, *data[101:]]) if member == changed else data
            bad.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), content)
    assert verify(tmp_path / "bad.zip", tmp_path / "empty").returncode == 4


def test_the_third_generation_discloses_what_came_before_its_plans() -> None:
    """Made in a data directory of its own: no run before the plans. Whole templates lie in one split, under the second rule."""
    with zipfile.ZipFile(find_pack("planted-strict-3")) as pack:
        found = json.loads(pack.read(DISCLOSURE_MEMBER))
    assert found["schema"] == "assay/disclosure/1"
    for claim in found["claims"]:
        assert (claim["runs_before"], claim["share_seen"], claim["earlier_runs"]) == (0, 0, [])
        assert claim["seed"] == {"value": 0, "derivation": "default"}
    (one,) = found["sets"]
    assert (one["split"]["rule"], len(one["split"]["salt"])) == (2, 16)
    assert all(0 in (t["n_exploratory"], t["n_confirmatory"]) for t in one["templates"])
    assert sum(t["n_exploratory"] + t["n_confirmatory"] for t in one["templates"]) == len(one["template_of"]) == 48


@pytest.mark.parametrize("how", ["left out", "another split", "fewer runs before"])
def test_a_golden_pack_with_another_disclosure_is_refused_by_the_verifier_alone(how: str, tmp_path: Path) -> None:
    """With a manifest that fits: the export's event names the disclosure, and the signature the manifest."""
    with zipfile.ZipFile(find_pack("planted-strict-3")) as pack:
        members = {name: pack.read(name) for name in pack.namelist()}
    found = json.loads(members.pop(DISCLOSURE_MEMBER))
    if how == "another split":
        found["sets"][0]["split"] |= {"rule": 1, "salt": None}
    if how == "fewer runs before":
        found["installation"]["runs"] -= 1
    if how != "left out":
        members[DISCLOSURE_MEMBER] = dump_canonical(found)
    members["MANIFEST.sha256"] = make_manifest({n: d for n, d in members.items() if n != "MANIFEST.sha256"})
    write_pack(tmp_path / "other.zip", members)
    assert verify(tmp_path / "other.zip", tmp_path / "empty").returncode == 4


@pytest.fixture(scope="module")
def loaded() -> Any:
    return open_subject(str(ROOT / EXPECTED[PLANTED]["model"]))


@pytest.fixture
def rerun(
    loaded: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """The command on a golden pack, with code that is not the pack's; its exit code, and what it says."""
    monkeypatch.setattr("audit_core.cli.packs.open_subject", lambda name, on_progress: loaded)
    monkeypatch.setattr("audit_core.packs.rerun.hash_source", lambda: OTHER_CODE)

    def ask(*words: str, pack: Path = PACK) -> tuple[int, str]:
        code = cli.main(["rerun", str(pack), *words])
        return code, capsys.readouterr().out

    return ask


@pytest.mark.parametrize("name", list_packs("planted"))
def test_what_is_run_here_decides_as_the_golden_pack_does(rerun: Any, name: str, own_home: Path) -> None:
    """But for what `expected.json` names: a rule that was changed on purpose, row by row."""
    wanted = EXPECTED[name]["rerun"]
    code, reported = rerun("--other-code", "--json", pack=find_pack(name))
    found = json.loads(reported)
    assert {one["claim_id"] for one in found} == set(EXPECTED[name]["claims"]) == set(wanted)
    assert code == int(any(one["flipped"] for one in wanted.values())), found
    for one in found:
        assert {level: one[level] for level in wanted[one["claim_id"]]} == wanted[one["claim_id"]]
        assert one["bitwise"] in ("BITWISE_EQUAL", "NOT_BITWISE_EQUAL", "NOT_EVALUATED")
        assert one["n_values"] > 100
        assert one["differs"] == []
        (line,) = one["although"]
        assert line.startswith("code: ")
    told_of = [event.payload for event in read_log_view(own_home).events if event.action == "rerun.compared"]
    assert {row["L0"] for row in told_of} == {"NOT_COMPARABLE"}
    assert {row["L3"] for row in told_of} == {"NOT_EVALUATED"}
    assert {row["claim_id"]: row["although"]["L3"] for row in told_of} == {
        claim: one["decision"] for claim, one in wanted.items()
    }
    assert OTHER_CODE[:16] in told_of[0]["although"]["differs"][0]


def test_other_code_is_not_compared_unless_asked_and_is_all_that_differs(rerun: Any, own_home: Path) -> None:
    code, reported = rerun()
    assert code == 3
    lines = [line for line in reported.splitlines() if line.startswith("  ")]
    assert [line.split(":")[0] for line in lines] == ["  code"] * 2
    assert "NOT_COMPARABLE" in reported
    assert list(RunLog(own_home).export()) == []


def test_another_attention_implementation_is_not_compared_and_the_reason_is_reported(
    rerun: Any, own_home: Path
) -> None:
    code, reported = rerun("--attention", "sdpa", "--other-code")
    assert code == 3
    assert reported.count("NOT_COMPARABLE") == 2
    assert "attention: eager in the pack, sdpa requested; this engine supports only eager" in reported
    assert list(RunLog(own_home).export()) == []


@pytest.mark.parametrize("asked", [(), ("--attention", "sdpa")])
def test_a_pack_of_a_run_with_another_attention_implementation_is_not_compared(
    rerun: Any, asked: tuple[str, ...], tmp_path: Path
) -> None:
    """As another engine would have made it; that the same is asked for here changes nothing, as it cannot be run."""
    with zipfile.ZipFile(PACK) as pack:
        members = {name: pack.read(name) for name in pack.namelist()}
    for name in [name for name in members if name.startswith("runs/") and name.endswith("/manifest.json")]:
        said = json.loads(members[name])
        said["determinism"]["attention_impl"] = "sdpa"
        members[name] = dump_canonical(said)
    members["MANIFEST.sha256"] = make_manifest({n: d for n, d in members.items() if n != "MANIFEST.sha256"})
    write_pack(tmp_path / "fused.zip", members)
    code, reported = rerun("--other-code", *asked, pack=tmp_path / "fused.zip")
    assert code == 3
    assert reported.count("attention: sdpa in the pack, ") == reported.count("NOT_COMPARABLE") == 2
    assert "eager" in reported


def test_the_text_says_that_the_code_differs_beside_the_levels(rerun: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = Comparison(
        "0" * 32, "C-0001", (), "BITWISE_EQUAL", "WITHIN_TOLERANCE", "DECISION_EQUAL", 4, 0, 0.0, (),
        ("code: aa in the pack, bb here",),
    )  # fmt: skip
    monkeypatch.setattr("audit_core.cli.packs.rerun_pack", lambda *_, **__: (one,))
    code, reported = rerun("--other-code")
    assert code == 0
    assert reported.splitlines()[:2] == [
        "C-0001, run 000000000000: NOT_COMPARABLE",
        "  compared although the code differs: aa in the pack, bb here; logged as not comparable",
    ]
    assert "DECISION_EQUAL" in reported


def test_what_was_compared_although_the_code_differs_counts_as_no_rerun() -> None:
    """A policy asks for a rerun of what was packed; the row of a pack must not pass this off as one."""
    levels = ("BITWISE_EQUAL", "WITHIN_TOLERANCE", "DECISION_EQUAL")
    found = Comparison("0" * 32, "C-0001", (), *levels, 4, 0, 0.0, (), ("code: aa in the pack, bb here",))
    same = Comparison("0" * 32, "C-0001", (), *levels, 4, 0, 0.0, ())
    names = ("L0", "L1", "L2", "L3")
    assert [found.to_row("ben")[name] for name in names] == ["NOT_COMPARABLE", *["NOT_EVALUATED"] * 3]
    assert [same.to_row("ben")[name] for name in names] == ["COMPARABLE", *levels]
    assert "although" not in same.to_payload("ben")
