"""The review desk on the page: what a pack says, what a policy says of it, who decided, and the files."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from audit_core import format_estimate, make_table
from audit_core.calibration import describe_share
from audit_core.governance import GateRow
from audit_core.review import Case, CaseFile, ClaimReading, measure_agreement
from audit_core.store import DeskDecision
from ui.parts.header import plain, show_table, table_with_csv

_NEVER = "nothing that was recorded; what was not asked is not in here"


GATE_COLUMNS = ("row", "claim", "result", "estimate", "interval", "n", "unit", "threshold", "why")


def show_none() -> None:
    st.info(
        "No pack lies here. Write one on the Claims page and put it on the desk, or bring a file above.",
        icon=":material/info:",
    )


def describe_choice(case: Case) -> str:
    """One line for a list of packs."""
    return f"{', '.join(case.pack.claim_ids)}: {case.state} ({case.pack.root_digest[:12]})"


def show_agreement(cases: Sequence[Case]) -> None:
    """How far blind reviews agree, over every pack with two of them."""
    found = measure_agreement(cases)
    if found.agreed is None:
        return
    beyond = f"no kappa: {found.reason}" if found.kappa is None else f"Fleiss' κ {format_estimate(found.kappa)}"
    st.markdown(
        f"Two blind reviews of a pack say the same: {plain(describe_share(found.agreed))} packs. Beyond chance: {plain(beyond)}."
    )


def show_claims(opened: CaseFile) -> None:
    """Each claim with what was found, and before anything else what speaks against it."""
    for claim in opened.claims:
        st.header(plain(claim.claim_id), anchor=False)
        with st.container(border=True):
            st.markdown(plain(claim.statement))
            st.markdown(f"**Found:** {plain(claim.sentence) or 'no run came to a result'}")
            st.markdown(f"**Speaks against it:** {_list(claim.speaks_against) or _NEVER}")
            st.markdown(_describe_attempts(claim))


def show_gate(opened: CaseFile) -> None:
    """Every row of the policy the pack was frozen under, as it stands with the signatures that are on it now."""
    gate = opened.gate
    st.header("Under the policy it was frozen with", anchor=False)
    required, evaluated = gate.coverage
    st.markdown(
        f"**{plain(gate.overall.replace('_', ' ').lower())}**: {evaluated} of {required} required rows evaluated, {len(gate.waived)} waived. Policy "
        f"{plain(gate.policy_id)}, SHA-256 {plain(gate.policy_sha256[:12])}. A factual finding, no opinion."
    )
    st.markdown(f"Decisions: {plain(gate.decisions)}.")
    if opened.verification.authenticity != "SIGNER_VERIFIED":
        st.info(
            "No signer is checked here: this home holds no trust file that names them. What to do: "
            "`python -m audit_core keys trust --key PERSON:preparer … --out trust.toml`, and put the file into the home.",
            icon=":material/info:",
        )
    rows = [describe_row(row) for row in gate.rows]
    show_gate_rows(rows, "gate")
    table_with_csv(lambda: make_table(GATE_COLUMNS, rows), "The policy's rows", "gate-rows")


def show_limits(opened: CaseFile) -> None:
    """What the preparer says was not shown."""
    st.header("What was not shown", anchor=False)
    st.markdown("".join(f"- {plain(text)}\n" for text in (*opened.limitations, *opened.not_assessed)))


def show_decisions(opened: CaseFile, viewer: frozenset[str]) -> None:
    """Decisions that the viewer may see; a review is blind until one's own is given."""
    case = opened.case
    st.header("Decisions", anchor=False)
    st.markdown(f"State: **{plain(case.state)}**. Prepared or owned by {plain(', '.join(case.pack.authors))}.")
    seen = case.show_to(viewer)
    if hidden := len(case.decisions) - len(seen):
        st.info(
            f"{hidden} review{'s' * (hidden != 1)} given, and not shown to you before you have given yours.",
            icon=":material/visibility_off:",
        )
    if seen:
        rows = [
            (one.number, one.role, one.person, one.decision.replace("_", " "), one.decided_at, _describe_named(one))
            for one in seen
        ]
        columns = ("number", "role", "who", "decision", "when, UTC", "earlier decisions it names")
        show_table(make_table(columns, rows), key="decisions")


def _describe_named(decision: DeskDecision) -> str:
    """How many decisions this one's signature holds in the pack; none of them can be taken out unseen."""
    named = decision.decisions_seen
    return "not recorded" if named is None else str(len(named))


def offer_files(opened: CaseFile) -> None:
    """The pack with its signatures, and its report."""
    name = f"{'-'.join(opened.case.pack.claim_ids)[:60]}_{opened.case.pack.root_digest[:12]}"
    with st.container(horizontal=True):
        st.download_button(
            "Download the pack with its signatures", opened.data, file_name=f"{name}.evidence.zip", mime="application/zip",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip
        if opened.report is not None:
            st.download_button(
                "Download its report", opened.report, file_name=f"{name}.html", mime="text/html", icon=":material/description:",
                on_click="ignore",
            )  # fmt: skip


def _describe_attempts(claim: ClaimReading) -> str:
    counts = claim.attempts
    return (
        f"Attempts: **{counts['total']}**, of which {counts['completed']} completed, {counts['failed']} failed, "
        f"{counts['abandoned']} abandoned. Owner {plain(claim.owner)}; expires {plain(claim.expires_at)}."
    )


def show_gate_rows(rows: Sequence[tuple[str, ...]], key: str) -> None:
    """Rows of `describe_row`; wide where a cut would hide an interval's end."""
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
