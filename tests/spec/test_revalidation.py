"""A claim is stale when what it was frozen for is no more; two planted models that differ in one head are the example."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from toy.models import load
from toy.versions import copy_model, edit_json, silence_head

from audit_core import cli
from audit_core.change.revalidation import Artefact, Revalidation, rerun_stale, revalidate_claims
from audit_core.claim import Claim
from audit_core.component import head
from audit_core.confirm import Confirmation, freeze_claim, run_confirmatory
from audit_core.errors import ClaimRefused, IntegrityError
from audit_core.evidence.keys import make_key
from audit_core.home.home_records import read_home
from audit_core.packs.pack import ExportOptions, export_pack
from audit_core.prompts.prompt_set import PromptSet, dump_jsonl
from audit_core.registry import get_plugin
from audit_core.run import Actor, Auditor, list_versions
from audit_core.shipped import load_shipped_policy
from audit_core.store import RunLog
from audit_core.store.claims.change_log import declare_incident, list_stale, record_changes
from audit_core.store.claims.register import Register
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event, list_events
from audit_core.subjects.planted import find_planted
from audit_core.trigger import Change, TriggerKind

pytestmark = pytest.mark.usefixtures("short_draws")

ME = Actor("anna", "test")
NEEDED, CARRIER, ELSEWHERE = "C-0001", "C-0002", "C-0003"
"""About L1.H1, which the second version lacks; about L1.H0, which both have; about another model."""


@dataclass(frozen=True)
class World:
    """Two versions of a model, another model, and a home with three claims, the first two of them run once."""

    v1: Path
    v2: Path
    other: Path
    home: Path
    subjects: dict[Path, Any]
    prompts: PromptSet
    found: Any
    """The verdict on L1.H1 in the first version: supported."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    root, model = tmp_path_factory.mktemp("world"), find_planted("planted-cancelling")
    assert model is not None
    for name, seed in (("v1", 0), ("other", 1)):
        (root / name).mkdir()
        model.build(root / name, seed)
    copy_model(root / "v1", root / "v2", silence_head(1, 1))
    subjects = {root / name: load(root / name) for name in ("v1", "v2", "other")}
    prompts, home = model.find_task("query").make(5, 0), root / "home"
    home.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AUDIT_HOME", str(home))
        for index, folder in ((1, "v1"), (0, "v1"), (0, "other")):
            freeze(home, subjects[root / folder], prompts, Claim("it is needed", (head(1, index),)), root / folder)
        found = [run(home, subjects[root / "v1"], claim_id).result.verdict for claim_id in (NEEDED, CARRIER)]
    return World(root / "v1", root / "v2", root / "other", home, subjects, prompts, found[0])


@pytest.fixture
def quick(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test of a claim finds at once what was found of L1.H1 in the first version: the log tells of it as of any."""
    test = type(get_plugin("audits", "claim_test"))
    monkeypatch.setattr(test, "run", lambda *args, **named: world.found)


@pytest.fixture
def home(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the home; models are opened once for all tests."""
    copy = tmp_path / "copy"
    shutil.copytree(world.home, copy)
    monkeypatch.setenv("AUDIT_HOME", str(copy))
    opened = {str(folder): subject for folder, subject in world.subjects.items()}
    for module in ("changes", "claims"):
        monkeypatch.setattr(f"audit_core.cli.{module}.open_subject", lambda name, on_progress=None: opened[name])
    return copy


def freeze(home: Path, subject: Any, prompts: PromptSet, claim: Claim, folder: Path) -> None:
    freeze_claim(
        Register(home), subject, claim, prompts, load_shipped_policy(), owner="anna", model=str(folder), questions=()
    )


def run(home: Path, subject: Any, claim_id: str) -> Confirmation:
    return run_confirmatory(Register(home), claim_id, lambda name: Auditor(subject, RunLog(home)), actor=ME)


def hold(home: Path, folder: Path, *claim_ids: str, was: Path | None = None, **said: Any) -> Revalidation:
    return revalidate_claims(home, Artefact(str(folder), folder, was, **said), claim_ids, actor=ME)


def kinds(found: Revalidation) -> dict[str, list[str]]:
    return {one.claim_id: [row.trigger.kind.value for row in one.open_rows] for one in found.claims}


def overwrite(world: World, home: Path) -> None:
    """The claims say they are about a folder, and another version lies there now: here, the register's name is changed."""
    with open_database(home) as connection:
        connection.execute("DROP TRIGGER claim_fixed ON claim")
        connection.execute("UPDATE claim SET model = ? WHERE model = ?", [str(world.v2), str(world.v1)])


Assay = Callable[..., tuple[int, Any]]


@pytest.fixture
def assay(home: Path, capsys: pytest.CaptureFixture[str]) -> Assay:
    def call(*arguments: str) -> tuple[int, Any]:
        code = cli.main([*arguments, "--json"])
        out = capsys.readouterr().out
        return code, json.loads(out) if out else None

    return call


def test_claims_on_a_model_that_changed_in_one_head_are_stale_and_the_rerun_of_the_one_about_it_fails(
    world: World, assay: Assay, tmp_path: Path
) -> None:
    """Without its +5 the model still does the task by 7 − 5: L1.H1 is negligible there, and L1.H0 as needed as before."""
    code, reported = assay("diff", str(world.v1), str(world.v2))
    assert code == 0
    assert [one["component"] for one in reported["models"]["components"]] == ["L1.H1"]
    asked = ("revalidate", "--model", str(world.v2), "--was", str(world.v1))
    code, reported = assay(*asked)
    assert code == 3, "stale, and not rerun"
    assert {one["claim_id"]: one["state"] for one in reported["claims"]} == {NEEDED: "STALE", CARRIER: "STALE"}
    assert {one["claim_id"]: one["own_parts_changed"] for one in reported["claims"]} == {NEEDED: ["L1.H1"], CARRIER: []}
    code, reported = assay(*asked, "--run", "--junit", str(tmp_path / "j.xml"))
    assert code == 1
    outcomes = {one["claim_id"]: one["regression"]["outcome"] for one in reported["claims"]}
    assert outcomes == {NEEDED: "flipped", CARRIER: "held"}
    one = reported["claims"][0]["regression"]
    assert (one["state_before"], one["state_after"]) == ("supported", "negligible")
    assert one["label"].startswith("regression, exploratory")
    assert one["before"]["resample"]["value"] == pytest.approx(10 / 14, abs=0.02)
    assert one["after"]["resample"]["value"] == pytest.approx(0, abs=0.05)
    assert one["after"]["resample"]["low"] is not None
    suite = ElementTree.parse(tmp_path / "j.xml").getroot()[0]
    assert (suite.attrib["tests"], suite.attrib["failures"], suite.attrib["errors"]) == ("3", "2", "0")


@pytest.mark.usefixtures("quick")
def test_a_claim_that_is_stale_and_whose_rerun_holds_lets_a_pipeline_go_on_and_stays_stale(
    world: World, assay: Assay, home: Path
) -> None:
    asked = ("revalidate", "--model", str(world.v2), "--was", str(world.v1), "--claim", CARRIER)
    assert assay(*asked, "--run")[0] == 0
    assert list_stale(home, CARRIER)[0].is_open
    assert assay(*asked)[0] == 3


def test_a_claim_on_another_model_is_not_touched(world: World, home: Path) -> None:
    hold(home, world.v2, was=world.v1)
    assert list_stale(home, ELSEWHERE) == ()
    with pytest.raises(ClaimRefused, match="is about"):
        hold(home, world.v2, ELSEWHERE, was=world.v1)


def test_the_same_artefact_elsewhere_makes_nothing_stale(world: World, assay: Assay, tmp_path: Path) -> None:
    copy = copy_model(world.v1, tmp_path / "elsewhere")
    code, reported = assay("revalidate", "--model", str(copy))
    assert code == 0
    assert [(one["claim_id"], one["state"]) for one in reported["claims"]] == [
        (NEEDED, "NOT_STALE"),
        (CARRIER, "NOT_STALE"),
    ]
    assert reported["diffs"] == []
    assert assay("changes") == (0, [])


def test_claims_are_found_by_the_name_they_were_registered_with(world: World, home: Path) -> None:
    overwrite(world, home)
    assert kinds(hold(home, world.v2)) == {NEEDED: ["weights_changed"], CARRIER: ["weights_changed"]}


def test_where_no_claim_is_about_a_model_nothing_was_evaluated(world: World, assay: Assay, tmp_path: Path) -> None:
    code, reported = assay("revalidate", "--model", str(world.v2))
    assert (code, reported["claims"]) == (3, [])


def test_a_trigger_is_logged_once_with_its_event(world: World, home: Path) -> None:
    for _ in range(2):
        found = hold(home, world.v2, NEEDED, was=world.v1)
    assert [one.n_new for one in found.claims] == [0]
    with open_database(home) as connection:
        reported = list_events(connection, action=Action.CLAIM_STALE)
    assert [(event.object_id, event.payload["kind"], event.actor) for event in reported] == [
        (NEEDED, "weights_changed", "anna")
    ]
    pins = Register(home).find(NEEDED).plan.pins
    (row,) = list_stale(home)
    assert (row.trigger.before, row.trigger.held_for) == (pins.weights_sha256, pins.model_digest)
    assert row.trigger.after == world.subjects[world.v2].identity.weights_sha256


@pytest.mark.usefixtures("quick")
def test_a_regression_run_is_an_event_and_no_attempt(world: World, assay: Assay, home: Path) -> None:
    assay("revalidate", "--model", str(world.v2), "--was", str(world.v1), "--claim", NEEDED, "--run")
    with open_database(home) as connection:
        events = list_events(connection)
    (reported,) = [event for event in events if event.action == Action.CLAIM_REVALIDATED]
    assert reported.payload["outcome"] == "held"
    assert reported.payload["label"] == "regression"
    (start,) = [
        event for event in events if event.action == Action.RUN_STARTED and event.object_id == reported.object_id
    ]
    assert start.payload["claim_id"] is None
    assert start.payload["attempt_no"] is None
    assert list_stale(home, NEEDED)[0].is_open, "what a regression run finds answers no trigger"


@pytest.mark.usefixtures("quick")
def test_a_verdict_on_the_old_model_answers_nothing_and_one_under_an_amended_plan_does(
    world: World, assay: Assay, home: Path
) -> None:
    hold(home, world.v2, was=world.v1)
    run(home, world.subjects[world.v1], NEEDED)
    assert list_stale(home, NEEDED)[0].is_open
    code, reported = assay("amend", NEEDED, "--reason", "v2 ships", "--repin", "--model", str(world.v2))
    assert (code, reported["counts_as"]) == (0, "deviation")
    assert list_stale(home, NEEDED)[0].is_open, "an amendment alone is nobody's verdict"
    code, reported = assay("run", NEEDED, "--model", str(world.v2))
    assert (code, reported["attempt"]) == (0, 3)
    (row,) = list_stale(home, NEEDED)
    assert (row.is_open, row.answered_by) == (False, reported["run_id"])
    assert list_stale(home, CARRIER)[0].is_open
    code, reported = assay("changes")
    assert [(one["claim_id"], one["answered_by"] is None) for one in reported] == [(NEEDED, False), (CARRIER, True)]


def test_a_run_on_a_model_of_another_digest_is_refused_whatever_it_is_called(world: World, assay: Assay) -> None:
    code, _ = assay("run", NEEDED, "--model", str(world.v2))
    assert code == 2


@pytest.mark.usefixtures("quick")
def test_a_trigger_that_was_answered_can_come_up_again(world: World, home: Path) -> None:
    change = Change(TriggerKind.EXPIRED, "2020-01-01", "")
    for _ in range(2):
        record_changes(home, NEEDED, [change, change], held_for="x", by="anna")
    assert len(list_stale(home, NEEDED)) == 1
    run(home, world.subjects[world.v1], NEEDED)
    assert not list_stale(home, NEEDED)[0].is_open
    record_changes(home, NEEDED, [change], held_for="x", by="anna")
    assert [row.is_open for row in list_stale(home, NEEDED)] == [False, True]


@pytest.mark.parametrize("is_at_hand", [True, False])
def test_a_chat_template_alone_makes_a_claim_stale(
    world: World, home: Path, tmp_path: Path, is_at_hand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the pinned model is gone, its tokenizer's digest says that something of it differs, and not what."""
    spoken = copy_model(world.v1, tmp_path / "spoken")
    edit_json(spoken / "tokenizer_config.json", chat_template="{{ messages }}")
    was = world.v1
    if not is_at_hand:
        overwrite(World(world.v1, spoken, world.other, home, {}, world.prompts, None), home)
        monkeypatch.setattr("audit_core.change.revalidation.find_pinned_folder", lambda held, folders: None)
    found = hold(home, spoken, NEEDED, was=was if is_at_hand else None)
    assert kinds(found) == {NEEDED: ["chat_template_changed" if is_at_hand else "tokenizer_changed"]}
    assert found.claims[0].own_parts == (() if is_at_hand else None)


def test_a_setting_of_the_model_makes_a_claim_stale(world: World, home: Path, tmp_path: Path) -> None:
    other = copy_model(world.v1, tmp_path / "other")
    edit_json(other / "config.json", layer_norm_epsilon=1e-4)
    assert kinds(hold(home, other, NEEDED, was=world.v1)) == {NEEDED: ["configuration_changed"]}


@pytest.mark.usefixtures("quick")
def test_a_minor_version_of_a_library_makes_a_claim_stale_and_a_patch_does_not(
    world: World, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = list_versions()
    major, minor, *_ = versions["torch"].split(".")

    def set_torch(version: str) -> None:
        monkeypatch.setattr("audit_core.change.revalidation.list_versions", lambda: versions | {"torch": version})

    set_torch(f"{major}.{minor}.99+other")
    assert kinds(hold(home, world.v1, NEEDED)) == {NEEDED: []}
    set_torch(f"{major}.{int(minor) + 1}.0")
    assert kinds(hold(home, world.v1, NEEDED)) == {NEEDED: ["library_changed"]}
    (row,) = list_stale(home)
    assert (row.trigger.before, row.trigger.after) == (f"torch {major}.{minor}", f"torch {major}.{int(minor) + 1}")
    run(home, world.subjects[world.v1], NEEDED)
    assert list_stale(home)[0].is_open, "a run with the version of before answers nothing"


def test_another_policy_or_prompt_set_makes_a_claim_stale_if_a_person_says_so(world: World, home: Path) -> None:
    assert kinds(hold(home, world.v1, NEEDED)) == {NEEDED: []}
    policy = replace(load_shipped_policy(), sha256="9" * 64)
    assert kinds(hold(home, world.v1, NEEDED, policy=policy)) == {NEEDED: ["policy_changed"]}
    fewer = PromptSet("fewer", world.prompts.prompts[5:])
    assert kinds(hold(home, world.v1, NEEDED, prompts=fewer)) == {NEEDED: ["policy_changed", "prompts_changed"]}
    same = hold(home, world.v1, CARRIER, prompts=world.prompts, policy=load_shipped_policy())
    assert kinds(same) == {CARRIER: []}


def test_prompts_changed_where_they_are_kept_end_it(world: World, assay: Assay, home: Path) -> None:
    (kept,) = (home / "prompts").iterdir()
    kept.write_text(dump_jsonl(world.prompts.prompts[5:]))
    assert assay("revalidate", "--model", str(world.v1), "--claim", NEEDED, "--run")[0] == 4


def test_prompts_that_are_not_those_frozen_are_not_run(
    world: World, assay: Assay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as where another version divides the same set into other halves."""
    fewer = PromptSet("fewer", world.prompts.prompts[5:])
    monkeypatch.setattr("audit_core.change.regression.load_kept_prompts", lambda key: fewer)
    assay("incident", NEEDED, "--reason", "why")
    code, reported = assay("revalidate", "--model", str(world.v1), "--claim", NEEDED, "--run")
    assert code == 3
    assert "differ from the frozen ones" in reported["claims"][0]["regression"]["reason"]


@pytest.mark.usefixtures("quick")
def test_a_claim_past_its_date_is_stale_until_it_is_tested_again(world: World, home: Path) -> None:
    with open_database(home) as connection:
        connection.execute("DROP TRIGGER claim_fixed ON claim")
        connection.execute("UPDATE claim SET expires_at = '2020-02-01'")
    assert kinds(hold(home, world.v1, CARRIER)) == {CARRIER: []}, "tested long after 2020"
    found = hold(home, world.other, ELSEWHERE)
    assert kinds(found) == {ELSEWHERE: ["expired"]}
    assert found.claims[0].open_rows[0].trigger.before == "2020-02-01"
    run(home, world.subjects[world.other], ELSEWHERE)
    assert kinds(hold(home, world.other, ELSEWHERE)) == {ELSEWHERE: []}


@pytest.mark.usefixtures("quick")
def test_a_plan_that_deviates_after_its_pack_left_is_stale(world: World, assay: Assay, home: Path) -> None:
    assay("amend", NEEDED, "--reason", "a slip", "--delta", "0.2")
    assert kinds(hold(home, world.v1, NEEDED)) == {NEEDED: []}, "no pack had left"
    run(home, world.subjects[world.v1], NEEDED)
    packed = export_pack(home, [NEEDED], home / "p.zip", key=make_key(home, "anna"), issue=ExportOptions("anna"))
    assert kinds(hold(home, world.v1, NEEDED)) == {NEEDED: []}
    assay("amend", NEEDED, "--reason", "another", "--delta", "0.3")
    assert kinds(hold(home, world.v1, NEEDED)) == {NEEDED: ["plan_deviated"]}
    (row,) = list_stale(home)
    assert (row.trigger.before, row.trigger.after) == (packed.pack_id, Register(home).find(NEEDED).plan.digest)
    (record,) = read_home(home).list_records().packs or ()
    assert record.open_triggers == ("plan_deviated",)
    run(home, world.subjects[world.v1], NEEDED)
    assert kinds(hold(home, world.v1, NEEDED)) == {NEEDED: []}
    assert (read_home(home).list_records().packs or ())[0].open_triggers == ()


def test_a_revoked_key_makes_the_claims_it_signed_for_stale(world: World, home: Path) -> None:
    key = make_key(home, "anna")
    reported = {"keyid": key.keyid, "public_key": key.public_key.hex(), "signs": "packs"}
    with open_database(home) as connection:
        append_event(connection, actor="anna", action=Action.KEY_MADE, object_id=key.keyid, payload=reported)
    packed = export_pack(home, [NEEDED], home / "p.zip", key=key, issue=ExportOptions("anna"))
    assert kinds(hold(home, world.v1)) == {NEEDED: [], CARRIER: []}
    with open_database(home) as connection:
        append_event(connection, actor="anna", action=Action.KEY_REVOKED, object_id=key.keyid, payload=reported)
    assert kinds(hold(home, world.v1)) == {NEEDED: ["key_revoked"], CARRIER: []}
    assert list_stale(home)[0].trigger.after == packed.pack_id


@pytest.mark.usefixtures("quick")
def test_an_incident_is_a_persons_word_and_no_rerun_answers_it_by_itself(
    world: World, assay: Assay, home: Path
) -> None:
    code, reported = assay("incident", NEEDED, "--reason", "answers turned around in the field")
    assert (code, reported["kind"]) == (0, "incident")
    code, reported = assay("revalidate", "--model", str(world.v1), "--run")
    assert code == 3
    (one, _) = reported["claims"]
    assert (one["regression"]["outcome"], one["waits_for"]) == ("held", ["incident"])
    assert one["triggers"][0]["reason"] == "answers turned around in the field"
    with open_database(home) as connection:
        assert all("field" not in event.body for event in list_events(connection)), (
            "a person's words stay out of the log"
        )
    code, reported = assay("claims")
    assert [row["stale"] for row in reported] == [["incident"], [], []]
    run(home, world.subjects[world.v1], NEEDED)
    assert not list_stale(home)[0].is_open


@pytest.mark.parametrize("reason", ["", "  ", "x" * 2_001])
def test_an_incident_wants_a_reason(home: Path, reason: str) -> None:
    with pytest.raises(ClaimRefused, match="reason"):
        declare_incident(home, NEEDED, held_for="x", by="anna", reason=reason)


def test_a_withdrawn_or_unknown_claim_is_not_made_stale(world: World, home: Path) -> None:
    Register(home).withdraw(NEEDED, by="anna", reason="no use")
    for claim_id in (NEEDED, "C-0099"):
        with pytest.raises(ClaimRefused):
            declare_incident(home, claim_id, held_for="x", by="anna", reason="why")
    assert [one.claim_id for one in hold(home, world.v2, was=world.v1).claims] == [CARRIER]
    with pytest.raises(ClaimRefused, match="withdrawn"):
        hold(home, world.v2, NEEDED, was=world.v1)


def test_a_model_that_lost_the_task_no_longer_holds_the_claim(world: World, assay: Assay, tmp_path: Path) -> None:
    """Without the carrier and the one that adds, 5 logits against the answer are left."""
    broken = copy_model(world.v2, tmp_path / "broken", silence_head(1, 0))
    subject = load(broken)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("audit_core.cli.changes.open_subject", lambda name, on_progress=None: subject)
        code, reported = assay(
            "revalidate", "--model", str(broken), "--was", str(world.v1), "--claim", CARRIER, "--run"
        )
    assert code == 1
    one = reported["claims"][0]["regression"]
    assert (one["outcome"], one["state_after"]) == ("lost", "inconclusive")
    assert one["after"] == {"resample": None, "mean": None, "zero": None}


@pytest.mark.usefixtures("quick")
def test_a_claim_without_an_earlier_verdict_is_not_said_to_hold(world: World, assay: Assay, tmp_path: Path) -> None:
    code, reported = assay(
        "revalidate", "--model", str(world.v1), "--was", str(world.other), "--claim", ELSEWHERE, "--run"
    )
    assert code == 3
    one = reported["claims"][0]["regression"]
    assert (one["outcome"], one["state_before"], one["before"]) == ("undecided", None, {})


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE claim_stale SET body = replace(body, 'weights_changed', 'expired')",
        "DELETE FROM claim_stale",
        "INSERT INTO claim_stale SELECT 9, claim_id, body FROM claim_stale",
    ],
)
def test_a_change_log_that_is_not_what_its_events_say_is_refused(
    world: World, assay: Assay, home: Path, damage: str
) -> None:
    hold(home, world.v2, NEEDED, was=world.v1)
    with open_database(home) as connection:
        for name in ("kept", "fixed"):
            connection.execute(f"DROP TRIGGER claim_stale_{name} ON claim_stale")
        connection.execute(damage)
    with pytest.raises(IntegrityError, match="change log"):
        list_stale(home)
    assert assay("revalidate", "--model", str(world.v1))[0] == 4


@pytest.mark.parametrize("change", ["DELETE FROM claim_stale", "UPDATE claim_stale SET body = ''"])
def test_rows_of_the_change_log_are_appended_only(world: World, home: Path, change: str) -> None:
    import duckdb

    hold(home, world.v2, NEEDED, was=world.v1)
    with pytest.raises(duckdb.Error, match="append-only"), open_database(home) as connection:
        connection.execute(change)
    assert len(list_stale(home)) == 1


def test_a_model_swapped_between_comparing_and_running_is_refused(world: World, home: Path) -> None:
    found = hold(home, world.v2, NEEDED, was=world.v1)
    with pytest.raises(ClaimRefused, match="opened"):
        rerun_stale(home, found, lambda: Auditor(world.subjects[world.v1], RunLog(home)), actor=ME)


def test_stale_evidence_counts_by_the_day(world: World, home: Path) -> None:
    declare_incident(home, NEEDED, held_for="x", by="anna", reason="why")
    export_pack(home, [NEEDED], home / "p.zip", key=make_key(home, "anna"), issue=ExportOptions("anna"))
    with zipfile.ZipFile(home / "p.zip") as pack:
        assert b'"claim.stale"' in pack.read("log/entries.jsonl"), "a pack tells of it"
    (now,) = read_home(home).list_records(datetime.now(UTC)).packs or ()
    assert now.open_triggers == ("incident",)
    assert read_home(home).list_records(datetime.now(UTC) - timedelta(days=1)).packs == ()
