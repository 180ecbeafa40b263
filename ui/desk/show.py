"""The review desk on the page: briefs of a pack's claims, policy evaluation, decisions, and files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial

import streamlit as st

from audit_core import format_estimate, make_table
from audit_core.calibration import describe_share
from audit_core.evidence import spell
from audit_core.governance import GateRow, Permission
from audit_core.review import Case, CaseFile, ClaimReading, PackReading, measure_agreement
from audit_core.store import DeskDecision
from ui.findings.link import offer_findings
from ui.flow import actions
from ui.log.witnesses import describe_witnesses
from ui.parts.claim_brief import show_all_points, show_brief, show_state
from ui.parts.header import column_widths, counted, plain, show_table, table_with_csv
from ui.parts.sample_mark import name_file
from ui.parts.tabs import lazy_tabs

GATE_COLUMNS = ("row", "claim", "result", "estimate", "interval", "n", "unit", "threshold", "why")
DECISIONS = {
    "approve": "approves",
    "approve_with_conditions": "approves with conditions",
    "reject": "rejects",
    "": "prepared it",
}


def show_none() -> None:
    st.info("Nothing to review yet. Create a pack on the Claims page or upload one.", icon=":material/info:")


def describe_choice(case: Case) -> str:
    """Label of a pack in a list."""
    return f"{', '.join(case.pack.claim_ids)}: {case.state} ({case.pack.root_digest[:12]})"


def show_agreement(cases: Sequence[Case]) -> None:
    """Show the agreement of blind reviews, over every pack with two reviews."""
    found = measure_agreement(cases)
    if found.agreed is None:
        return
    beyond = f"no kappa: {found.reason}" if found.kappa is None else f"Fleiss' κ {format_estimate(found.kappa)}"
    st.markdown(
        f"Two blind reviews agree on {plain(describe_share(found.agreed))} packs. Agreement beyond chance: {plain(beyond)}."
    )


def show_claims(opened: PackReading) -> None:
    """Show each claim, several in tabs: its verdict, interval, what is for and against it, and what was not tested."""
    if len(opened.claims) == 1:
        _show_claim(opened.claims[0], 0)
        return
    tabs = {
        # The state in each title: a claim that failed is seen before its tab is opened.
        plain(f"{claim.claim_id}: {claim.brief.word.text}"): partial(_show_claim, claim, at)
        for at, claim in enumerate(opened.claims)
    }
    lazy_tabs(tabs, key="desk-claims")


def _show_claim(claim: ClaimReading, at: int) -> None:
    st.header(f"{plain(claim.claim_id)}: {plain(spell(claim.brief.title))}", anchor=False)
    with st.container(border=True):
        show_state(claim.brief)
        show_brief(claim.brief, f"-{at}", others="under All points")
        st.markdown(_describe_attempts(claim))
        offer_findings(claim.claim_id)
        box = st.expander("All points", icon=":material/list:", key=f"points-{at}", on_change="rerun")
        if box.open:
            with box:
                show_all_points(claim.brief)


def show_gate(opened: PackReading) -> None:
    """Show the overall result, and every row of the frozen policy behind it."""
    gate = opened.gate
    st.header("Policy evaluation", anchor=False)
    required, evaluated = gate.coverage
    st.markdown(
        f"**{plain(gate.overall.replace('_', ' ').lower())}**: {evaluated} of {required} required rows evaluated, {len(gate.waived)} waived. Policy "
        f"{plain(gate.policy_id)}, SHA-256 {plain(gate.policy_sha256[:12])}. This is a factual finding."
    )
    st.markdown(f"Decisions: {plain(gate.decisions)}.")
    st.markdown(f"Log of the pack: {describe_witnesses(opened.witnesses)}.")
    if opened.verification.authenticity != "SIGNER_VERIFIED":
        st.info(
            "No signer is checked, because the data directory has no trust file that names them. What to do: "
            "`python -m audit_core keys trust --key PERSON:preparer … --out trust.toml`, then put the file into the data directory.",
            icon=":material/info:",
        )
    rows = [describe_row(row) for row in gate.rows]
    with st.expander(f"Every row of the policy ({len(rows)})", icon=":material/rule:"):
        show_gate_rows(rows, "gate")
    table_with_csv(lambda: make_table(GATE_COLUMNS, rows), "The policy's rows", "gate-rows")


def show_limits(opened: PackReading) -> None:
    """Show the limitations that the preparer declares."""
    limits = (*opened.limitations, *opened.not_assessed)
    with st.expander(f"Declared limits ({len(limits)})", icon=":material/info:"):
        st.markdown("".join(f"- {plain(text)}\n" for text in limits))


def show_decisions(opened: CaseFile, viewer: frozenset[str]) -> None:
    """Show the decisions that the viewer may see; other reviews are blind until the viewer has decided."""
    case = opened.case
    st.header("Decisions", anchor=False)
    st.markdown(f"State: **{plain(case.state)}**. Prepared or owned by {plain(', '.join(case.pack.authors))}.")
    seen = case.show_to(viewer)
    if hidden := len(case.decisions) - len(seen):
        st.info(
            f"{counted(hidden, 'review')} hidden until you have given yours.",
            icon=":material/visibility_off:",
        )
    if seen:
        rows = [
            (one.number, one.role, one.person, one.decision.replace("_", " "), one.decided_at, _describe_named(one))
            for one in seen
        ]
        columns = ("number", "role", "person", "decision", "when, UTC", "earlier decisions it names")
        show_table(make_table(columns, rows), key="decisions")


def _describe_named(decision: DeskDecision) -> str:
    """Number of earlier decisions that this signature covers; removing one of them breaks it."""
    named = decision.decisions_seen
    return "not recorded" if named is None else str(len(named))


def show_signers(opened: PackReading) -> None:
    """Show who signed a pack that cannot be decided here."""
    st.header("Signatures", anchor=False)
    for one in opened.signatures:
        checked = "checked with a trusted key" if one.is_checked else "key not checked"
        st.markdown(
            f"- **{plain(one.person)}**, {plain(one.role)}, {plain(DECISIONS.get(one.decision, one.decision))}, "
            f"{plain(one.at[:10])}, {plain(checked)}."
        )


def offer_files(opened: PackReading, *, hidden: Collection[str] = ()) -> None:
    """Offer the report with its signature page, and the pack with its signatures."""
    name = f"{'-'.join(claim.claim_id for claim in opened.claims)[:60]}_{opened.root_digest[:12]}"
    reports: tuple[tuple[str, str, str, Callable[[], bytes]], ...] = (
        ("Report as PDF", "pdf", "application/pdf", lambda: opened.render_pdf(hidden=hidden)),
        ("Report as HTML", "html", "text/html", lambda: opened.render_html(hidden=hidden)),
        (
            "Validation report as PDF",
            "validation.pdf",
            "application/pdf",
            lambda: opened.render_validation("pdf", hidden=hidden),
        ),
        (
            "Validation report as JSON",
            "validation.json",
            "application/json",
            lambda: opened.render_validation("json", hidden=hidden),
        ),
    )
    with st.container(horizontal=True):
        for label, ending, mime, make in reports:
            st.download_button(
                plain(label), data=actions.offer(Permission.LOOK, opened.root_digest, make), file_name=name_file(f"{name}.{ending}"), mime=mime,
                key=f"report-{ending}", icon=":material/description:", on_click="ignore",
            )  # fmt: skip
        st.download_button(
            "Download the pack with its signatures", opened.data, file_name=name_file(f"{name}.evidence.zip"), mime="application/zip",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def _describe_attempts(claim: ClaimReading) -> str:
    counts = claim.attempts
    return (
        f"Attempts: **{counts['total']}**, of which {counts['completed']} completed, {counts['failed']} failed, "
        f"{counts['abandoned']} abandoned. Owner {plain(claim.owner)}, expires {plain(claim.expires_at)}."
    )


def show_gate_rows(rows: Sequence[tuple[str, ...]], key: str) -> None:
    """Show rows of `describe_row`, wide enough for whole intervals."""
    widths = dict(zip(GATE_COLUMNS, (130, 65, 120, 85, 145, 45, 125, 75, 200), strict=True))
    show_table(make_table(GATE_COLUMNS, rows), key=key, lines=3, column_config=column_widths(widths))


def describe_row(row: GateRow) -> tuple[str, ...]:
    """A row of `GATE_COLUMNS`."""

    def show(number: float | None) -> str:
        return "open" if number is None else f"{number:.3f}"

    estimate = "" if row.metric is None else "not measured" if row.estimate is None else show(row.estimate)
    level = "" if row.level is None else f", {row.level:.0%}"
    interval = "" if row.ci_low is None and row.ci_high is None else f"[{show(row.ci_low)}, {show(row.ci_high)}]{level}"
    threshold = "" if row.threshold is None else f"{row.comparator} {row.threshold:g}"
    result = row.result.replace("_", " ").lower() + (
        " (waived)" if row.waiver else "" if row.is_required else " (optional)"
    )
    n = "" if row.n is None else f"{row.n:,}"
    return row.id, row.claim_id or "pack", result, estimate, interval, n, row.unit or "", threshold, row.reason or ""
