"""Step 6: whatever a pack says in two places it says alike, and its verdict is the one that its own numbers give."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from toy.packs import (
    AT,
    BROKEN,
    LOST,
    POLICY,
    RUNS,
    Story,
    build_files,
    check,
    edit,
    genuine_members,
    name_failure,
    rerun,
    retell,
    seal,
    tell_story,
)

from audit_core.evidence.canonical import dump_canonical, hash_document
from audit_core.verifier.attempts import Attempt, find_gap
from audit_core.verifier.documents import Documents, read_documents
from audit_core.verifier.facts import derive_facts
from audit_core.verifier.semantics import compute_plan_digest

CLAIMS, PLAN, PACK, VERDICT = "claims/claims.json", "prereg/prereg.json", "pack.json", "verdict/verdict.json"
MANIFEST = f"runs/{RUNS[0]}/manifest.json"


def fail(members: dict[str, bytes], match: str, step: str = "semantics") -> None:
    """The preparer's signature holds, and the pack fails all the same."""
    found = check(members)
    failures = name_failure(found)
    assert failures.startswith(f"{step}: "), failures
    assert match in failures
    assert found.steps[3].result == "PASSED"
    assert (found.exit_code, found.integrity, found.judgement) == (4, "INTEGRITY_FAILED", "NOT_EVALUATED")


def settle(name: str, **fields: Any) -> Callable[[Any], None]:
    def change(document: Any) -> None:
        target = document
        *path, last = name.split("/")
        for part in path:
            target = target[int(part) if part.isdigit() else part]
        target[int(last) if last.isdigit() else last] = fields["to"]

    return change


# Attempts (threat 18).


def drop_events(story: Story, *runs: str) -> None:
    story.events[:] = [event for event in story.events if event[1] not in runs]


def test_an_attempt_left_out_of_the_pack_leaves_a_gap_in_the_numbers() -> None:
    """The log is whole and signed; the pack does not show the first attempt, and says there was none."""

    def hide(story: Story) -> None:
        story.events[:] = [(*event[:3], event[3] and event[1] != LOST) for event in story.events]
        story.documents[PACK]["attempts"] = {"total": 3, "completed": 2, "failed": 1, "abandoned": 0}

    fail(retell(hide), "numbered [2]")


def test_numbers_that_are_not_whole_or_come_twice_are_a_gap() -> None:
    for numbers in ((1, True), (True, 2), (2, 2), (0, 1), (1, 3), (1, "2"), (1, None)):

        def renumber(story: Story, numbers: tuple[Any, Any] = numbers) -> None:
            for event in story.events:
                if event[0] == "run.started" and event[2]["claim_id"] == "C-0001":
                    event[2]["attempt_no"] = numbers[event[1] == RUNS[0]]

        fail(retell(renumber), "not from 1 on without a gap")


def test_the_last_attempts_left_out_contradict_the_event_of_the_export() -> None:
    """Only the last one shown is the export, whose payload says how many attempts there were."""

    def claim_more(story: Story) -> None:
        story.events[-1][2]["claims"]["C-0001"]["attempts"] = 3

    fail(retell(claim_more), "was logged with 3")


@pytest.mark.parametrize(
    "event",
    [
        ("pack.exported", "01JD5ZK3M8Q4V7W9X2Y6T0R1SZ", {"claims": {"C-0001": {"attempts": 2}, "C-0002": {"attempts": 2}}}, True),
        ("pack.refused", "01JD5ZK3M8Q4V7W9X2Y6T0R1SN", {"claims": {"C-0001": {"attempts": 2}, "C-0002": {"attempts": 2}}}, True),
        ("pack.exported", "01JD5ZK3M8Q4V7W9X2Y6T0R1SN", {"claims": {"C-0001": {"attempts": 2}}}, True),
        ("pack.exported", "01JD5ZK3M8Q4V7W9X2Y6T0R1SN", {"claims": {"C-0001": 2, "C-0002": 2}}, True),
        ("pack.exported", "01JD5ZK3M8Q4V7W9X2Y6T0R1SN", {"claims": {"C-0001": {"attempts": 2}, "C-0002": 2}}, True),
        ("pack.exported", "01JD5ZK3M8Q4V7W9X2Y6T0R1SN", {}, True),
    ],
)  # fmt: skip
def test_the_log_must_end_with_the_export_of_this_pack_and_these_claims(event: Any) -> None:
    def replace(story: Story) -> None:
        story.events[-1] = event

    fail(retell(replace), "the last entry of the log is not the export")


@pytest.mark.parametrize("name", ["total", "completed", "failed", "abandoned"])
def test_the_headers_count_of_attempts_is_that_of_the_log(name: str) -> None:
    fail(edit(PACK, lambda pack: pack["attempts"].update({name: 5})), "the log shows")


def test_a_run_that_another_process_found_abandoned_counts_as_abandoned() -> None:
    def end(story: Story) -> None:
        story.events.insert(-1, ("run.ended", LOST, {"outcome": "abandoned"}, True))

    assert check(retell(end)).exit_code == 0


def test_a_run_without_an_end_says_that_it_was_abandoned() -> None:
    def stop(story: Story) -> None:
        story.events.remove(next(event for event in story.events if event[:2] == ("run.ended", RUNS[0])))
        story.documents[MANIFEST]["identity"]["status"] = "abandoned"
        story.documents[PACK]["attempts"].update(completed=1, abandoned=2)

    assert check(retell(stop)).exit_code == 0
    fail(
        retell(lambda story: (stop(story), settle("identity/status", to="done")(story.documents[MANIFEST]))[0]),
        "or outcome",
    )


# Runs.


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("identity/run_id", RUNS[1], "belongs to run"),
        ("identity/prereg_digest", "9" * 64, "names another preregistration than"),
        ("identity/claim_ids", ["C-0002"], "0 starts"),
        ("identity/claim_ids", ["C-0009"], "names another preregistration than C-0009 has"),
        ("identity/attempt_no", 1, "and the log differ in attempt"),
        ("identity/status", "failed", "and the log differ in attempt"),
        ("config/resolved_config", {"seed": 1}, "does not match its digest"),
        ("outputs/items.jsonl", {"sha256": "9" * 64, "bytes": 1}, "does not match its digest"),
    ],
)
def test_a_run_says_of_itself_what_the_log_says(field: str, value: Any, match: str) -> None:
    fail(edit(MANIFEST, settle(field, to=value)), match)


def test_the_preregistration_in_the_log_is_the_one_in_the_manifest() -> None:
    def other(story: Story) -> None:
        next(event for event in story.events if event[1] == RUNS[0])[2]["prereg_digest"] = "9" * 64

    fail(retell(other), "and the log differ in attempt")


def test_a_run_that_was_started_twice_is_refused() -> None:
    def again(story: Story) -> None:
        first = next(event for event in story.events if event[1] == RUNS[0])
        story.events.insert(-1, ("run.started", RUNS[0], {**first[2], "attempt_no": 3}, True))
        story.events[-1][2]["claims"]["C-0001"]["attempts"] = 3
        story.documents[PACK]["attempts"] |= {"total": 5, "completed": 3}

    fail(retell(again), "2 starts of run")


def test_an_output_that_was_withheld_is_no_fault() -> None:
    absent = {"sha256": "9" * 64, "bytes": 1}
    assert check(edit(MANIFEST, settle("outputs/secret.jsonl", to=absent))).exit_code == 0


def test_numbers_of_a_claim_that_a_run_did_not_test_are_refused() -> None:
    path = f"runs/{RUNS[0]}/"
    fail(edit(path + "result.json", settle("claim_id", to="C-0002")), "did not test")
    fail(edit(path + "metrics.json", settle("0/claim_id", to="C-0002")), "did not test")


# Claims, preregistration, policy.


def test_header_and_claims_name_the_same_claims() -> None:
    fail(edit(PACK, settle("claim_ids", to=["C-0001", "C-0003"])), "name different claims")
    fail(edit(CLAIMS, lambda claims: claims.append(claims[0])), "name different claims")
    both = edit(CLAIMS, lambda claims: claims.append(claims[0]))
    pack = {**json.loads(both[PACK]), "claim_ids": ["C-0001", "C-0001", "C-0002"]}
    fail(
        seal({**both, PACK: dump_canonical(pack)}),
        "pack.json and claims.json name different claims, or one of them twice",
    )


def test_a_claim_is_the_one_that_its_digest_names() -> None:
    fail(edit(CLAIMS, settle("0/claim/delta", to=0.01)), "does not match its digest")


def test_no_one_reviews_a_claim_of_their_own() -> None:
    fail(edit(CLAIMS, settle("0/reviewer", to="anna")), "same owner and reviewer")


def test_a_claim_of_whole_numbers_keeps_its_digest() -> None:
    """Canonical JSON writes 1.0 as 1; the product takes the digest over 1.0."""

    def widen(story: Story) -> None:
        claim = story.documents[CLAIMS][0]["claim"]
        fields = {name: value for name, value in claim.items() if name != "sha256"} | {"delta": 1.0}
        claim |= fields | {"sha256": hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()}
        story.documents[PLAN]["claims"][0]["claim_sha256"] = claim["sha256"]
        redigest(story)

    assert check(retell(widen)).exit_code == 0


def test_the_digest_of_a_preregistration_is_over_all_of_it_but_the_digest() -> None:
    plan = tell_story().documents[PLAN]
    without = {name: value for name, value in plan.items() if name != "digest"}
    assert compute_plan_digest(plan) == hash_document(without) == plan["digest"]


def test_a_preregistration_edited_after_it_was_frozen_is_refused() -> None:
    """Threat 19: whoever signs it, the digest in log and manifests is the old one."""
    fail(edit(PLAN, settle("sample_size/n", to=20)), "changed after it was frozen")

    def redo(plan: Any) -> None:
        plan["sample_size"]["n"] = 20
        plan["digest"] = compute_plan_digest(plan)

    fail(edit(PLAN, redo), "names another preregistration than C-0001 has")


def test_the_policy_is_the_one_that_was_preregistered_and_applied() -> None:
    members = genuine_members()
    other = POLICY.replace(b"threshold = 0.30", b"threshold = 0.20")
    fail(seal({**members, "policy/policy.toml": other}), "P-0001 names another policy")
    fail(edit(VERDICT, settle("policy_sha256", to="9" * 64)), "verdict.json names another policy")
    resolved = members["policy/policy.resolved.json"].replace(b'"threshold":0.3', b'"threshold":0.2')
    fail(seal({**members, "policy/policy.resolved.json": resolved}), "is not the resolved policy.toml")


def test_a_policy_that_cannot_be_applied_is_refused() -> None:
    broken = POLICY.replace(b'op = ">="', b'op = "~"')
    story = tell_story()
    digest = hashlib.sha256(broken).hexdigest()
    files = build_files(story)
    plan = json.loads(files[PLAN]) | {"policy_sha256": digest}
    plan["digest"] = compute_plan_digest(plan)
    verdict = json.loads(files[VERDICT]) | {"policy_sha256": digest}
    files |= {"policy/policy.toml": broken, PLAN: dump_canonical(plan), VERDICT: dump_canonical(verdict)}
    found = check(seal(files))
    assert "schema: policy/policy.toml cannot be applied" in name_failure(found)
    assert found.exit_code == 4


# The verdict (threat 20).


def change_result(verdict: Any) -> None:
    verdict["criteria"][-1]["result"] = "DOES_NOT_MEET"


def change_threshold(verdict: Any) -> None:
    verdict["criteria"][-1]["threshold"] = 0.1


@pytest.mark.parametrize(
    "lie",
    [
        settle("overall", to="DOES_NOT_MEET"),
        settle("coverage/evaluated", to=1),
        lambda verdict: verdict["criteria"].pop(),
        lambda verdict: verdict["criteria"].append(verdict["criteria"][0]),
        change_result,
        change_threshold,
    ],
)
def test_a_verdict_that_is_not_what_the_numbers_give_is_refused(lie: Callable[[Any], Any]) -> None:
    def tell(verdict: Any) -> None:
        lie(verdict)

    fail(edit(VERDICT, tell), "verdict.json differs from")


def test_a_verdict_that_leaves_a_criterion_out_is_named() -> None:
    fail(edit(VERDICT, settle("criteria", to=[])), "0 criteria, computed 8")


def test_numbers_changed_under_an_old_verdict_are_refused() -> None:
    path = f"runs/{RUNS[0]}/metrics.json"
    fail(edit(path, lambda rows: rows[0].update(estimate=0.2, ci_low=0.1, ci_high=0.3)), "verdict.json differs from")


def test_a_rerun_taken_away_changes_the_verdict() -> None:
    fail(edit(f"runs/{RUNS[0]}/reruns.json", lambda rows: rows.clear()), "'rerun' states MEETS, computed NOT_EVALUATED")


# Deviations.


def redigest(story: Story) -> None:
    """The plan's digest put right wherever it stands."""
    plan = story.documents[PLAN]
    old, plan["digest"] = plan["digest"], compute_plan_digest(plan)
    for run_id in RUNS:
        story.documents[f"runs/{run_id}/manifest.json"]["identity"]["prereg_digest"] = plan["digest"]
    for event in story.events:
        for name in ("prereg_digest", "digest"):
            if event[2].get(name) == old:
                event[2][name] = plan["digest"]


def row(**said: Any) -> dict[str, Any]:
    return {
        "id": "D-1", "prereg_version": 1, "at": AT, "by": "anna", "field": "stopping_rule", "before": "none", "after": "200 prompts",
        "reason": "too few", "class": "scope", "prior_access": "nothing_run", "approved_by": None, "effect_on_claims": [],
    } | said  # fmt: skip


LATE = {"prior_access": "results_seen", "effect_on_claims": ["C-0001"]}


def amend(story: Story, *rows: dict[str, Any], events: tuple[str, ...] = (), **fields: Any) -> None:
    """A later version of the plan, frozen before the runs, with rows and events as given."""
    plan = story.documents[PLAN]
    plan |= {"version": 1 + len(events), **fields}
    redigest(story)
    frozen = next(at for at, event in enumerate(story.events) if event[0] == "prereg.frozen")
    for event in reversed(events):
        story.events.insert(frozen + 1, (event, "P-0001", {"digest": plan["digest"]}, True))
    story.documents["prereg/deviations.jsonl"] = list(rows)


def amended(*rows: dict[str, Any], events: tuple[str, ...] = (), **fields: Any) -> dict[str, bytes]:
    return retell(lambda story: amend(story, *rows, events=events, **fields))


RULE = {"stopping_rule": "200 prompts"}


def test_an_amendment_says_what_each_version_changed() -> None:
    assert check(amended(row(), events=("prereg.amended",), **RULE)).exit_code == 0
    fail(amended(events=("prereg.amended",), **RULE), "does not state what each version changed")
    fail(amended(row(), events=("prereg.amended",) * 2, **RULE), "does not state what each version changed")
    fail(
        amended(row(), row(prereg_version=2), events=("prereg.amended",), **RULE),
        "does not state what each version changed",
    )
    fail(amended(row(), **RULE), "does not state what each version changed")


def test_what_a_deviation_touches_is_exploratory() -> None:
    """It stands in the pack, the pack is whole, and the claim no longer meets anything by numbers alone."""
    found = check(amended(row(**LATE), events=("prereg.deviated",), **RULE))
    assert (found.exit_code, found.judgement) == (0, "INCONCLUSIVE")
    assert found.documents is not None
    rows = {(one["claim_id"], one["id"]): one for one in found.documents.parsed[VERDICT]["criteria"]}
    assert "deviation: D-1 changed stopping_rule" in rows["C-0001", "prereg_frozen_before_run"]["reason"]
    assert rows["C-0002", "effect"]["result"] == "MEETS"


@pytest.mark.parametrize("access", ["results_not_opened", "results_seen"])
def test_a_plan_fixed_with_results_in_reach_is_exploratory(access: str) -> None:
    found = check(amended(prior_access=access))
    assert (found.exit_code, found.judgement) == (0, "INCONCLUSIVE")
    assert found.documents is not None
    assert "EXPLORATORY" in found.documents.parsed[VERDICT]["criteria"][0]["reason"]


def test_a_deviation_reported_as_an_amendment_contradicts_the_log() -> None:
    fail(
        amended(row(), events=("prereg.deviated",), **RULE),
        "1 changes of a plan in deviations.jsonl, 0 events prereg.amended",
    )
    fail(
        amended(row(**LATE), events=("prereg.amended",), **RULE),
        "0 changes of a plan in deviations.jsonl, 1 events prereg.amended",
    )
    extra = retell(lambda story: story.events.insert(-1, ("prereg.deviated", "P-0001", {}, True)))
    fail(extra, "0 changes of a plan in deviations.jsonl, 1 events prereg.deviated")


def test_what_was_changed_last_is_what_the_preregistration_says() -> None:
    event = ("prereg.amended",)
    fail(
        amended(row(), events=event, stopping_rule="other"),
        "stopping_rule' of P-0001 does not have the value of its last change",
    )
    elsewhere = row(field="claim.delta", before="0.2", after="0.1")
    assert check(amended(elsewhere, events=event)).exit_code == 0
    pinned = row(field="pins.n_prompts", before="30", after="40")
    assert check(amended(pinned, events=event)).exit_code == 0
    fail(
        amended({**pinned, "after": "50"}, events=event),
        "'pins.n_prompts' of P-0001 does not have the value of its last change",
    )
    rows = (row(prereg_version=2, id="D-2", before="200 prompts", after="300 prompts"), row())
    assert check(amended(*rows, events=event * 2, stopping_rule="300 prompts")).exit_code == 0
    fail(
        amended({**rows[0], "before": "100 prompts"}, row(), events=event * 2, stopping_rule="300 prompts"),
        "was not '100 prompts'",
    )


def second_plan(story: Story) -> None:
    """C-0002 preregistered apart, as the product does."""
    first = story.documents[PLAN]
    plan = json.loads(json.dumps(first)) | {"prereg_id": "P-0002", "claims": [first["claims"].pop(1)]}
    redigest(story)
    plan["digest"] = compute_plan_digest(plan)
    story.documents[PLAN] = [first, plan]
    story.documents[f"runs/{RUNS[1]}/manifest.json"]["identity"]["prereg_digest"] = plan["digest"]
    for event in story.events:
        if event[2].get("claim_id") == "C-0002":
            event[2]["prereg_digest"] = plan["digest"]
    story.events.insert(4, ("prereg.frozen", "P-0002", {"digest": plan["digest"]}, True))


def test_claims_may_be_preregistered_apart() -> None:
    found = check(retell(second_plan))
    assert (found.exit_code, found.judgement) == (0, "MEETS_POLICY")


def test_a_run_names_the_preregistration_of_its_own_claim() -> None:
    def swap(story: Story) -> None:
        second_plan(story)
        story.documents[MANIFEST]["identity"]["prereg_digest"] = story.documents[PLAN][1]["digest"]

    fail(retell(swap), "names another preregistration than C-0001 has")


def test_with_several_plans_each_change_says_which_it_is_of() -> None:
    def change(story: Story, **said: Any) -> None:
        second_plan(story)
        story.documents["prereg/deviations.jsonl"] = [row(**said)]

    fail(retell(change), "does not state which preregistration")
    fail(retell(lambda story: change(story, prereg_id="P-0009")), "that is not in the pack")


@pytest.mark.parametrize(
    "change",
    [
        lambda plan: plan["claims"].pop(),
        lambda plan: plan["claims"].append(plan["claims"][0]),
        lambda plan: plan["claims"][0].update(claim_sha256="9" * 64),
    ],
)
def test_preregistration_and_claims_are_about_the_same_claims(change: Callable[[Any], Any]) -> None:
    def apply(story: Story) -> None:
        change(story.documents[PLAN])
        redigest(story)

    fail(retell(apply), "name different claims, or one of them twice")


# Facts.


def facts(change: Callable[[Story], None] = lambda story: None) -> dict[str, Any]:
    story = tell_story()
    change(story)
    return dict(derive_facts(read_documents(build_files(story)))["C-0001"])


def test_the_facts_of_the_genuine_pack() -> None:
    met = {"result": "MEETS", "reason": None}
    assert facts() == {"prereg_frozen_before_run": met, "attempts_disclosed": met, "rerun": met}


def move_freeze(story: Story) -> None:
    frozen = next(event for event in story.events if event[0] == "prereg.frozen")
    story.events.remove(frozen)
    story.events.insert(-1, frozen)


def freeze_another(story: Story) -> None:
    next(event for event in story.events if event[0] == "prereg.frozen")[2]["digest"] = "9" * 64


def other_model(story: Story) -> None:
    story.documents[MANIFEST]["model"]["weights_tree_sha256"] = "9" * 64


def other_prompts(story: Story) -> None:
    story.documents[MANIFEST]["prompts"]["prompt_set_sha256"] = "9" * 64


def start_before(story: Story) -> None:
    started = next(event for event in story.events if event[:2] == ("run.started", RUNS[0]))
    story.events.insert(0, started)


def test_a_plan_that_was_frozen_again_after_a_run_was_frozen_before_it() -> None:
    def freeze_again(story: Story) -> None:
        story.events.insert(-1, next(event for event in story.events if event[0] == "prereg.frozen"))

    assert facts(freeze_again)["prereg_frozen_before_run"]["result"] == "MEETS"


@pytest.mark.parametrize(
    ("change", "result", "match"),
    [
        (lambda story: drop_events(story, "P-0001"), "DOES_NOT_MEET", "no freezing"),
        (start_before, "DOES_NOT_MEET", "before the preregistration was frozen"),
        (freeze_another, "DOES_NOT_MEET", "no freezing"),
        (move_freeze, "DOES_NOT_MEET", "before the preregistration was frozen"),
        (other_model, "DOES_NOT_MEET", "another model"),
        (other_prompts, "DOES_NOT_MEET", "other prompts"),
        (lambda story: drop_events(story, RUNS[0]), "DOES_NOT_MEET", "no start of run"),
    ],
)
def test_a_claim_counts_as_preregistered_only_if_all_was_fixed_before(change: Any, result: str, match: str) -> None:
    fact = facts(change)["prereg_frozen_before_run"]
    assert fact["result"] == result
    assert match in fact["reason"]


def test_a_claim_without_a_run_was_not_tested() -> None:
    def untested(story: Story) -> None:
        story.documents[PACK]["run_ids"] = [RUNS[1]]
        for name in [name for name in story.documents if name.startswith(f"runs/{RUNS[0]}")]:
            del story.documents[name]
        drop_events(story, RUNS[0], LOST)

    found = facts(untested)
    assert {name: fact["result"] for name, fact in found.items()} == {
        "prereg_frozen_before_run": "NOT_EVALUATED", "attempts_disclosed": "NOT_EVALUATED", "rerun": "NOT_EVALUATED",
    }  # fmt: skip


def test_a_claim_that_no_plan_names_was_not_preregistered() -> None:
    documents = read_documents(build_files(tell_story()))
    documents.plans[0]["claims"].pop(0)
    assert "no preregistration" in str(derive_facts(documents)["C-0001"]["prereg_frozen_before_run"]["reason"])


def test_the_export_names_a_whole_number_of_attempts() -> None:
    one = Attempt("C-0001", RUNS[0], 1, 5, "9" * 64, "done")
    assert find_gap([one], "C-0001", 1) is None
    assert find_gap([one], "C-0001", True) is not None


def test_a_gap_in_the_attempts_is_not_disclosed() -> None:
    assert facts(lambda story: drop_events(story, LOST))["attempts_disclosed"]["result"] == "DOES_NOT_MEET"
    assert facts(lambda story: drop_events(story, BROKEN))["attempts_disclosed"]["result"] == "MEETS"


@pytest.mark.parametrize(
    ("rows", "result"),
    [
        ([], "NOT_EVALUATED"),
        ([rerun("DECISION_EQUAL") | {"L0": "NOT_COMPARABLE"}], "NOT_EVALUATED"),
        ([rerun("NOT_EVALUATED")], "NOT_EVALUATED"),
        ([rerun("DECISION_EQUAL"), rerun("DECISION_EQUAL", "OUTSIDE_TOLERANCE")], "MEETS"),
        ([rerun("DECISION_EQUAL"), rerun("DECISION_FLIPPED")], "INCONCLUSIVE"),
        ([rerun("DECISION_FLIPPED"), rerun("DECISION_FLIPPED", "OUTSIDE_TOLERANCE")], "DOES_NOT_MEET"),
        ([rerun("DECISION_FLIPPED", "NOT_EVALUATED")], "DOES_NOT_MEET"),
    ],
)
def test_one_rerun_that_decides_otherwise_outweighs_those_that_agree(rows: list[Any], result: str) -> None:
    def replace(story: Story) -> None:
        story.documents[f"runs/{RUNS[0]}/reruns.json"] = rows

    assert facts(replace)["rerun"]["result"] == result


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([rerun("DECISION_FLIPPED")], "DECISION_FLIPPED"),
        ([rerun("DECISION_EQUAL", "OUTSIDE_TOLERANCE")], "OUTSIDE_TOLERANCE"),
        ([], "DECISION_EQUAL"),
    ],
)
def test_reproduction_is_the_worst_that_any_rerun_found(rows: list[Any], word: str) -> None:
    def replace(story: Story) -> None:
        story.documents[f"runs/{RUNS[0]}/reruns.json"] = rows

    assert check(retell(replace)).reproduction == word


def test_a_pack_of_no_claim_is_undecided() -> None:
    def empty(story: Story) -> None:
        story.documents[CLAIMS] = []
        story.documents[PACK] |= {"claim_ids": [], "run_ids": []}
        story.documents[PACK]["attempts"] = dict.fromkeys(("total", "completed", "failed", "abandoned"), 0)
        for name in [name for name in story.documents if name.startswith("runs/")]:
            del story.documents[name]
        story.events[-1] = (*story.events[-1][:2], {"claims": {}}, True)

    found = check(retell(empty))
    assert (found.exit_code, found.judgement) == (3, "NOT_EVALUATED")


def test_documents_give_the_gate_what_it_needs() -> None:
    found = check(genuine_members()).documents
    assert isinstance(found, Documents)
    assert len(found.metrics) == 4
    assert {claim["claim_id"] for claim in found.claims} == {"C-0001", "C-0002"}
