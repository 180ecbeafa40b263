"""Portfolio of all models: gate results, untested and stale claims, and trends of the key figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from audit_core.governance.kpi import KeyFigure, list_process_figures
from audit_core.home.claim_status import ClaimStatus, ClaimSummary
from audit_core.home.home_records import HomeFacts
from audit_core.review.case_file import CaseFile
from audit_core.verifier.criteria import NOT_EVALUATED, find_worst

CLOSED = (ClaimStatus.WITHDRAWN,)


@dataclass(frozen=True)
class ModelLine:
    """One model of the portfolio, identified by the digest that its claims are pinned to."""

    model: str
    """Name that opens the model."""
    model_digest: str
    claims: int
    by_standing: Mapping[ClaimStatus, int]
    gate: str
    """Worst gate result of the packs in use; NOT_EVALUATED where a claim is in none."""
    why: str
    """Why the model does not meet its policy; empty where it does."""
    packs: int
    desk: tuple[str, ...]
    """Review state of each pack in use."""


@dataclass(frozen=True)
class Trend:
    """One key figure over time."""

    figure: KeyFigure
    """The current value."""
    values: tuple[float | None, ...]
    """One value per moment; None where it could not be counted."""


def list_models(claims: Sequence[ClaimSummary], cases: Sequence[CaseFile]) -> tuple[ModelLine, ...]:
    """One line per model with claims.

    Args:
        cases: opened packs of the desk, newest first; of several about one claim, the newest is in use.
    """
    digests = list(dict.fromkeys(one.model_digest for one in claims))
    return tuple(_read_line([one for one in claims if one.model_digest == digest], cases) for digest in digests)


def follow_figures(facts: HomeFacts, moments: Sequence[datetime]) -> tuple[Trend, ...]:
    """Every key figure of the process, with its value at each moment.

    Args:
        moments: oldest first, the last one now; each with a time zone.
    """
    then = [list_process_figures(facts.list_records(moment), now=moment) for moment in moments[:-1]]
    now = list_process_figures(facts.list_records(), now=moments[-1])
    return tuple(
        Trend(figure, (*(rows[number].value for rows in then), figure.value)) for number, figure in enumerate(now)
    )


def _read_line(claims: Sequence[ClaimSummary], cases: Sequence[CaseFile]) -> ModelLine:
    active = [one for one in claims if one.standing not in CLOSED]
    in_use: dict[str, CaseFile] = {}
    for claim in active:
        found = next((case for case in cases if claim.claim_id in case.case.pack.claim_ids), None)
        if found is not None:
            in_use[claim.claim_id] = found
    packs = {case.case.pack.root_digest: case for case in in_use.values()}
    missing = [one.claim_id for one in active if one.claim_id not in in_use]
    stale = [one.claim_id for one in active if one.standing is ClaimStatus.STALE]
    reasons = [_explain(case) for case in packs.values() if case.gate.exit_code]
    reasons += [f"no pack on the desk: {', '.join(missing)}"] if missing else []
    reasons += [f"stale: {', '.join(stale)}"] if stale else []
    results = [case.gate.overall for case in packs.values()] + [NOT_EVALUATED] * bool(missing or stale or not active)
    return ModelLine(
        claims[0].model,
        claims[0].model_digest,
        len(claims),
        Counter(one.standing for one in claims),
        find_worst(results),
        "; ".join(reasons) or ("" if active else "every claim was withdrawn"),
        len(packs),
        tuple(case.case.state for case in packs.values()),
    )


def _explain(case: CaseFile) -> str:
    """Why a pack does not meet its policy: its claims, the result, and the first row behind it."""
    overall = case.gate.overall
    rows = [row for row in case.gate.rows if row.counts and row.result == overall]
    first = "" if not rows else f": {rows[0].id.replace('_', ' ')}" + (f", {rows[0].reason}" if rows[0].reason else "")
    more = f", and {len(rows) - 1} more" if len(rows) > 1 else ""
    return f"{', '.join(case.case.pack.claim_ids)} {overall.replace('_', ' ').lower()}{first}{more}"
