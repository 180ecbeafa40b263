"""Results of audits without a claim travel in packs: bound to the log, listed in the report, refused where they do not belong."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from toy.additive import AdditiveSubject, pair_up
from toy.answers import MEMBER, RUN, tell_answer
from toy.packs import Story, build_files, check, genuine_members, name_failure, seal, tell_story

from audit_core import cli
from audit_core.attention.plausibility import Source
from audit_core.audits.ablation import AblationRequest
from audit_core.audits.attention import AttentionRequest
from audit_core.component import head
from audit_core.errors import AuditError, Refused
from audit_core.evidence.keys import make_key
from audit_core.intervention import Replacement
from audit_core.packs.pack import ExportOptions, export_pack
from audit_core.packs.rerun import rerun_pack
from audit_core.run import Actor, Auditor
from audit_core.store import RunLog
from audit_core.verifier.note import read_unsigned
from audit_core.verifier.walk import verify_pack

ME = Actor("anna", "s")


def retell_answer(change: Callable[[Story], object] = lambda story: None) -> dict[str, bytes]:
    story = tell_story()
    tell_answer(story)
    change(story)
    return seal(build_files(story))


def test_a_pack_with_an_answer_verifies_and_one_without_does_as_before() -> None:
    assert check(retell_answer()).exit_code == 0
    assert not any(name.startswith("answers/") for name in genuine_members())
    assert check(genuine_members()).exit_code == 0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda story: story.documents.pop(MEMBER), "the pack has 0 answers"),
        (lambda story: story.events[-1][2].pop("answers"), "the pack has 1 answers"),
        (lambda story: story.events[-1][2].update(answers=[RUN, RUN]), "the export was logged with"),
        (lambda story: story.events[-1][2].update(answers={RUN: 1}), "no list of runs"),
        (lambda story: story.documents.update({"answers/r8.json": story.documents.pop(MEMBER)}), "the pack has 1 answers"),
        (lambda story: story.documents[MEMBER].update(run_id="r8"), "belongs to run r8"),
        (lambda story: story.documents[MEMBER].update(result='{"finding": "None is.", "n": 3}'), "is not the one in the log"),
        (lambda story: story.documents[MEMBER].update(audit="rationale"), "differ in audit"),
        (lambda story: story.documents[MEMBER].update(prompts_sha256="3" * 64), "differ in prompts_sha256"),
        (lambda story: story.documents[MEMBER]["identity"].update(weights_sha256="8" * 64), "not the one of its model digest"),
        (lambda story: story.events[-3][2].update(claim_id="C-0001"), "attempts at C-0001"),
        (lambda story: story.events[-3][2].update(claim_id="C-0009"), "belongs to the claim's attempts"),
        (lambda story: story.events[-2][2].update(outcome="cancelled"), "ended with 'cancelled'"),
        (lambda story: story.events.pop(-3), "0 starts and 1 ends"),
    ],
)  # fmt: skip
def test_an_answer_that_was_changed_dropped_or_invented_fails(change: Callable[[Story], object], match: str) -> None:
    found = check(retell_answer(change))
    assert found.exit_code == 4
    assert match in name_failure(found), name_failure(found)


def test_a_result_that_is_no_strict_json_fails_though_the_log_has_its_digest() -> None:
    def twice(story: Story) -> None:
        text = '{"n": 3, "n": 4}'
        story.documents[MEMBER]["result"] = text
        story.events[-2][2]["result_sha256"] = hashlib.sha256(text.encode()).hexdigest()

    assert f"the result in {MEMBER}" in name_failure(check(retell_answer(twice)))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def run_id(home: Path) -> str:
    auditor = Auditor(AdditiveSubject({head(0, 0): 3.0}), RunLog(home))
    prompts = pair_up(auditor.subject)
    return auditor.run("ablation", AblationRequest(prompts, prompts, (head(0, 0),), Replacement.ZERO), actor=ME).run_id


def test_a_run_without_a_claim_becomes_a_pack_that_verifies_without_the_project(
    home: Path, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["keys", "make", "anna"]) == 0
    out, trust = home / "p.zip", home / "trust.toml"
    assert cli.main(["pack", "--answer", run_id, "--key", "anna", "--out", str(out)]) == 0
    assert "under the policy: NOT_EVALUATED; no claim" in capsys.readouterr().out
    assert cli.main(["keys", "trust", "--key", "anna:preparer", "--out", str(trust)]) == 0
    assert cli.main(["verify", str(out), "--trust", str(trust)]) == 0
    found = verify_pack(out.read_bytes())
    assert (found.integrity, found.judgement) == ("INTEGRITY_VERIFIED", "NOT_EVALUATED")
    with zipfile.ZipFile(out) as pack:
        answer = json.loads(pack.read(f"answers/{run_id}.json"))
        (run,) = RunLog(home).read_runs([run_id])
        assert json.loads(answer["result"]) == json.loads(run.result or "")
        assert not {"folder", "environment"} & set(answer["identity"])
        assert "Answers of other audits" in pack.read("report/report.html").decode()
        assert b"<html" in pack.read(f"report/answer-{run_id}.html")
    with pytest.raises(Refused, match="without attempts at claims"):
        rerun_pack(out, lambda: pytest.fail("a model was opened"), actor=ME)


def test_a_later_pack_continues_the_checkpoint_of_the_one_before(
    home: Path, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second pack carries the proof from the first one's checkpoint; an export that was refused left no pack to continue."""
    key, issue = make_key(home, "anna"), ExportOptions("anna")
    paths = [home / f"{number}.zip" for number in range(3)]

    def read(path: Path, name: str) -> bytes:
        with zipfile.ZipFile(path) as pack:
            return pack.read(name)

    export_pack(home, [], paths[0], key=key, issue=issue, answers=[run_id])
    assert json.loads(read(paths[0], "log/consistency.json")) is None
    with monkeypatch.context() as patched, pytest.raises(Refused):
        patched.setattr("audit_core.packs.pack.seal_pack", raise_refused)
        export_pack(home, [], paths[1], key=key, issue=issue, answers=[run_id])
    export_pack(home, [], paths[1], key=key, issue=issue, answers=[run_id])
    export_pack(home, [], paths[2], key=key, issue=issue, answers=[run_id])
    sizes = [read_unsigned(read(path, "log/checkpoint.txt").decode()).size for path in paths]
    steps = [json.loads(read(path, "log/consistency.json")) for path in paths[1:]]
    assert [(step["from_size"], step["to_size"]) for step in steps] == [*pairwise(sizes)]
    trust, saved = home / "trust.toml", home / "checkpoint.txt"
    assert cli.main(["keys", "trust", "--key", "anna:preparer", "--out", str(trust)]) == 0
    for before, after, code in ((0, 1, 0), (1, 2, 0), (0, 2, 3)):
        saved.write_bytes(read(paths[before], "log/checkpoint.txt"))
        assert cli.main(["verify", str(paths[after]), "--trust", str(trust), "--checkpoint", str(saved)]) == code


def raise_refused(*_: Any, **__: Any) -> None:
    raise Refused("Nothing.", wanted="something.", remedy="none.")


def test_runs_that_are_no_answer_are_refused(home: Path, run_id: str) -> None:
    key = make_key(home, "anna")

    def export(*names: str, **options: Any) -> None:
        export_pack(home, [], home / "p.zip", key=key, issue=ExportOptions("anna", **options), answers=names)

    with pytest.raises(Refused, match="No claims and no answers"):
        export()
    with pytest.raises(Refused, match="No run 'nothing'"):
        export(run_id, "nothing")
    with pytest.raises(Refused, match="beside withheld prompts"):
        export(run_id, withhold_prompts=True)
    subject = AdditiveSubject({head(0, 0): 3.0})
    with pytest.raises(AuditError):
        Auditor(subject, RunLog(home)).run("attention", AttentionRequest(pair_up(subject), Source.ANSWER), actor=ME)
    failed = next(run["run_id"] for run in RunLog(home).export() if run["outcome"] != "done")
    with pytest.raises(Refused, match="ended without a result"):
        export(failed)
    assert not (home / "p.zip").exists()
