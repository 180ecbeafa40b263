"""The overview on one printed page: claims of each model by state, open work, and the state of the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from audit_core.evidence.canonical import hash_document
from audit_core.evidence.report.blocks import (
    Block,
    Bullets,
    Facts,
    Line,
    Paragraph,
    Report,
    Seal,
    Section,
    Table,
    line,
    theirs,
)

MOST_MODELS, MOST_OPEN = 8, 6
"""Rows that fit on one page; the page states how many are left out."""
LONGEST = 90
"""Characters of a name or a statement."""


@dataclass(frozen=True, kw_only=True)
class OverviewModel:
    """One model of the portfolio."""

    model: str
    policy: str
    """Whether its packs meet the policy, in words."""
    by_state: Mapping[str, int]
    """State of a claim → number of claims."""


@dataclass(frozen=True, kw_only=True)
class OverviewClaim:
    """A claim that needs an action."""

    statement: str
    state: str
    why: str


@dataclass(frozen=True, kw_only=True)
class OverviewFacts:
    """Everything on the printed overview."""

    made_at: str
    """RFC 3339 time."""
    states: tuple[str, ...]
    """All states of a claim, in order."""
    models: tuple[OverviewModel, ...]
    open_claims: tuple[OverviewClaim, ...]
    n_claims: int
    unconfirmed_entries: int
    """Newest log entries that no checkpoint outside this installation covers."""
    is_sample: bool = False


def render_overview(facts: OverviewFacts) -> bytes:
    """Return the overview as a PDF of one page."""
    # Pages import this module at every start; the PDF library is needed at a press.
    from audit_core.evidence.report.pdf import write_pdf

    return write_pdf(build_overview(facts))


def build_overview(facts: OverviewFacts) -> Report:
    """Arrange the overview as a report; texts of models and claims are marked as theirs."""
    kind = "Sample organisation: audit overview" if facts.is_sample else "Audit overview"
    met = sum(model.policy == "met" for model in facts.models)
    summary = Facts(
        (
            ("Made at", line(facts.made_at)),
            ("Models that meet their policy", line(f"{met} of {len(facts.models)}")),
            ("Claims that need an action", line(f"{len(facts.open_claims)} of {facts.n_claims}")),
            ("Log entries not yet confirmed outside", line(f"{facts.unconfirmed_entries:,}")),
        )
    )
    reading = (
        "A state compares a measured interval with the smallest effect that counts. It is no probability and no assurance. "
        "The claim's report has the numbers."
    )
    tables: tuple[Block, ...] = (
        _tabulate(facts),
        *_say_rest(len(facts.models), MOST_MODELS, "models"),
        Paragraph(line(reading)),
    )
    sections = (
        Section("claims", "Claims by model and state", tables),
        Section("open", "Claims that need an action", _list_open(facts)),
    )
    digest = hash_document(
        {
            "made_at": facts.made_at,
            "models": [[m.model, m.policy, dict(m.by_state)] for m in facts.models],
            "open": [[c.statement, c.state, c.why] for c in facts.open_claims],
            "entries": facts.unconfirmed_entries,
        }
    )
    return Report(
        kind,
        line("Portfolio of audited models"),
        summary,
        Seal("SHA-256 of the counts on this page", digest),
        sections,
        facts.made_at,
    )


def _tabulate(facts: OverviewFacts) -> Table:
    """Numbers of claims; a state that no model has is left out, because eight columns break their titles."""
    states = [state for state in facts.states if any(model.by_state.get(state) for model in facts.models)]
    rows: list[tuple[Line, ...]] = [
        (
            line(theirs(clip(model.model, LONGEST // 2))), line(model.policy),
            *(line(str(model.by_state.get(state, 0) or "–")) for state in states),
        )
        for model in facts.models[:MOST_MODELS]
    ]  # fmt: skip
    columns = ("model", "policy", *states)
    return Table("Number of claims", columns, tuple(rows), tuple(range(2, len(columns))), (6, 3, *(3 for _ in states)))


def _list_open(facts: OverviewFacts) -> tuple[Paragraph | Bullets, ...]:
    if not facts.open_claims:
        return (Paragraph(line("None.")),)
    items = tuple(
        line(
            f"{claim.state}: ",
            theirs(clip(claim.statement, LONGEST)),
            *((" (", theirs(clip(claim.why, LONGEST)), ")") if claim.why else ()),
        )
        for claim in facts.open_claims[:MOST_OPEN]
    )
    return (Bullets(items), *_say_rest(len(facts.open_claims), MOST_OPEN, "claims"))


def clip(text: str, letters: int) -> str:
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def _say_rest(n: int, most: int, what: str) -> tuple[Paragraph, ...]:
    return (Paragraph(line(f"{n - most} more {what} are on the page Overview.")),) if n > most else ()
