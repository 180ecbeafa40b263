"""All models at once: which may ship under their policy, what is untested or stale, and how the key figures have moved."""

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
    """One model of the portfolio, by the digest that its claims are pinned to."""

    model: str
    """The name it is opened by."""
    model_digest: str
    claims: int
    by_standing: Mapping[ClaimStatus, int]
    gate: str
    """Worst of what the gate says of each pack in use; NOT_EVALUATED where a claim is in none."""
    why: str
    """What keeps it from meeting its policy; empty where it does."""
    packs: int
    desk: tuple[str, ...]
    """State of each pack in use at the review desk."""


@dataclass(frozen=True)
class Trend:
    """One key figure at several moments."""

    figure: KeyFigure
    """As it is now."""
    values: tuple[float | None, ...]
    """One a moment; None where it could not be counted then."""


def list_models(standings: Sequence[ClaimSummary], cases: Sequence[CaseFile]) -> tuple[ModelLine, ...]:
    """One line a model with claims.

    Args:
        cases: packs on the desk, the newest first, opened; of several about one claim the newest is in use.
    """
    digests = list(dict.fromkeys(one.model_digest for one in standings))
    return tuple(_read_line([one for one in standings if one.model_digest == digest], cases) for digest in digests)


def follow_figures(facts: HomeFacts, moments: Sequence[datetime]) -> tuple[Trend, ...]:
    """Every key figure of the process, and what it was at each moment.

    Args:
        moments: oldest first, the last one now; each with a time zone.
    """
    then = [list_process_figures(facts.list_records(moment), now=moment) for moment in moments[:-1]]
    now = list_process_figures(facts.list_records(), now=moments[-1])
    return tuple(
        Trend(figure, (*(rows[number].value for rows in then), figure.value)) for number, figure in enumerate(now)
    )


def _read_line(claims: Sequence[ClaimSummary], cases: Sequence[CaseFile]) -> ModelLine:
    standing = [one for one in claims if one.standing not in CLOSED]
    in_use: dict[str, CaseFile] = {}
    for claim in standing:
        found = next((case for case in cases if claim.claim_id in case.case.pack.claim_ids), None)
        if found is not None:
            in_use[claim.claim_id] = found
    packs = {case.case.pack.root_digest: case for case in in_use.values()}
    missing = [one.claim_id for one in standing if one.claim_id not in in_use]
    stale = [one.claim_id for one in standing if one.standing is ClaimStatus.STALE]
    reasons = [f"{case.gate.overall.replace('_', ' ').lower()}: pack {digest[:12]}" for digest, case in packs.items() if case.gate.exit_code]  # fmt: skip
    reasons += [f"no pack on the desk: {', '.join(missing)}"] if missing else []
    reasons += [f"stale: {', '.join(stale)}"] if stale else []
    results = [case.gate.overall for case in packs.values()] + [NOT_EVALUATED] * bool(missing or stale or not standing)
    return ModelLine(
        claims[0].model,
        claims[0].model_digest,
        len(claims),
        Counter(one.standing for one in claims),
        find_worst(results),
        "; ".join(reasons) or ("" if standing else "every claim was withdrawn"),
        len(packs),
        tuple(case.case.state for case in packs.values()),
    )
