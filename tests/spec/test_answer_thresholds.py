"""Thresholds on numbers of audits' results: which policies are read, which numbers are found, and what each answer can meet."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from toy.answers import RUN, tell_answer
from toy.packs import build_files, tell_story

from audit_core.verifier.answer_numbers import find_answer_numbers, list_answer_fields
from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.criteria import evaluate_policy, find_kind, list_answer_rows
from audit_core.verifier.documents import Documents, read_documents
from audit_core.verifier.facts import derive_answers
from audit_core.verifier.policy_table import PolicyMalformed, resolve_policy

Change = Callable[[Any], object]
MET = {"result": "MEETS", "reason": None}


def make_policy() -> dict[str, Any]:
    return {
        "schema": "assay/policy/1", "id": "toy",
        "gate": {"required": ["grounded"], "ci_level": 0.95, "multiplicity": {"method": "none", "alpha": 0.05}},
        "answers": {
            "grounded": {
                "audit": "documents", "number": "rows[*].share", "evidence": "causal", "op": ">=", "threshold": 0.4, "bound": "lower",
                "source": "organisation", "why": "A toy.",
            }
        },
        "findings": {
            "severities": [{"name": "high", "days": 1}, {"name": "low", "days": 3660}], "source": "organisation", "why": "A toy.",
        },
    }  # fmt: skip


def make_criterion(**changes: Any) -> dict[str, Any]:
    """A criterion of claims, for a policy that has both."""
    return {
        "metric": "necessity_drop", "op": ">=", "threshold": 0.3, "bound": "lower", "source": "default", "why": "A toy.",
    } | changes  # fmt: skip


def of_answer(**fields: Any) -> Change:
    return lambda policy: policy["answers"]["grounded"].update(fields)


def of_findings(**fields: Any) -> Change:
    return lambda policy: policy["findings"].update(fields)


def name_severities(n: int) -> list[dict[str, Any]]:
    return [{"name": f"s{at}", "days": at + 1} for at in range(n)]


def rename(new: str) -> Change:
    def change(policy: Any) -> None:
        policy["answers"] = {new: policy["answers"]["grounded"]}
        policy["gate"]["required"] = [new]

    return change


@pytest.mark.parametrize(
    "change",
    [
        lambda policy: None, of_answer(min_n=1, min_templates=1), of_answer(min_n=10**9, min_templates=10**9), of_answer(why="A"),
        of_answer(why="A" * 600), of_findings(severities=name_severities(1)), of_findings(severities=name_severities(12)),
        of_findings(notice_days=0), of_findings(notice_days=366), lambda policy: policy.pop("findings"),
        lambda policy: (policy.update(criteria={"effect": make_criterion()}), policy["gate"].update(optional=["effect"])),
    ],
)  # fmt: skip
def test_a_policy_of_answers_and_findings_reads_back(change: Change) -> None:
    policy = make_policy()
    change(policy)
    resolved = resolve_policy(policy)
    assert resolve_policy(resolved) == resolved
    for name, wanted in policy["answers"]["grounded"].items():
        assert resolved["answers"]["grounded"][name] == wanted
    assert resolved["answers"]["grounded"]["ci_level"] == 0.95
    if "findings" in policy:
        assert resolved["findings"] == {"notice_days": 14} | policy["findings"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda policy: policy.pop("answers"), "No criteria"),
        (lambda policy: policy.update(answers=[]), "No criteria"),
        (lambda policy: policy.update(criteria=[]), "No criteria"),
        (rename("Grounded"), "A criterion named 'Grounded'"),
        (rename("rerun"), "A criterion named 'rerun'"),
        (rename("integrity"), "A criterion named 'integrity'"),
        (of_answer(metric="x"), "Unknown key 'metric' in answers.grounded"),
        (of_answer(min_n=0), "a whole number from 1 to"),
        (of_answer(min_n=10**9 + 1), "a whole number from 1 to"),
        (of_answer(min_templates=0), "a whole number from 1 to"),
        (of_answer(min_templates=10**9 + 1), "a whole number from 1 to"),
        (of_answer(why=""), "a sentence"),
        (of_answer(why="A" * 601), "a sentence"),
        (of_findings(colour=1), "Unknown key 'colour' in findings"),
        (of_findings(severities={"high": 1}), "findings.severities = {'high': 1}. Wanted: 1 to 12"),
        (of_findings(severities=[]), "Wanted: 1 to 12 tables"),
        (of_findings(severities=name_severities(13)), "Wanted: 1 to 12 tables"),
        (of_findings(severities=[{"name": "a", "days": 1, "x": 1}]), "Unknown key 'x' in findings.severities 1"),
        (of_findings(severities=[{"name": "a", "days": 0}]), "a number from 1 to 3660"),
        (of_findings(severities=[{"name": "a", "days": 3661}]), "a number from 1 to 3660"),
        (of_findings(severities=[{"name": "a", "days": 1.5}]), "Wanted: a whole number"),
        (of_findings(severities=[{"name": "a", "days": 1}, {"name": "a", "days": 2}]), "names a, a. Wanted: each name once"),
        (of_findings(severities=[{"name": "A B", "days": 1}]), "a name without spaces"),
        (of_findings(notice_days=-1), "a whole number from 0 to 366"),
        (of_findings(notice_days=367), "a whole number from 0 to 366"),
        (lambda policy: policy.update(criteria={"grounded": make_criterion()}), "grounded is a criterion of claims and of answers"),
        (lambda policy: policy["answers"].update(other=policy["answers"]["grounded"]), "answers.other is not listed"),
        (lambda policy: policy.update(criteria={"effect": make_criterion()}), "criteria.effect is not listed"),
        (lambda policy: policy.update(criteria={"effect": make_criterion(claim_kind=["speed"])}), "names among sufficiency, necessity"),
        (of_answer(evidence="observational"), "No required criterion is a measurement"),
    ],
)  # fmt: skip
def test_a_policy_of_answers_and_findings_that_cannot_be_applied_is_refused(change: Change, said: str) -> None:
    policy = make_policy()
    change(policy)
    with pytest.raises(PolicyMalformed) as refusal:
        resolve_policy(policy)
    assert said in str(refusal.value)
    assert "Wanted: " in str(refusal.value)
    assert "What to do: " in str(refusal.value)


def make_number(value: float | None, **changes: Any) -> dict[str, Any]:
    return {
        "value": value,
        "low": value,
        "high": value,
        "n": 3,
        "unit": "u",
        "level": 0.95,
        "templates": None,
    } | changes


RESULT = {
    "share": make_number(0.5), "bare": {name: 1 for name in make_number(1) if name != "templates"}, "clustered": make_number(1, templates=2),
    "short": {"value": 1}, "text": "my share", "a b": make_number(1),
    "rows": [
        {"share": make_number(7)}, {"label": "a", "share": make_number(1)}, {"label": "b", "share": None}, {"label": "c", "share": make_number(2)},
        {"label": "c", "share": make_number(3)}, {"label": 4, "share": make_number(4)}, "no table",
    ],
    "many": [{"v": make_number(1)}] * 1_000, "more": [{"v": make_number(1)}] * 1_001,
}  # fmt: skip
NONE: list[float | None] = [None]


@pytest.mark.parametrize(
    ("path", "found", "said"),
    [
        ("share", [0.5], ""), ("bare", [1], ""), ("rows[label=a].share", [1], ""), ("rows[label=4].share", [4], ""),
        ("rows[*].share", [7, 1, None, 2, 3, 4], "not measured: the result has no estimate at rows[*].share"), ("many[*].v", [1] * 1_000, ""),
        ("rows[label=b].share", NONE, "no estimate at"), ("short", NONE, "no estimate at"), ("text", NONE, "no estimate at"),
        ("rows[label=c].share", NONE, "the result has no numbers at"), ("rows[label=z].share", NONE, "the result has no numbers at"),
        ("rows.share", NONE, "the result has no numbers at"), ("text.share", NONE, "the result has no numbers at"), ("share.value.share", NONE, "the result has no numbers at"),
        ("share[*].value", NONE, "the result has no numbers at"), ("nothing", NONE, "the result has no numbers at"),
        ("a b", NONE, "the result has no numbers at"), ("share[]", NONE, "the result has no numbers at"),
        ("more[*].v", NONE, "the result has 1001 numbers at"), ("share.value", NONE, "no estimate at"),
    ],
)  # fmt: skip
def test_numbers_are_found_by_their_path_or_named_as_missing(path: str, found: list[float | None], said: str) -> None:
    rows = find_answer_numbers(RESULT, path)
    assert [row["estimate"] for row in rows] == found
    assert [row["reason"] is None for row in rows] == [value is not None for value in found]
    assert all(said in row["reason"] for row in rows if row["estimate"] is None)


def test_without_clusters_every_unit_counts_as_a_template() -> None:
    assert [find_answer_numbers(RESULT, name)[0]["n_templates"] for name in ("bare", "share", "clustered")] == [1, 3, 2]
    assert find_answer_numbers(RESULT, "clustered")[0]["ci_level"] == 0.95
    assert list_answer_fields("rows[label=a].share") == ("rows", "share")


@cache
def _read_frozen() -> Documents:
    story = tell_story()
    tell_answer(story)
    at = next(place for place, event in enumerate(story.events) if event[:2] == ("run.started", RUN))
    story.events.insert(at, ("question.frozen", "Q-1", {"content_key": "4" * 64}, True))
    return read_documents(build_files(story))


def judge_question(change: Change) -> tuple[str, str | None]:
    """What a log with a question that was frozen under the pack's policy, and then changed, says of its answer."""
    documents = _read_frozen()
    entries = deepcopy(documents.entries)
    policy = hashlib.sha256(encode_canonical(documents.policy)).hexdigest()
    frozen = next(entry for entry in entries if entry["action"] == "question.frozen")
    frozen["payload"] |= {"resolved_policy_sha256": policy, "prior_access": "nothing_run", "number": 1}
    log = {"entries": entries, "frozen": frozen, "start": entries[entries.index(frozen) + 1]}
    change(log)
    (answer,) = derive_answers(replace(documents, parsed={**documents.parsed, "log/entries.jsonl": log["entries"]}))
    assert (answer["run_id"], answer["audit"], answer["result"]["n"]) == (RUN, "documents", 3)
    return answer["freeze"]["result"], answer["freeze"]["reason"]


def freeze(**fields: Any) -> Change:
    return lambda log: log["frozen"]["payload"].update(fields)


def freeze_twice(**fields: Any) -> Change:
    """A second freezing after the first and before the run."""

    def change(log: Any) -> None:
        again = deepcopy(log["frozen"])
        again["payload"] |= fields
        log["entries"].insert(log["entries"].index(log["start"]), again)

    return change


@pytest.mark.parametrize(
    ("change", "result", "reason"),
    [
        (lambda log: None, "MEETS", None),
        (freeze(number=2), "MEETS", "question 2 of this audit on this model: earlier ones need not be in this pack"),
        (freeze(prior_access="no_results_seen"), "MEETS", None),
        (freeze(prior_access="results_seen"), "INCONCLUSIVE", "EXPLORATORY: when the question was fixed, results seen"),
        (freeze(prior_access="results_not_opened"), "INCONCLUSIVE", "EXPLORATORY: when the question was fixed, results not opened"),
        (freeze(prior_access="elsewhere"), "INCONCLUSIVE", "EXPLORATORY: when the question was fixed, elsewhere"),
        (freeze(resolved_policy_sha256="0" * 64), "INCONCLUSIVE", "EXPLORATORY: the question was frozen under another policy"),
        (freeze_twice(resolved_policy_sha256="0" * 64), "MEETS", None),
        (freeze_twice(prior_access="results_seen", number=2), "MEETS", None),
        (freeze(content_key="5" * 64), "NOT_EVALUATED", "EXPLORATORY: the log shows no freezing of this question"),
        (lambda log: log["frozen"].update(action="prereg.frozen"), "NOT_EVALUATED", "EXPLORATORY: the log shows no freezing of this question"),
        (lambda log: log["frozen"].update(seq=99), "DOES_NOT_MEET", "the run started before its question was frozen"),
        (lambda log: log["entries"].remove(log["start"]), "NOT_EVALUATED", "the log shows no start of this run"),
        (lambda log: log["start"].update(object_id="r8"), "NOT_EVALUATED", "the log shows no start of this run"),
    ],
)  # fmt: skip
def test_a_question_counts_as_frozen_only_if_the_log_says_so(change: Change, result: str, reason: str | None) -> None:
    assert judge_question(change) == (result, reason)


EXPLORATORY = "exploratory: the number would meet the threshold, and the question was not fixed before"
WIDE, LOW, HIGH = ({"low": a, "high": b, "value": (a + b) / 2} for a, b in ((0.1, 0.9), (0.1, 0.2), (0.5, 0.9)))


def answer(*numbers: dict[str, Any], freeze: Any = MET, **changes: Any) -> dict[str, Any]:
    rows = [{"share": None if one is None else make_number(0.0) | one} for one in numbers]
    return {"run_id": RUN, "audit": "documents", "result": {"rows": rows}, "freeze": freeze} | changes


@pytest.mark.parametrize(
    ("numbers", "frozen", "result", "reason", "shown"),
    [
        ((HIGH,), MET, "MEETS", None, (0.7, 0.5, 0.9, 3)),
        ((HIGH, HIGH | {"n": 2, "low": 0.45}), MET, "MEETS", None, (0.7, 0.45, 0.9, 2)),
        ((LOW,), MET, "DOES_NOT_MEET", None, (pytest.approx(0.15), 0.1, 0.2, 3)),
        ((LOW, HIGH), MET, "DOES_NOT_MEET", None, (pytest.approx(0.15), 0.1, 0.2, 3)),
        ((WIDE, WIDE), MET, "INCONCLUSIVE", "the interval reaches across the threshold", (0.5, 0.1, 0.9, 3)),
        ((WIDE, HIGH | {"level": 0.9}), MET, "INCONCLUSIVE", "the interval reaches across the threshold; the interval's level is 0.9, 0.95 needed",
         (0.5, 0.1, 0.9, 3)),
        ((HIGH | {"level": None},), MET, "INCONCLUSIVE", "the interval's level is not stated, 0.95 needed", (0.7, 0.5, 0.9, 3)),
        ((HIGH, WIDE, None), MET, "NOT_EVALUATED", "not measured: the result has no estimate at rows[*].share", (0.5, 0.1, 0.9, 3)),
        ((HIGH,), {"result": "INCONCLUSIVE", "reason": "known"}, "INCONCLUSIVE", EXPLORATORY, (0.7, 0.5, 0.9, 3)),
        ((LOW,), {"result": "INCONCLUSIVE", "reason": "known"}, "DOES_NOT_MEET", None, (pytest.approx(0.15), 0.1, 0.2, 3)),
        ((WIDE,), {"result": "NOT_EVALUATED", "reason": "known"}, "INCONCLUSIVE", "the interval reaches across the threshold", (0.5, 0.1, 0.9, 3)),
    ],
)  # fmt: skip
def test_the_worst_number_of_an_answer_decides_and_an_exploratory_one_cannot_meet(
    numbers: tuple[dict[str, Any], ...], frozen: Any, result: str, reason: str | None, shown: tuple[Any, ...]
) -> None:
    found = evaluate_policy(
        make_policy() | {"gate": make_policy()["gate"]}, [], [], {}, [answer(*numbers, freeze=frozen)]
    )
    standing, row = found["criteria"]
    assert standing == standing | {"id": "prereg_frozen_before_run", "claim_id": RUN, **frozen}
    named = dict(zip(("estimate", "ci_low", "ci_high", "n"), shown, strict=True))
    assert row == named | {
        "id": "grounded", "claim_id": RUN, "metric": "documents: rows[*].share (causal)", "comparator": ">=", "threshold": 0.4,
        "n_required": None, "result": result, "reason": reason,
    }  # fmt: skip


def test_an_answer_of_another_audit_is_compared_with_nothing() -> None:
    policy = resolve_policy(make_policy())
    other = answer(HIGH, audit="rationale")
    assert list_answer_rows(policy, other) == {}
    (row,) = evaluate_policy(policy, [], [], {}, [other])["criteria"]
    assert (row["claim_id"], row["result"], row["reason"]) == (
        None,
        "NOT_EVALUATED",
        "the pack has no answer of the audit documents",
    )
    (numbers,) = list_answer_rows(policy, answer(HIGH)).values()
    assert [(one["claim_id"], one["metric"], one["estimate"]) for one in numbers] == [
        (RUN, "documents: rows[*].share (causal)", 0.7)
    ]


@pytest.mark.parametrize(
    ("stated", "role", "kind"),
    [
        ("necessity", "necessary", "necessity"), (None, "necessary", "necessity"), ("stability", None, "stability"),
        ("stability", "some role", "stability"), (5, None, None), ("sufficiency", "necessary", None), (None, None, None),
    ],
)  # fmt: skip
def test_a_kind_follows_from_the_role_or_is_none(stated: Any, role: Any, kind: str | None) -> None:
    assert find_kind({"kind": stated, "claim": {"role": role}}) == kind


def test_a_claim_that_the_policy_is_not_about_says_why() -> None:
    policy = make_policy() | {"applies_to": {"model": "toy", "claim_kind": ["necessity"]}}
    claim = {"claim_id": "C-0001", "kind": None, "status": "tested", "claim": {"role": "necessary"}}
    for scope, reason in (
        ({"model_id": "toy"}, "no required criterion of the policy is about claims of kind necessity"),
        ({"model_id": "other"}, "the policy does not apply to this model"),
    ):
        rows = evaluate_policy(policy, [claim | {"scope": scope}], [], json.loads('{"C-0001": {}}'))["criteria"]
        (row,) = [one for one in rows if one["id"] == "applies_to"]
        assert (row["result"], row["reason"]) == ("NOT_EVALUATED", reason)


def of_gate(**fields: Any) -> Change:
    return lambda policy: policy["gate"].update(fields)


def with_claims(**fields: Any) -> Change:
    """Both kinds of criteria, and what else is set for the claims'."""
    return lambda policy: (
        policy.update(criteria={"effect": make_criterion(**fields)}),
        policy["gate"].update(optional=["effect"]),
    )


ONE_PERSON = {"preparer_ne_reviewer": False, "reviewer_ne_approver": False}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda policy: policy.update(approval=ONE_PERSON), None),
        (lambda policy: (of_gate(optional=["four_eyes"])(policy), policy.update(approval=ONE_PERSON | {"reviewer_ne_approver": True})), None),
        (lambda policy: (of_gate(optional=["four_eyes"])(policy), policy.update(approval=ONE_PERSON | {"preparer_ne_reviewer": True})), None),
        (lambda policy: (of_gate(optional=["four_eyes"])(policy), policy.update(approval=ONE_PERSON)), "one person may act in all roles"),
        (lambda policy: policy.update(applies_to={"models": "*"}), "Unknown key 'models' in applies_to"),
        (lambda policy: policy.update(applies_to={"model": ["a", "b"]}), None),
        (lambda policy: policy.update(applies_to={"model": 5}), "ids of models"),
        (lambda policy: policy.update(applies_to={"model": ["a", 5]}), "ids of models"),
        (lambda policy: policy.update(applies_to={"model": ["a", ""]}), "ids of models"),
        (of_gate(max_waivers=100, waiver_max_days=366), None), (of_gate(waiver_max_days=1), None),
        (of_gate(max_waivers=101), "a whole number from 0 to 100"), (of_gate(waiver_max_days=0), "a whole number from 1 to 366"),
        (of_gate(waiver_max_days=367), "a whole number from 1 to 366"),
        (with_claims(min_n=1, min_templates=1, min_gap_logit=0), None), (with_claims(min_n=10**9, min_templates=10**9, min_gap_logit=1e6), None),
        (with_claims(min_n=0), "a whole number from 1"), (with_claims(min_n=10**9 + 1), "a whole number from 1"),
        (with_claims(min_templates=0), "a whole number from 1"), (with_claims(min_templates=10**9 + 1), "a whole number from 1"),
        (with_claims(min_gap_logit=1e6 + 1), "a number from 0"), (with_claims(threshold=1e9 + 1), "a number from -1e+09"),
        (lambda policy: policy.update(criteria={"integrity": {}}), "A table criteria.integrity"),
        (lambda policy: policy.update(criteria={"rerun": {}}), "A table criteria.rerun"),
        (lambda policy: policy.update(approval={"max_age_days": 3660}), None), (lambda policy: policy.update(approval={"max_age_days": 1}), None),
        (lambda policy: policy.update(approval={"max_age_days": 3661}), "a whole number from 1 to 3660"),
        (lambda policy: policy.update(approval={"other": 1}), "Unknown key 'other' in approval"),
        (of_gate(multiplicity=None), "No gate.multiplicity"), (of_gate(ci_level=0.5), None), (of_gate(ci_level=True), "a number from 0.5"),
        (of_gate(optional=[5]), "a list of names"), (lambda policy: policy.update(id=5), "a name without spaces"),
    ],
)  # fmt: skip
def test_the_last_allowed_value_of_each_key_is_read_and_the_next_is_refused(change: Change, said: str | None) -> None:
    policy = make_policy()
    change(policy)
    if said is None:
        assert resolve_policy(resolve_policy(policy)) == resolve_policy(policy)
        return
    with pytest.raises(PolicyMalformed) as refusal:
        resolve_policy(policy)
    assert said in str(refusal.value)


def evaluate_claim(*rows: dict[str, Any], status: str = "tested", **facts: Any) -> dict[str, dict[str, Any]]:
    """Rows of a verdict by criterion, of a claim whose drop must be at least 0.3."""
    policy = make_policy()
    with_claims()(policy)
    claim = {"claim_id": "C-0001", "kind": "necessity", "status": status, "scope": {}, "claim": {"role": "necessary"}}
    metric = {"metric": "necessity_drop", "claim_id": "C-0001", "ci_level": 0.95, "n": 9}
    known = {"C-0001": {"prereg_frozen_before_run": MET} | facts}
    found = evaluate_policy(policy, [claim], [metric | row for row in rows], known)["criteria"]
    return {row["id"]: row for row in found if row["claim_id"] == "C-0001"}


LATE = {"result": "DOES_NOT_MEET", "reason": "late"}


def test_what_makes_a_claim_exploratory_never_makes_it_better() -> None:
    known = {"result": "INCONCLUSIVE", "reason": "seen"}
    for facts, result, reason in (
        ({}, "MEETS", None), ({"deviation": known}, "INCONCLUSIVE", "affected by a deviation: seen"), ({"deviation": MET}, "MEETS", None),
        ({"prereg_frozen_before_run": LATE, "deviation": known}, "DOES_NOT_MEET", "late"),
    ):  # fmt: skip
        row = evaluate_claim(**facts)["prereg_frozen_before_run"]
        assert (row["result"], row["reason"]) == (result, reason)
    draft = evaluate_claim(status="draft", prereg_frozen_before_run=LATE)["prereg_frozen_before_run"]
    assert (draft["result"], draft["reason"]) == ("DOES_NOT_MEET", "late")
    assert evaluate_claim(status="draft")["prereg_frozen_before_run"]["result"] == "INCONCLUSIVE"
    for reason in (5, ""):
        fact = {"result": "DOES_NOT_MEET", "reason": reason}
        assert evaluate_claim(prereg_frozen_before_run=fact)["prereg_frozen_before_run"]["reason"] is None


def test_an_estimate_at_an_end_of_its_interval_counts_and_one_outside_does_not() -> None:
    for estimate, result in ((0.4, "MEETS"), (0.6, "MEETS"), (0.39, "INCONCLUSIVE"), (0.61, "INCONCLUSIVE")):
        row = evaluate_claim({"estimate": estimate, "ci_low": 0.4, "ci_high": 0.6})["effect"]
        assert row["result"] == result, estimate
    for reason in (5, "", None):
        row = evaluate_claim({"estimate": None, "reason": reason})["effect"]
        assert (row["result"], row["reason"]) == ("NOT_EVALUATED", "no number and no reason")
    both = evaluate_claim({"estimate": 0.5, "ci_low": 0.4, "ci_high": 0.6}, {"estimate": 0.5, "n": None})["effect"]
    assert (both["ci_low"], both["n"], both["estimate"]) == (None, None, 0.5)
