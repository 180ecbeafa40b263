"""The review desk on the page: claims of a pack, policy evaluation, decisions, and files."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from audit_core import format_estimate, make_table
from audit_core.calibration import describe_share
from audit_core.governance import GateRow
from audit_core.review import Case, CaseFile, ClaimReading, measure_agreement
from audit_core.store import DeskDecision
from ui.parts.header import plain, show_table, table_with_csv
from ui.parts.sample_mark import name_file

_NOTHING = "no recorded evidence (only measured checks are listed)"


GATE_COLUMNS = ("row", "claim", "result", "estimate", "interval", "n", "unit", "threshold", "why")


def show_none() -> None:
    st.info(
        "There is no pack here. Write one on the Claims page and put it on the desk, or add a file above.",
        icon=":material/info:",
    )


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


def show_claims(opened: CaseFile) -> None:
    """Show each claim with its finding, the evidence against it, and its attempts."""
    for claim in opened.claims:
        st.header(plain(claim.claim_id), anchor=False)
        with st.container(border=True):
            st.markdown(plain(claim.statement))
            st.markdown(f"**Finding:** {plain(claim.sentence) or 'no run has a result'}")
            st.markdown(f"**Against:** {_list(claim.speaks_against) or _NOTHING}")
            st.markdown(_describe_attempts(claim))


def show_gate(opened: CaseFile) -> None:
    """Show every row of the frozen policy, evaluated with the current signatures."""
    gate = opened.gate
    st.header("Policy evaluation", anchor=False)
    required, evaluated = gate.coverage
    st.markdown(
        f"**{plain(gate.overall.replace('_', ' ').lower())}**: {evaluated} of {required} required rows evaluated, {len(gate.waived)} waived. Policy "
        f"{plain(gate.policy_id)}, SHA-256 {plain(gate.policy_sha256[:12])}. This is a factual finding."
    )
    st.markdown(f"Decisions: {plain(gate.decisions)}.")
    if opened.verification.authenticity != "SIGNER_VERIFIED":
        st.info(
            "No signer is checked, because the data directory has no trust file. What to do: "
            "`python -m audit_core keys trust --key PERSON:preparer … --out trust.toml`, then put the file into the data directory.",
            icon=":material/info:",
        )
    rows = [describe_row(row) for row in gate.rows]
    show_gate_rows(rows, "gate")
    table_with_csv(lambda: make_table(GATE_COLUMNS, rows), "The policy's rows", "gate-rows")


def show_limits(opened: CaseFile) -> None:
    """Show the limitations that the preparer declares."""
    st.header("What was not shown", anchor=False)
    st.markdown("".join(f"- {plain(text)}\n" for text in (*opened.limitations, *opened.not_assessed)))


def show_decisions(opened: CaseFile, viewer: frozenset[str]) -> None:
    """Show the decisions that the viewer may see; other reviews are blind until the viewer has decided."""
    case = opened.case
    st.header("Decisions", anchor=False)
    st.markdown(f"State: **{plain(case.state)}**. Prepared or owned by {plain(', '.join(case.pack.authors))}.")
    seen = case.show_to(viewer)
    if hidden := len(case.decisions) - len(seen):
        st.info(
            f"{hidden} review{'s' * (hidden != 1)} hidden until you have given yours.",
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


def offer_files(opened: CaseFile) -> None:
    """Offer the pack with its signatures, and its report."""
    name = f"{'-'.join(opened.case.pack.claim_ids)[:60]}_{opened.case.pack.root_digest[:12]}"
    with st.container(horizontal=True):
        st.download_button(
            "Download the pack with its signatures", opened.data, file_name=name_file(f"{name}.evidence.zip"), mime="application/zip",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        if opened.report is not None:
            st.download_button(
                "Download its report", opened.report, file_name=name_file(f"{name}.html"), mime="text/html", icon=":material/description:",
                on_click="ignore",
            )  # fmt: skip


def _describe_attempts(claim: ClaimReading) -> str:
    counts = claim.attempts
    return (
        f"Attempts: **{counts['total']}**, of which {counts['completed']} completed, {counts['failed']} failed, "
        f"{counts['abandoned']} abandoned. Owner {plain(claim.owner)}, expires {plain(claim.expires_at)}."
    )


def show_gate_rows(rows: Sequence[tuple[str, ...]], key: str) -> None:
    """Show rows of `describe_row`, wide enough for whole intervals."""
    wide = {"interval": st.column_config.Column(width=170), "why": st.column_config.Column(width="large")}
    show_table(make_table(GATE_COLUMNS, rows), key=key, column_config=wide)


def describe_row(row: GateRow) -> tuple[str, ...]:
    """A row of `GATE_COLUMNS`."""

    def show(number: float | None) -> str:
        return "open" if number is None else f"{number:.3f}"

    estimate = "" if row.metric is None else "not measured" if row.estimate is None else show(row.estimate)
    level = "" if row.level is None else f", {row.level:.0%}"
    interval = "" if row.ci_low is None and row.ci_high is None else f"[{show(row.ci_low)}, {show(row.ci_high)}]{level}"
    threshold = "" if row.threshold is None else f"{row.comparator} {row.threshold:g}"
    result = row.result + (" (waived)" if row.waiver else "" if row.is_required else " (optional)")
    n = "" if row.n is None else f"{row.n:,}"
    return row.id, row.claim_id or "pack", result, estimate, interval, n, row.unit or "", threshold, row.reason or ""


def _list(lines: Sequence[str]) -> str:
    return "".join(f"\n- {plain(line)}" for line in lines)
