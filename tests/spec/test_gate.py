"""The gate: what lets a pack pass, what does not, and with which exit code."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from toy.policies import make_claim, make_facts, make_number, read_toy

from audit_core.errors import PolicyRefused
from audit_core.governance.approval import CheckedSignature
from audit_core.governance.gate import (
    EXIT_CODES,
    INTEGRITY_VERIFIED,
    SIGNER_FAILED,
    SIGNER_NOT_CHECKED,
    SIGNER_VERIFIED,
    GateResult,
    PackCheck,
    PackDocuments,
    decide_gate,
)
from audit_core.governance.policy import Policy
from audit_core.governance.waiver import Waiver, load_waivers
from audit_core.verifier.criteria import evaluate_policy

NOW = datetime(2026, 11, 21, tzinfo=UTC)
SIGNED = (
    CheckedSignature("preparer", "Ada", at="2026-11-01T00:00:00Z"),
    CheckedSignature("reviewer", "Ben", "approve", "2026-11-10T00:00:00Z"),
    CheckedSignature("approver", "Cleo", "approve", "2026-11-12T00:00:00Z"),
)
CHECKED = PackCheck(INTEGRITY_VERIFIED, SIGNER_VERIFIED, (), SIGNED)
FOUR_EYES = ('"integrity"', '"integrity", "four_eyes"')
TWO = (
    ('"faithfulness"]', '"faithfulness", "stability"]'),
    ("[criteria.faithfulness]", '[criteria.stability]\nmetric = "core_jaccard"\nop = ">="\nthreshold = 0.6\nbound = "estimate"\n'
     'source = "default"\nwhy = "A toy."\n[criteria.faithfulness]'),
)  # fmt: skip
GOOD, BAD, OPEN = make_number(0.85, 0.95), make_number(0.1, 0.2), make_number(0.7, 0.9)
WAIVER = Waiver("stability", "C-0001", "Cleo", "search is next week", "2026-11-20T00:00:00Z", "2026-12-01T00:00:00Z")


def make_documents(
    *metrics: dict[str, Any], policy: Policy | None = None, claims: list[dict[str, Any]] | None = None, **facts: Any
) -> PackDocuments:
    """A pack whose verdict is what its metrics give."""
    policy, claims = policy or read_toy(), [make_claim()] if claims is None else claims
    known = make_facts(*(claim["claim_id"] for claim in claims), **facts) if claims else {}
    verdict = evaluate_policy(policy.resolved(), claims, list(metrics), known)
    return PackDocuments(claims, list(metrics), known, policy.resolved(), policy.sha256, verdict)


def gate(
    *metrics: dict[str, Any], policy: Policy | None = None, check: PackCheck = CHECKED, waivers: tuple[Waiver, ...] = (), **rest: Any
) -> GateResult:  # fmt: skip
    policy = policy or read_toy()
    return decide_gate(policy, check, make_documents(*metrics, policy=policy, **rest), waivers=waivers, now=NOW)


def find(result: GateResult, name: str) -> Any:
    (row,) = [one for one in result.rows if one.id == name]
    return row


def test_everything_met_and_signed_is_zero() -> None:
    result = gate(GOOD, policy=read_toy(FOUR_EYES))
    assert (result.overall, result.exit_code, result.coverage, result.notes) == ("MEETS", 0, (6, 6), ())


def test_zero_means_met_and_nothing_else_does() -> None:
    assert [result for result, code in EXIT_CODES.items() if code == 0] == ["MEETS"]
    assert EXIT_CODES == {"MEETS": 0, "DOES_NOT_MEET": 1, "INCONCLUSIVE": 3, "NOT_EVALUATED": 3, "INTEGRITY_FAILED": 4}


@pytest.mark.parametrize(
    "metrics, overall, code", [((BAD,), "DOES_NOT_MEET", 1), ((OPEN,), "INCONCLUSIVE", 3), ((), "NOT_EVALUATED", 3)]
)
def test_each_finding_has_its_exit_code(metrics: tuple[dict[str, Any], ...], overall: str, code: int) -> None:
    result = gate(*metrics)
    assert (result.overall, result.exit_code) == (overall, code)


def test_no_claims_are_three_and_never_zero() -> None:
    result = gate(GOOD, claims=[])
    assert (result.overall, result.exit_code) == ("NOT_EVALUATED", 3)
    assert find(result, "evidence").reason == "the pack contains no claim, and no answer under this policy"


def test_a_policy_that_matches_no_claim_is_three_and_never_zero() -> None:
    for scope in ('model = "other"', 'claim_kind = ["transfer"]'):
        policy = read_toy(("[gate]", f"[applies_to]\n{scope}\n[gate]"))
        result = gate(GOOD, policy=policy)
        assert (result.overall, result.exit_code) == ("NOT_EVALUATED", 3)


@pytest.mark.parametrize("metrics, overall, code", [((GOOD,), "NOT_EVALUATED", 3), ((BAD,), "DOES_NOT_MEET", 1)])
def test_an_unchecked_signer_never_passes(metrics: tuple[dict[str, Any], ...], overall: str, code: int) -> None:
    result = gate(*metrics, check=replace(CHECKED, signer=SIGNER_NOT_CHECKED))
    assert (result.overall, result.exit_code) == (overall, code)
    assert find(result, "signer").reason == SIGNER_NOT_CHECKED


@pytest.mark.parametrize(
    "change",
    [{"integrity": "INTEGRITY_FAILED"}, {"integrity": ""}, {"integrity": "verified"}, {"signer": SIGNER_FAILED}, {"signer": "fine"}],
)  # fmt: skip
def test_a_broken_pack_is_four_and_nothing_it_says_is_read(change: dict[str, str]) -> None:
    result = gate(GOOD, check=replace(CHECKED, reasons=("runs/1/metrics.json: digest differs",), **change))
    assert (result.overall, result.exit_code) == ("INTEGRITY_FAILED", 4)
    assert [row.id for row in result.rows] == ["integrity", "signer"]
    assert "digest differs" in "".join(row.reason or "" for row in result.rows)


@pytest.mark.parametrize("open_question", ["the log's key is not in the trust file", ""])
def test_what_the_verifier_left_open_never_passes(open_question: str) -> None:
    result = gate(GOOD, check=replace(CHECKED, undecided=open_question))
    assert (result.overall, result.exit_code) == ("NOT_EVALUATED", 3)
    assert find(result, "verification").reason


def test_a_pack_that_cannot_be_read_is_four() -> None:
    assert decide_gate(read_toy(), CHECKED, None, now=NOW).exit_code == 4


@pytest.mark.parametrize("key, value", [("result", "MEETS"), ("estimate", 0.9), ("ci_low", 0.81), ("threshold", 0.1)])
def test_a_verdict_flipped_and_signed_again_is_four(key: str, value: Any) -> None:
    """The forger holds the preparer's key, so that every digest and signature is right."""
    documents = make_documents(BAD)
    documents.verdict["criteria"][-1][key] = value
    result = decide_gate(read_toy(), CHECKED, documents, now=NOW)
    assert result.exit_code == 4
    assert "verdict.json: criteria" in (find(result, "integrity").reason or "")


@pytest.mark.parametrize(
    "key, value", [("overall", "MEETS"), ("criteria", []), ("coverage", {"required": 0, "evaluated": 0})]
)
def test_a_verdict_with_a_part_changed_or_left_out_is_four(key: str, value: Any) -> None:
    documents = make_documents(BAD)
    assert decide_gate(read_toy(), CHECKED, documents, now=NOW).exit_code == 1
    documents.verdict[key] = value
    assert decide_gate(read_toy(), CHECKED, documents, now=NOW).exit_code == 4
    del documents.verdict[key]
    assert decide_gate(read_toy(), CHECKED, documents, now=NOW).exit_code == 4


def test_documents_in_another_form_are_four() -> None:
    documents = replace(make_documents(GOOD), claims=[{"claim_id": "C-0001"}])
    assert decide_gate(read_toy(), CHECKED, documents, now=NOW).exit_code == 4
    documents = replace(make_documents(GOOD), policy={})
    assert decide_gate(read_toy(), CHECKED, documents, now=NOW).exit_code == 4


def test_the_users_policy_decides_and_a_laxer_one_in_the_pack_is_reported() -> None:
    lax = read_toy(("threshold = 0.80", "threshold = 0.05"))
    documents = make_documents(BAD, policy=lax)
    assert documents.verdict["overall"] == "MEETS"
    result = decide_gate(read_toy(), CHECKED, documents, now=NOW)
    assert result.exit_code == 1
    assert "another policy" in result.notes[0]


def test_four_eyes_are_asked_of_the_signatures_and_not_of_the_pack() -> None:
    policy = read_toy(FOUR_EYES)
    alone = replace(CHECKED, signatures=SIGNED[:1])
    assert gate(GOOD, policy=policy, check=alone, four_eyes={"result": "MEETS"}).exit_code == 3
    same = replace(CHECKED, signatures=(*SIGNED[:1], replace(SIGNED[1], person="Ada"), SIGNED[2]))
    assert gate(GOOD, policy=policy, check=same).exit_code == 1
    assert gate(GOOD, check=alone).exit_code == 0


def test_four_eyes_may_be_optional() -> None:
    policy = read_toy(('"faithfulness"]', '"faithfulness"]\noptional = ["four_eyes"]'))
    result = gate(GOOD, policy=policy, check=replace(CHECKED, signatures=SIGNED[:1]))
    assert (result.exit_code, find(result, "four_eyes").is_required) == (0, False)


@pytest.mark.parametrize("until, code", [("2026-11-21", 0), ("2026-11-20", 3), ("sometime", 3), (None, 0)])
def test_a_claim_past_its_date_is_stale(until: str | None, code: int) -> None:
    """A date ends at midnight UTC after it."""
    result = gate(GOOD, claims=[make_claim(expires_at=until)])
    assert result.exit_code == code
    if code:
        assert "STALE" in find(result, "expiry").reason


def test_an_exploratory_claim_is_three() -> None:
    result = gate(GOOD, prereg_frozen_before_run={"result": "INCONCLUSIVE", "reason": "frozen later"})
    assert (result.overall, result.exit_code) == ("INCONCLUSIVE", 3)


def test_a_waived_row_stays_what_it_is_and_is_counted_apart() -> None:
    policy = read_toy(*TWO)
    assert gate(GOOD, policy=policy).exit_code == 3
    result = gate(GOOD, policy=policy, waivers=(WAIVER,))
    assert (result.overall, result.exit_code) == ("MEETS", 0)
    (row,) = result.waived
    assert (row.id, row.result, row.waiver) == ("stability", "NOT_EVALUATED", WAIVER)
    assert result.coverage == (5, 5)


def test_a_waiver_of_what_is_met_is_not_counted_as_one() -> None:
    rows = (GOOD, make_number(None, None, metric="core_jaccard"))
    assert gate(*rows, policy=read_toy(*TWO), waivers=(WAIVER,)).waived == ()


def test_waiving_every_measurement_leaves_nothing_to_pass() -> None:
    result = gate(BAD, waivers=(replace(WAIVER, criterion="faithfulness"),))
    assert (result.overall, result.exit_code) == ("NOT_EVALUATED", 3)
    assert find(result, "evidence").reason == "every measurement that counts is waived"


def test_an_expired_waiver_waives_nothing_and_is_mentioned() -> None:
    old = replace(WAIVER, given_at="2026-10-01T00:00:00Z", expires_at="2026-10-30T00:00:00Z")
    result = gate(GOOD, policy=read_toy(*TWO), waivers=(old,))
    assert (result.exit_code, result.waived) == (3, ())
    assert "1 waiver expired" in result.notes[0]


@pytest.mark.parametrize("criterion", ["integrity", "prereg_frozen_before_run", "attempts_disclosed", "four_eyes"])
def test_what_may_never_be_waived_is_refused(criterion: str) -> None:
    with pytest.raises(PolicyRefused, match="cannot be waived"):
        gate(GOOD, policy=read_toy(*TWO, FOUR_EYES), waivers=(replace(WAIVER, criterion=criterion),))


@pytest.mark.parametrize(
    "change, says",
    [
        ({"criterion": "stabilty"}, "does not contain"),
        ({"criterion": "applies_to"}, "does not contain"),
        ({"criterion": "signer"}, "does not contain"),
        ({"claim_id": "C-0002"}, "does not contain"),
        ({"by": "ADA"}, "prepared the pack"),
        ({"given_at": "2026-11-22T00:00:00Z"}, "given in the past"),
        ({"expires_at": "2026-12-21T00:00:01Z"}, "at most 30 days"),
        ({"expires_at": "2026-11-20T00:00:00Z"}, "given in the past"),
        ({"expires_at": "2026-12-01T00:00:00"}, "times with a zone"),
        ({"given_at": "yesterday"}, "times with a zone"),
    ],
)
def test_a_waiver_that_may_not_be_given_is_refused(change: dict[str, str], says: str) -> None:
    with pytest.raises(PolicyRefused, match=says):
        gate(GOOD, policy=read_toy(*TWO), waivers=(replace(WAIVER, **change),))


def test_a_waiver_may_last_as_long_as_the_policy_says() -> None:
    whole = replace(WAIVER, expires_at="2026-12-20T00:00:00Z")
    assert gate(GOOD, policy=read_toy(*TWO), waivers=(whole,)).exit_code == 0


def test_more_waivers_than_the_policy_allows_are_refused() -> None:
    two = (WAIVER, replace(WAIVER, criterion="faithfulness"))
    with pytest.raises(PolicyRefused, match="at most 1"):
        gate(BAD, policy=read_toy(*TWO), waivers=two)
    with pytest.raises(PolicyRefused, match="Two waivers"):
        gate(GOOD, policy=read_toy(*TWO, ("max_waivers = 1", "max_waivers = 2")), waivers=(WAIVER, WAIVER))
    none = read_toy(*TWO, ("max_waivers = 1", "max_waivers = 0"))
    with pytest.raises(PolicyRefused, match="at most 0"):
        gate(GOOD, policy=none, waivers=(WAIVER,))


def test_waivers_are_read_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "waivers.toml"
    fields = "\n".join(f'{name} = "{value}"' for name, value in WAIVER.to_json().items())
    path.write_text(f'schema = "assay/waivers/1"\n[[waivers]]\n{fields}\n')
    assert load_waivers(path) == (WAIVER,)
    bare = fields.replace('"2026-12-01T00:00:00Z"', "2026-12-01T00:00:00Z")
    path.write_text(f'schema = "assay/waivers/1"\n[[waivers]]\n{bare}\n')
    assert load_waivers(path)[0].expires_at == "2026-12-01T00:00:00+00:00"


@pytest.mark.parametrize(
    "text, says",
    [
        ("schema = ", "not TOML"),
        ("", "contains nothing"),
        ('schema = "assay/waivers/1"', "write both"),
        ('schema = "assay/waivers/2"\nwaivers = []', "write both"),
        ('schema = "assay/waivers/1"\nwaivers = [1]', "other fields"),
        ('schema = "assay/waivers/1"\n[[waivers]]\ncriterion = "x"', "other fields"),
        ('schema = "assay/waivers/1"\n[[waivers]]\ncriterion = ""\nclaim_id = "a"\nby = "b"\nreason = "c"\ngiven_at = "d"\nexpires_at = "e"', "empty field"),
    ],
)  # fmt: skip
def test_a_file_of_waivers_in_another_form_is_refused(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "w.toml").write_text(text)
    with pytest.raises(PolicyRefused, match=says):
        load_waivers(tmp_path / "w.toml")
    with pytest.raises(PolicyRefused, match="No file"):
        load_waivers(tmp_path / "none.toml")
