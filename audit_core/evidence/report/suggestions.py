"""Suggested findings: what in a pack a person may want to record as a finding, each with its source; none is a finding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from audit_core.evidence.report.brief import find_last_run
from audit_core.evidence.report.pack_view import PackView, as_list, as_table, as_tables
from audit_core.evidence.report.words_for import RESULTS, find_word

_OPEN_RESULTS = ("DOES_NOT_MEET", "INCONCLUSIVE", "NOT_EVALUATED", "INTEGRITY_FAILED")
_OPEN_ASSUMPTIONS = ("doubtful", "not checked")
_LATE = ("results_not_opened", "results_seen")
"""A change of the plan is a deviation only if a result could be seen by then."""
_REMEDIES = {
    "DOES_NOT_MEET": "narrow or withdraw the claim, or change what the result shows and test again",
    "INCONCLUSIVE": "add prompts and test again; the verdict states how many",
    "NOT_EVALUATED": "run the test that this criterion needs",
    "INTEGRITY_FAILED": "find out what changed the evidence before any other step",
}


@dataclass(frozen=True)
class Suggestion:
    """One suggested finding."""

    source: str
    """Part of the pack that it was read from."""
    claim_id: str
    """Empty if it concerns every claim."""
    text: str
    remediation: str


def suggest_findings(pack: PackView) -> tuple[Suggestion, ...]:
    """List what a person may record as a finding; severity, owner and due date are theirs to set."""
    return (
        *_from_criteria(pack),
        *_from_waivers(pack),
        *_from_claims(pack),
        *_from_attempts(pack),
        *_from_deviations(pack),
    )


def _from_criteria(pack: PackView) -> Iterator[Suggestion]:
    for row in as_tables(pack.verdict.get("criteria")):
        result = row.get("result")
        if isinstance(result, str) and result in _OPEN_RESULTS:
            reason = f": {row['reason']}" if row.get("reason") else ""
            text = f"Criterion {row.get('id')}: {find_word(RESULTS, result).text.lower()}{reason}"
            yield Suggestion("verdict/verdict.json", str(row.get("claim_id") or ""), text, _REMEDIES[result])


def _from_waivers(pack: PackView) -> Iterator[Suggestion]:
    for row in as_tables(pack.verdict.get("waived")):
        text = f"Criterion {row.get('criterion')} was waived until {row.get('expires_at')}: {row.get('reason')}"
        yield Suggestion("verdict/verdict.json", "", text, "evaluate the criterion before the waiver ends")


def _from_claims(pack: PackView) -> Iterator[Suggestion]:
    for claim in pack.claims:
        claim_id = str(claim.get("claim_id", ""))
        run = find_last_run(pack, claim_id)
        if run is None:
            yield Suggestion("claims/claims.json", claim_id, "The claim was not tested in this pack", "test the claim")
            continue
        for row in as_tables(as_table(run.result_of(claim_id)).get("identification")):
            if row.get("status") in _OPEN_ASSUMPTIONS:
                text = f"Assumption {row.get('name')}, {row.get('status')}: {row.get('found')}"
                yield Suggestion(
                    f"runs/{run.run_id}/result.json", claim_id, text, "check it, or state the limit with the claim"
                )


def _from_attempts(pack: PackView) -> Iterator[Suggestion]:
    counts = as_table(pack.header.get("attempts"))
    for name in ("failed", "abandoned"):
        number = counts.get(name)
        if isinstance(number, int) and number > 0:
            yield Suggestion(
                "pack.json", "", f"Attempts that were {name}: {number}", "state the reason of each attempt"
            )


def _from_deviations(pack: PackView) -> Iterator[Suggestion]:
    for row in pack.tables("prereg/deviations.jsonl"):
        if row.get("prior_access") not in _LATE:
            continue
        claims = [str(one) for one in as_list(row.get("effect_on_claims"))] or [""]
        for claim_id in claims:
            text = f"Deviation {row.get('id')} from the plan in {row.get('field')}: {row.get('reason')}"
            yield Suggestion("prereg/deviations.jsonl", claim_id, text, "confirm the claim on unopened prompts")
