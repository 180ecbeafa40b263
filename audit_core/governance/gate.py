"""The gate: one decision from the verifier's findings, the policy's criteria, the approvals and the waivers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from audit_core.governance.approval import CheckedSignature, judge_four_eyes, parse_time
from audit_core.governance.latest import DeskRecord, describe_record, name_decisions
from audit_core.governance.policy import Policy
from audit_core.governance.waiver import Waiver, select_waivers
from audit_core.verifier.criteria import (
    DOES_NOT_MEET,
    INCONCLUSIVE,
    INTEGRITY_FAILED,
    MEETS,
    NOT_EVALUATED,
    DocumentsMalformed,
    evaluate_policy,
    find_worst,
    is_required,
    list_answer_rows,
)
from audit_core.verifier.policy_table import PolicyMalformed

EXIT_CODES = {MEETS: 0, DOES_NOT_MEET: 1, INCONCLUSIVE: 3, NOT_EVALUATED: 3, INTEGRITY_FAILED: 4}
INTEGRITY_VERIFIED = "INTEGRITY_VERIFIED"
SIGNER_VERIFIED, SIGNER_NOT_CHECKED, SIGNER_FAILED = "SIGNER_VERIFIED", "SIGNER_NOT_CHECKED", "SIGNER_FAILED"
_SIGNER_RESULTS = {SIGNER_VERIFIED: MEETS, SIGNER_NOT_CHECKED: NOT_EVALUATED}


@dataclass(frozen=True)
class PackCheck:
    """A verifier's findings on a pack; any value that is not listed here counts as a failure."""

    integrity: str
    """INTEGRITY_VERIFIED or INTEGRITY_FAILED."""
    signer: str
    """SIGNER_VERIFIED, SIGNER_NOT_CHECKED (no trust file, or an unknown key) or SIGNER_FAILED."""
    reasons: tuple[str, ...] = ()
    signatures: tuple[CheckedSignature, ...] = ()
    undecided: str | None = None
    """A requested check that the verifier could not make, such as the log's own signature; None where there is none."""
    decisions: tuple[str, ...] = ()
    """SHA-256 of each signed decision in the pack, whether or not its signature counts."""
    missing: tuple[str, ...] = ()
    """One sentence for each decision that a counted signature names and the pack lacks."""
    silent: tuple[str, ...] = ()
    """Signers who did not name the decisions they saw."""


@dataclass(frozen=True, eq=False)
class PackDocuments:
    """A pack's documents, parsed strictly after their digests were checked."""

    claims: list[dict[str, Any]]
    metrics: list[dict[str, Any]]
    facts: dict[str, Any]
    """Per claim, derived from the pack's documents by the verifier."""
    policy: dict[str, Any]
    """The pack's own policy, under which its verdict was reached."""
    policy_sha256: str
    """Of the pack's policy file."""
    verdict: dict[str, Any]
    """The pack's `verdict.json`, compared with a recomputed one."""
    answers: list[dict[str, Any]] = field(default_factory=list)
    """Results of audits without a claim, each with what the log says of its question; see `derive_answers`."""


@dataclass(frozen=True)
class GateRow:
    """One criterion of one claim, or of the whole pack."""

    id: str
    claim_id: str | None
    result: str
    reason: str | None
    is_required: bool = True
    metric: str | None = None
    comparator: str | None = None
    threshold: float | None = None
    estimate: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int | None = None
    n_required: int | None = None
    unit: str | None = None
    level: float | None = None
    """Lowest confidence level among the intervals behind the number."""
    waiver: Waiver | None = None

    @property
    def counts(self) -> bool:
        return self.is_required and self.waiver is None


@dataclass(frozen=True)
class GateResult:
    """The decision with every row behind it."""

    rows: tuple[GateRow, ...]
    overall: str
    exit_code: int
    policy_id: str
    policy_sha256: str
    notes: tuple[str, ...]
    """Remarks for the reader that belong to no row."""
    decisions: str = ""
    """Signed decisions in the pack, compared with those that this installation's desk recorded."""

    @property
    def waived(self) -> tuple[GateRow, ...]:
        return tuple(row for row in self.rows if row.waiver is not None)

    @property
    def coverage(self) -> tuple[int, int]:
        """Number of required rows, and of those that were evaluated; neither counts waived rows."""
        counted = [row for row in self.rows if row.counts]
        return len(counted), sum(row.result != NOT_EVALUATED for row in counted)


def decide_gate(
    policy: Policy,
    check: PackCheck,
    documents: PackDocuments | None,
    *,
    waivers: Sequence[Waiver] = (),
    now: datetime,
    desk: DeskRecord | None = None,
) -> GateResult:
    """Decide on one pack.

    Args:
        policy: the caller's policy, not the pack's.
        documents: None where the pack could not be read.
        now: by the gate's clock, with a time zone.
        desk: decisions that this installation recorded; None where it does not know the pack.

    Raises:
        PolicyRefused: a waiver is not allowed; see `select_waivers`.
    """
    integrity = MEETS if check.integrity == INTEGRITY_VERIFIED and documents is not None else INTEGRITY_FAILED
    signer = _SIGNER_RESULTS.get(check.signer, INTEGRITY_FAILED)
    why = "; ".join(check.reasons)
    rows = [
        GateRow("integrity", None, integrity, None if integrity == MEETS else why or "the pack could not be checked"),
        GateRow("signer", None, signer, None if signer == MEETS else why or check.signer),
    ]
    if check.undecided is not None:
        rows.append(GateRow("verification", None, NOT_EVALUATED, check.undecided or "the verifier left a check undone"))
    if documents is None or INTEGRITY_FAILED in (integrity, signer):
        # The numbers of a pack that failed verification are not evaluated.
        return _conclude(policy, rows, ())
    try:
        forged = _find_forgery(documents)
        found = _evaluate(policy.resolved(), documents)
    except (DocumentsMalformed, PolicyMalformed) as error:
        return _conclude(policy, [replace(rows[0], result=INTEGRITY_FAILED, reason=str(error)[:300]), *rows[1:]], ())
    if forged:
        return _conclude(policy, [replace(rows[0], result=INTEGRITY_FAILED, reason=forged), *rows[1:]], ())
    if "four_eyes" in (*policy.required, *policy.optional):
        result, reason = judge_four_eyes(policy, check.signatures, now)
        rows.append(GateRow("four_eyes", None, result, reason, "four_eyes" in policy.required))
    rows += _find_missing_decisions(policy, check, desk)
    numbers = [
        row
        for one in documents.answers
        for rows_of in list_answer_rows(policy.resolved(), one).values()
        for row in rows_of
    ]
    rows += [_read_row(policy, row, [*documents.metrics, *numbers]) for row in found["criteria"]]
    rows += _find_expired(documents.claims, now)
    preparers = [signature.person for signature in check.signatures if signature.role == "preparer"]
    judged = {row["claim_id"] for row in found["criteria"]}
    claim_ids = [claim["claim_id"] for claim in documents.claims]
    claim_ids += [one["run_id"] for one in documents.answers if one["run_id"] in judged]
    in_force = select_waivers(policy, waivers, claim_ids=claim_ids, preparers=preparers, now=now)
    rows = _mark_waived(rows, in_force)
    found_notes = _note(policy, documents, waivers, in_force)
    decided = _conclude(policy, [*rows, *_find_unmeasured(rows, claim_ids)], found_notes)
    return replace(decided, decisions=_describe_decisions(check, desk))


def _evaluate(policy: dict[str, Any], documents: PackDocuments) -> dict[str, Any]:
    return evaluate_policy(policy, documents.claims, documents.metrics, documents.facts, documents.answers)


def _find_missing_decisions(policy: Policy, check: PackCheck, desk: DeskRecord | None) -> list[GateRow]:
    """A row where a signature names a missing decision, and one where the desk has a decision that this copy lacks."""
    rows = []
    if check.missing:
        rows.append(GateRow("decisions", None, DOES_NOT_MEET, "; ".join(check.missing)))
    if desk is not None and (missing := desk.find_missing(check.decisions)):
        reason = f"this copy lacks {name_decisions(missing)}; get the latest with `desk out`"
        # Under a policy without approvals, a later decision does not change the result.
        rows.append(GateRow("desk", None, DOES_NOT_MEET, reason, "four_eyes" in policy.required))
    return rows


def _describe_decisions(check: PackCheck, desk: DeskRecord | None) -> str:
    count = len(check.decisions)
    parts = [f"{count} signed decision{'s' * (count != 1)} in the pack", describe_record(desk, check.decisions)]
    if check.silent:
        parts.append(f"{', '.join(check.silent)} did not name the decisions they saw: an earlier one could be missing")
    return "; ".join(parts)


def _find_forgery(documents: PackDocuments) -> str | None:
    """Why the pack's verdict differs from the one recomputed from its metrics and policy; None where they are equal."""
    again = _evaluate(documents.policy, documents)
    for key in ("criteria", "overall", "coverage"):
        if documents.verdict.get(key) != again[key]:
            return f"verdict.json: {key} differs from the one recomputed from the pack's metrics and policy"
    return None


def _read_row(policy: Policy, row: Mapping[str, Any], metrics: Sequence[Mapping[str, Any]]) -> GateRow:
    of = (row["claim_id"], row["metric"])
    behind = [one for one in metrics if (one.get("claim_id"), one.get("metric")) == of]
    unit = next((one["unit"] for one in behind if isinstance(one.get("unit"), str)), None)
    levels = [one["ci_level"] for one in behind if isinstance(one.get("ci_level"), float)]
    level = min(levels) if levels and row["ci_low"] is not None else None
    return GateRow(**row, unit=unit, level=level, is_required=is_required(policy.resolved(), row["id"]))


def _find_expired(claims: Sequence[Mapping[str, Any]], now: datetime) -> list[GateRow]:
    """Rows of claims whose revalidation is due, or whose date is invalid."""
    rows = []
    for claim in claims:
        due = claim.get("expires_at")
        until = parse_time(due)
        if due is not None and (until is None or until <= now):
            why = f"STALE: revalidation was due {str(due)[:30]}"
            rows.append(GateRow("expiry", claim["claim_id"], NOT_EVALUATED, why))
    return rows


def _mark_waived(rows: Sequence[GateRow], in_force: Sequence[Waiver]) -> list[GateRow]:
    by_row = {(waiver.criterion, waiver.claim_id): waiver for waiver in in_force}
    return [
        replace(row, waiver=by_row.get((row.id, row.claim_id or ""))) if row.result != MEETS else row for row in rows
    ]


def _find_unmeasured(rows: Sequence[GateRow], claim_ids: Sequence[str]) -> list[GateRow]:
    """A row for each claim or answer whose measurements are all waived, and one where the pack has neither."""
    measured = {row.claim_id for row in rows if row.metric is not None and row.counts}
    known = {row.claim_id for row in rows if row.id == "applies_to"}
    left = [
        GateRow("evidence", claim_id, NOT_EVALUATED, "every measurement that counts is waived")
        for claim_id in claim_ids
        if claim_id not in measured and claim_id not in known
    ]
    return (
        left
        if claim_ids
        else [GateRow("evidence", None, NOT_EVALUATED, "the pack contains no claim, and no answer under this policy")]
    )


def _note(
    policy: Policy, documents: PackDocuments, waivers: Sequence[Waiver], standing: Sequence[Waiver]
) -> tuple[str, ...]:
    notes = []
    if documents.policy_sha256 != policy.sha256:
        notes.append(
            f"The pack was prepared under another policy (sha256 {documents.policy_sha256[:12]}): "
            "the thresholds applied here are not those recorded before its run."
        )
    if expired := len(waivers) - len(standing):
        notes.append(f"{expired} waiver{'s' * (expired != 1)} expired and not applied.")
    return tuple(notes)


def _conclude(policy: Policy, rows: Sequence[GateRow], notes: tuple[str, ...]) -> GateResult:
    overall = find_worst(row.result for row in rows if row.counts)
    return GateResult(tuple(rows), overall, EXIT_CODES[overall], policy.id, policy.sha256, notes)
