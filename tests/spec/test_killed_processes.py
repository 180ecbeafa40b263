"""`kill -9` at every step of everything that writes: nothing half-written verifies, nothing recorded is lost, and work goes on."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from toy.dying import ACTS, PACK, SURVIVED, TRUST, VERIFIER, Death, read_deaths

from audit_core.evidence.join_verifier import join_modules
from audit_core.evidence.keys import list_people, load_log_key
from audit_core.store import Action, list_events, load_key, open_database, verify_log
from audit_core.store.claims.register import Register
from audit_core.store.data_directory import load_kept_prompts
from audit_core.verifier.trust import read_trust
from audit_core.verifier.walk import verify_pack

ROOT = Path(__file__).resolve().parents[2]
DAMAGED = 4
CUT = "cut"
"""The home of a claim that was frozen and killed right after."""


@pytest.fixture(scope="module")
def deaths(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Death]]:
    folder = tmp_path_factory.mktemp("deaths")
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", "toy.dying", str(folder)]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    yield read_deaths(folder)
    shutil.rmtree(folder)


def of(act: str, deaths: list[Death]) -> list[Death]:
    return [death for death in deaths if death.act == act]


def check_pack(home: str, path: Path) -> int:
    return verify_pack(path.read_bytes(), read_trust((Path(home) / TRUST).read_bytes())).exit_code


def test_processes_were_killed_at_every_kind_of_step(deaths: list[Death]) -> None:
    """The control: without these steps the others would hold of processes that nobody killed."""
    taken = {act: {death.step for death in of(act, deaths)} for act in ACTS}
    stored, file = {"INSERT", "commit", "committed"}, {"first half", "second half", "sync"}
    for act in ("begin", "key", "freeze", "run", "pack", "approve"):
        assert taken[act] >= stored, act
    for act in ("begin", "key", "freeze", "pack", "approve", "verifier"):
        assert taken[act] >= file | {"os.link" if act in ("begin", "key") else "os.rename"}, act
    assert not any(taken[act] for act in SURVIVED)


def test_a_log_is_whole_after_every_death_with_all_that_was_sealed_before(deaths: list[Death]) -> None:
    for death in deaths:
        assert death.left.findings == death.after.findings == [], death.site
        assert death.before.checkpoints <= death.left.checkpoints <= death.after.checkpoints, death.site
    assert {death.act for death in deaths if death.left.checkpoints > death.before.checkpoints} > {
        "freeze",
        "run",
        "pack",
    }


def test_every_event_from_before_is_there_and_a_commit_decides_about_the_rest(deaths: list[Death]) -> None:
    for death in deaths:
        before = death.before.events
        assert death.left.events[: len(before)] == before, death.site
    places = {(death.act, *death.site.split(" < ", 1)): len(death.left.events) for death in deaths}
    commits = [place for place in places if place[1] == "commit" and place[0] != "begin"]
    assert {act for act, *_ in commits} == {"key", "freeze", "run", "pack", "approve"}
    for act, _, callers in commits:
        assert places[act, "commit", callers] < places[act, "committed", callers], callers


def test_a_commit_that_was_cut_off_anywhere_is_there_whole_or_not_at_all(deaths: list[Death], tmp_path: Path) -> None:
    """What DuckDB writes ahead of a commit, as long as a kill in the middle of it would leave it."""
    (death,) = [death for death in of("freeze", deaths) if death.step == "committed"]
    written = Path(death.home)
    ahead = (written / "runs.duckdb.wal").read_bytes()
    seen = set()
    for length in (0, 1, 9, len(ahead) // 3, len(ahead) // 2, len(ahead) - 1, len(ahead)):
        home = shutil.copytree(written, tmp_path / str(length))
        (home / "runs.duckdb.wal").write_bytes(ahead[:length])
        with open_database(home) as connection:
            assert verify_log(connection, public_key=load_log_key(home).public_key).findings == ()
            frozen = len(list_events(connection, action=Action.PREREG_FROZEN))
        seen.add((length == len(ahead), len(Register(home).list_claims()), frozen))
    assert seen == {(False, 0, 0), (True, 1, 1)}


def test_a_claim_is_there_with_its_events_or_not_at_all(deaths: list[Death]) -> None:
    for death in of("freeze", deaths):
        for seen in (death.left, death.after):
            assert seen.count("claim.registered") == seen.count("prereg.frozen") == seen.claims, death.site
    assert {death.answer for death in of("freeze", deaths)} == {"C-0001", "C-0002"}, "after the commit, the next number"


def test_a_run_that_was_killed_is_abandoned_and_counts_as_an_attempt(deaths: list[Death]) -> None:
    seen = set()
    for death in of("run", deaths):
        started, ended, runs = death.left.count("run.started"), death.left.count("run.ended"), death.left.runs
        assert runs == (["done"] if ended else ["abandoned"] * started), death.site
        assert death.answer == started + 1, death.site
        seen |= {tuple(runs)}
    assert seen == {(), ("abandoned",), ("done",)}


def test_no_attempt_ends_without_its_verdict(deaths: list[Death]) -> None:
    for death in of("run", deaths):
        assert death.left.count("run.ended") == death.left.count("verdict.reached"), death.site


def test_a_pack_made_after_deaths_holds_every_attempt_and_verifies(deaths: list[Death]) -> None:
    reported = []
    for death in of("run", deaths):
        path = Path(death.again) / PACK
        if path.exists():
            assert check_pack(death.again, path) == 0
            with zipfile.ZipFile(path) as pack:
                reported.append(json.loads(pack.read("pack.json"))["attempts"])
    assert {"total": 2, "completed": 1, "failed": 0, "abandoned": 1} in reported


def test_a_pack_is_there_and_verifies_or_is_not_there(deaths: list[Death]) -> None:
    there = set()
    for death in of("pack", deaths):
        path = Path(death.home) / PACK
        there |= {path.exists()}
        assert not path.exists() or check_pack(death.home, path) == 0, death.site
        assert not path.exists() or death.left.count("pack.exported") == 1, "told of before it is there"
        assert check_pack(death.again, Path(death.again) / PACK) == 0, death.site
    assert there == {False, True}


def test_half_of_a_pack_does_not_verify_and_has_no_name_of_a_pack(deaths: list[Death]) -> None:
    seen = set()
    for death in deaths:
        for path in Path(death.home).rglob("*.part"):
            assert path.name.startswith(".assay-"), "what later writers take away"
            assert path.stat().st_mode & 0o077 == 0 or path.parent.name != "keys"
            if path.parent.name == "packs":
                is_half = death.site.startswith(("first half", "second half"))
                assert check_pack(death.home, path) == (DAMAGED if is_half else 0), death.site
                seen |= {is_half}
    assert seen == {False, True}


def test_an_approval_is_there_or_the_pack_is_as_it_was(deaths: list[Death]) -> None:
    seen = set()
    for death in of("approve", deaths):
        whole, left = (home / PACK for home in (Path(death.home).with_name("pack-whole"), Path(death.home)))
        assert check_pack(death.home, Path(death.home) / PACK) == 0, death.site
        seen |= {whole.read_bytes() == left.read_bytes()}
        assert check_pack(death.again, Path(death.again) / PACK) == 0, death.site
    assert seen == {False, True}


def test_a_key_that_signs_is_logged_and_a_logged_key_signs(deaths: list[Death]) -> None:
    reported = set()
    for death in of("key", deaths):
        made = death.left.count("key.made") - death.before.count("key.made")
        assert len(list_people(Path(death.home))) <= made, death.site
        assert death.answer == (2 if made else 0), death.site
        assert death.after.count("key.made") == death.before.count("key.made") + 1, death.site
        load_key(Path(death.again), "anna").sign(b"")
        reported |= {made}
    assert reported == {0, 1}


def test_what_is_kept_under_its_digest_is_what_was_kept(deaths: list[Death]) -> None:
    kept = set()
    for death in of("freeze", deaths):
        for path in (Path(death.home) / "policies").glob("*.toml"):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.stem, death.site
            kept |= {"policy"}
        for path in (Path(death.home) / "prompts").glob("*.jsonl"):
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("AUDIT_HOME", death.home)
                load_kept_prompts(path.stem)
            kept |= {"prompts"}
    assert kept == {"policy", "prompts"}


def test_a_verifier_is_whole_or_not_there(deaths: list[Death]) -> None:
    """Half a program may run to its end and exit with 0."""
    there = set()
    for death in of("verifier", deaths):
        path = Path(death.home) / VERIFIER
        there |= {path.exists()}
        assert not path.exists() or path.read_text(encoding="utf-8") == join_modules(), death.site
    assert there == {False, True}
