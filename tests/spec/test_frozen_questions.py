"""A question that was frozen with a policy before it was answered can meet it; every other answer is exploratory."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from toy.additive import AdditiveSubject, pair_up
from toy.answers import MEMBER, RUN, tell_answer
from toy.packs import Story, build_files, check, seal, tell_story

from audit_core import cli
from audit_core.audits.ablation import AblationRequest
from audit_core.component import head
from audit_core.data_folder import DATA
from audit_core.errors import PolicyRefused, Refused
from audit_core.evidence.keys import make_key
from audit_core.freeze_question import check_thresholds, freeze_request
from audit_core.governance.policy import Policy, parse_policy
from audit_core.intervention import Replacement
from audit_core.packs.pack import ExportOptions, export_pack
from audit_core.preregistration import PriorAccess
from audit_core.prompts.prompt_set import dump_jsonl
from audit_core.registry import get_plugin
from audit_core.review.checked_pack import gate_pack
from audit_core.run import Actor, Auditor
from audit_core.store import RunLog
from audit_core.subjects.planted import find_planted
from audit_core.verifier.answer_numbers import find_answer_numbers
from audit_core.verifier.criteria import evaluate_policy
from audit_core.verifier.facts import derive_answers
from audit_core.verifier.walk import verify_pack

ME = Actor("anna", "s")
Load = Callable[[str], Any]
GATE = """
schema = "assay/policy/1"
id = "toy"
[gate]
required = ["necessary"]
ci_level = 0.95
multiplicity = { method = "none", alpha = 0.05 }
[answers.necessary]
audit = "ablation"
number = "fraction"
evidence = "causal"
op = ">="
threshold = 0.4
bound = "lower"
min_n = 20
source = "organisation"
why = "A toy."
"""


def read_policy(*changes: tuple[str, str]) -> Policy:
    text = GATE
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return parse_policy(text.encode(), "toy.toml")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AUDIT_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture
def auditor(home: Path) -> Auditor:
    return Auditor(AdditiveSubject({head(0, 0): 3.0}), RunLog(home))


def ask(auditor: Auditor, **changes: Any) -> AblationRequest:
    prompts = pair_up(auditor.subject, **changes)
    return AblationRequest(prompts, prompts, (head(0, 0),), Replacement.ZERO)


def judge(home: Path, run_id: str) -> tuple[str, dict[str, tuple[str, str]]]:
    """Overall result of a pack of this answer, and result and reason by criterion."""
    key = make_key(home, f"p{len(list(home.glob('*.zip')))}")
    out = home / f"{len(list(home.glob('*.zip')))}.zip"
    export_pack(home, [], out, key=key, issue=ExportOptions("anna"), answers=[run_id])
    found = verify_pack(out.read_bytes())
    assert found.integrity == "INTEGRITY_VERIFIED", found.steps
    assert found.documents is not None
    verdict = found.documents.parsed["verdict/verdict.json"]
    return verdict["overall"], {row["id"]: (row["result"], row["reason"] or "") for row in verdict["criteria"]}


def test_a_question_frozen_before_its_run_is_compared_with_its_policy(home: Path, auditor: Auditor) -> None:
    frozen = freeze_request(home, auditor, "ablation", ask(auditor), read_policy(), actor="anna")
    assert not frozen.is_exploratory
    run = auditor.run("ablation", ask(auditor), actor=ME)
    assert run.result.fraction.low > 0.4
    overall, rows = judge(home, run.run_id)
    assert overall == "MEETS"
    assert {name: result for name, (result, _) in rows.items()} == {
        "prereg_frozen_before_run": "MEETS",
        "necessary": "MEETS",
    }


@pytest.mark.parametrize(
    ("change", "result", "reason"),
    [
        (("0.4\n", "4.0\n"), "DOES_NOT_MEET", ""),
        (("min_n = 20", "min_n = 21"), "INCONCLUSIVE", "n is 20, 21 needed"),
        (('op = ">="', 'op = "<="'), "DOES_NOT_MEET", ""),
    ],
)
def test_a_number_that_misses_the_threshold_does_not_meet_it(
    home: Path, auditor: Auditor, change: tuple[str, str], result: str, reason: str
) -> None:
    changes = [change, ('bound = "lower"', 'bound = "upper"')] if "<=" in change[1] else [change]
    freeze_request(home, auditor, "ablation", ask(auditor), read_policy(*changes), actor="anna")
    overall, rows = judge(home, auditor.run("ablation", ask(auditor), actor=ME).run_id)
    assert (overall, rows["necessary"]) == (result, (result, reason))


def test_a_question_frozen_under_another_policy_is_exploratory(home: Path, auditor: Auditor) -> None:
    freeze_request(home, auditor, "ablation", ask(auditor), read_policy(), actor="anna")
    run_id, out = auditor.run("ablation", ask(auditor), actor=ME).run_id, home / "p.zip"
    export_pack(home, [], out, key=make_key(home, "anna"), issue=ExportOptions("anna"), answers=[run_id])
    documents = verify_pack(out.read_bytes()).documents
    assert documents is not None
    assert derive_answers(documents)[0]["freeze"]["result"] == "MEETS"
    lax = replace(documents, policy=read_policy(("threshold = 0.4", "threshold = 0.1")).resolved())
    (answer,) = derive_answers(lax)
    assert answer["freeze"]["result"] == "INCONCLUSIVE"
    assert "another policy" in answer["freeze"]["reason"]


def test_the_gate_compares_an_answer_and_misses_one_that_is_not_there(home: Path, auditor: Auditor) -> None:
    policy, out = read_policy(), home / "p.zip"
    freeze_request(home, auditor, "ablation", ask(auditor), policy, actor="anna")
    run_id = auditor.run("ablation", ask(auditor), actor=ME).run_id
    export_pack(home, [], out, key=make_key(home, "anna"), issue=ExportOptions("anna"), answers=[run_id])
    rows = {row.id: row for row in gate_pack(out.read_bytes(), policy, None, now=datetime.now(UTC)).rows}
    assert (rows["integrity"].result, rows["necessary"].result, rows["necessary"].claim_id) == (
        "MEETS",
        "MEETS",
        run_id,
    )
    assert (rows["necessary"].level, rows["necessary"].unit) == (0.95, "fraction of the clean–corrupted gap")
    found = evaluate_policy(policy.resolved(), [], [], {})
    (row,) = found["criteria"]
    assert (found["overall"], row["id"], row["claim_id"]) == ("NOT_EVALUATED", "necessary", None)
    assert "no answer of the audit ablation" in row["reason"]


def test_an_answer_of_two_policies_has_no_pack(home: Path, auditor: Auditor) -> None:
    for policy in (read_policy(), read_policy(("threshold = 0.4", "threshold = 0.1"))):
        freeze_request(home, auditor, "ablation", ask(auditor), policy, actor="anna")
    run_id = auditor.run("ablation", ask(auditor), actor=ME).run_id
    with pytest.raises(Refused, match="under 2 policies"):
        judge(home, run_id)


def test_an_answer_says_how_many_questions_were_frozen_before_its_own(home: Path, auditor: Auditor) -> None:
    policy, other = read_policy(), ask(auditor, texts=[(f"good {n} x", f"bad {n} x") for n in range(50, 70)])
    freeze_request(home, auditor, "ablation", ask(auditor), policy, actor="anna")
    freeze_request(home, auditor, "ablation", other, policy, actor="anna")
    auditor.run("ablation", ask(auditor), actor=ME)
    overall, rows = judge(home, auditor.run("ablation", other, actor=ME).run_id)
    assert overall == "MEETS"
    assert rows["prereg_frozen_before_run"][1].startswith("question 2 of this audit on this model")


def test_answers_that_were_known_or_not_frozen_are_exploratory(home: Path, auditor: Auditor) -> None:
    known = auditor.run("ablation", ask(auditor), actor=ME)
    assert judge(home, known.run_id)[0] == "NOT_EVALUATED"
    # Freezing afterwards is no use, nor is freezing another request on the same texts.
    policy = read_policy()
    assert freeze_request(home, auditor, "ablation", ask(auditor), policy, actor="anna").is_exploratory
    overall, rows = judge(home, known.run_id)
    assert (overall, rows["prereg_frozen_before_run"]) == (
        "DOES_NOT_MEET", ("DOES_NOT_MEET", "the run started before its question was frozen"),
    )  # fmt: skip
    assert rows["necessary"][0] == "INCONCLUSIVE"
    other = AblationRequest(ask(auditor).prompts, ask(auditor).prompts, (head(0, 0),), Replacement.MEAN)
    assert freeze_request(home, auditor, "ablation", other, policy, actor="anna").is_exploratory
    overall, rows = judge(home, auditor.run("ablation", other, actor=ME).run_id)
    assert overall == "INCONCLUSIVE"
    assert "results seen" in rows["prereg_frozen_before_run"][1]
    assert rows["necessary"][1].startswith("exploratory")


def test_what_was_seen_elsewhere_or_is_shipped_makes_a_question_exploratory(
    home: Path, auditor: Auditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = PriorAccess.RESULTS_SEEN
    policy = read_policy()
    assert freeze_request(home, auditor, "ablation", ask(auditor), policy, actor="anna", declared=seen).is_exploratory
    asked: list[str] = []

    class Shipped:
        def answers(self, request: Any, weights: str) -> bool:
            asked.append(weights)
            return True

    monkeypatch.setattr("audit_core.freeze_question.load_recorded", lambda audit: (Shipped(),))
    assert freeze_request(home, auditor, "ablation", ask(auditor), policy, actor="anna").is_exploratory
    assert asked == [auditor.subject.identity.weights_sha256]


def tell_frozen(change: Callable[[Story], object] = lambda story: None) -> Story:
    """A pack whose answer has a result with a number and a question frozen before it; the policy has no threshold for it."""
    story = tell_story()
    tell_answer(story)
    frozen = {
        "audit": "documents",
        "content_key": "4" * 64,
        "prior_access": "nothing_run",
        "resolved_policy_sha256": "0" * 64,
    }
    at = next(i for i, event in enumerate(story.events) if event[:2] == ("run.started", RUN))
    story.events.insert(at, ("question.frozen", "Q-1", frozen, True))
    change(story)
    return story


def test_a_question_in_the_log_leaves_packs_of_other_policies_as_they_were() -> None:
    found = check(seal(build_files(tell_frozen())))
    assert found.exit_code == 0
    assert MEMBER in (found.documents.parsed if found.documents else {})


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (('number = "fraction"', 'number = "fractions"'), "has no number fractions"),
        (('evidence = "causal"', 'evidence = "observational"'), "is causal, not observational"),
        (('audit = "ablation"', 'audit = "sweep"'), "compares no number of the audit ablation"),
    ],
)
def test_a_policy_that_names_no_number_of_the_audit_is_refused_before_the_run(
    home: Path, auditor: Auditor, change: tuple[str, str], match: str
) -> None:
    changes = [change] if "causal" not in change[0] else [change, ("required = [", 'required = ["x", ')]
    text = GATE
    for old, new in changes:
        text = text.replace(old, new, 1)
    if len(changes) > 1:
        # An observational number may not be the only requirement.
        extra = GATE.split("[answers.necessary]")[1].replace("fraction", "after")
        text += f"[answers.x]{extra}"
    with pytest.raises(Refused, match=match):
        freeze_request(home, auditor, "ablation", ask(auditor), parse_policy(text.encode(), "t"), actor="anna")
    assert not list(RunLog(home).export())


def test_claims_and_weaker_policies_are_refused() -> None:
    with pytest.raises(Refused, match="judges claims"):
        check_thresholds(get_plugin("audits", "claim_test"), read_policy())
    for old, new, match in (
        ('evidence = "causal"', 'evidence = "observational"', "No required criterion"),
        ('bound = "lower"', 'bound = "upper"', "bound"),
        ('number = "fraction"', 'number = "a..b"', "number"),
        ('number = "fraction"', 'number = "a[b=*].c"', "number"),
        ("min_n = 20", "min_n = 20\nmetric = 1", "Unknown key"),
        ("[answers.necessary]", "[answers.rerun]", "criterion"),
    ):
        with pytest.raises(PolicyRefused, match=re.escape(match)):
            read_policy((old, new))


RECORDED = {
    "documents": "documents/recorded-questions", "tools": "tools/recorded-requests", "rationale": "rationale/default",
    "decisions": "decisions/planted-decision.run", "robustness": "robustness/indirect_object-acts",
    "benchmark": "benchmarks/own_facts.run",
}  # fmt: skip


def read_examples() -> Policy:
    page = (Path(__file__).parents[2] / "docs/reference/policy.md").read_text()
    (block,) = (text for text in re.findall(r"```toml\n(.*?)```", page, re.S) if "[answers." in text)
    names = re.findall(r"\[answers\.(\w+)\]", block)
    header = GATE.split("[answers")[0].replace('["necessary"]', json.dumps(names))
    return parse_policy((header + block).encode(), "reference")


def test_every_example_of_the_reference_names_a_number_that_its_audit_has() -> None:
    policy = read_examples()
    criteria = policy.resolved()["answers"]
    audits = {one["audit"] for one in criteria.values()}
    assert {name for audit in audits for name in check_thresholds(get_plugin("audits", audit), policy)} == set(criteria)
    found = set()
    for one in criteria.values():
        if one["audit"] in RECORDED:
            result = json.loads((DATA / f"{RECORDED[one['audit']]}.json").read_text())["result"]
            found |= {one["audit"] for row in find_answer_numbers(result, one["number"]) if row["estimate"] is not None}
    assert found == set(RECORDED)


def test_the_command_freezes_before_it_runs(
    home: Path, load_planted: Load, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, subject = find_planted("planted-strict"), load_planted("planted-strict")
    assert model is not None
    monkeypatch.setattr("audit_core.cli.session.open_subject", lambda name, on_progress: subject)
    policy = home / "policy.toml"
    policy.write_text(GATE.replace("min_n = 20", "min_n = 10"))
    prompts = home / "query.jsonl"
    prompts.write_text(dump_jsonl(model.find_task("query").make(4, 0).prompts))
    asked = ["audit", "ablation", "--model", "planted-strict", "--prompts", str(prompts), "--components", "L0.H0"]
    asked += ["--half", "all", "--freeze", str(policy)]
    assert cli.main(asked) == 0
    assert "Frozen: Q-" in capsys.readouterr().err
    run = list(RunLog(home).export())[-1]
    assert run["kind"] == "ablation"
    assert judge(home, run["run_id"])[1]["prereg_frozen_before_run"][0] == "MEETS"


EXPLAINED = """
[answers.faithful]
audit = "explanations"
number = "methods[method=occlusion].faithfulness"
evidence = "causal"
op = ">="
threshold = 0.1
bound = "lower"
min_n = 20
source = "organisation"
why = "A toy."
[answers.complete]
audit = "explanations"
number = "methods[method=shapley].completeness"
evidence = "estimated"
op = "<="
threshold = 0.01
bound = "upper"
source = "organisation"
why = "A toy."
[answers.complete_occlusion]
audit = "explanations"
number = "methods[method=occlusion].completeness"
evidence = "estimated"
op = "<="
threshold = 0.01
bound = "upper"
source = "organisation"
why = "Its scores divide nothing, so that there is nothing to meet."
"""


def test_an_explanation_that_is_shown_is_compared_with_what_its_tokens_cost_and_how_its_scores_add_up(
    home: Path, load_planted: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, subject = find_planted("planted-strict"), load_planted("planted-strict")
    assert model is not None
    few = {name: get_plugin("attributions", name) for name in ("occlusion", "shapley")}
    monkeypatch.setattr("audit_core.audits.explanations.list_plugins", lambda shelf: few)
    monkeypatch.setattr("audit_core.cli.session.open_subject", lambda name, on_progress: subject)
    policy, prompts = home / "policy.toml", home / "vote.jsonl"
    names = '["faithful", "complete", "complete_occlusion"]'
    policy.write_text(GATE.split("[answers")[0].replace('["necessary"]', names) + EXPLAINED)
    prompts.write_text(dump_jsonl(model.find_task("vote").make(3, 0).prompts))
    asked = ["audit", "explanations", "--model", "planted-strict", "--prompts", str(prompts), "--half", "all"]
    assert cli.main([*asked, "--freeze", str(policy)]) == 0
    overall, rows = judge(home, list(RunLog(home).export())[-1]["run_id"])
    assert rows["prereg_frozen_before_run"][0] == "MEETS"
    assert rows["faithful"][0] == "MEETS"
    assert rows["complete"][0] == "MEETS"
    assert rows["complete_occlusion"][0] == "NOT_EVALUATED"
    assert overall != "MEETS"
