"""The verdict: its state in words, shape and icon, and beside it everything that could speak against it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from audit_core import Claim, Estimate, State, format_estimate, make_table
from audit_core.audits import ClaimTestResult
from audit_core.calibration import quote_calibration
from audit_core.judging import DistributionShift, NullFinding, Repair
from audit_core.ledger import Ledger
from audit_core.stats import Mediation
from audit_core.tables import estimate_cells
from ui.parts import figures
from ui.parts.header import conditions_line, figure_header, plain, table_with_csv

STATES = {
    State.SUPPORTED: (":material/check_circle:", "Supported"),
    State.NEGLIGIBLE: (":material/remove_circle:", "Below the smallest effect of interest"),
    State.REVERSED: (":material/swap_horizontal_circle:", "Reversed: it pushes the other way"),
    State.INCONCLUSIVE: (":material/help:", "Inconclusive"),
}


def show_verdict(result: ClaimTestResult, claim: Claim, ledger: Ledger, *, place: str = "") -> None:
    """The whole card.

    Args:
        place: where on the page, if it shows several.
    """
    icon, words = STATES[State(result.state)]
    with st.container(border=True):
        figure_header(
            "Verdict" if not place else f"Verdict: is it {claim.role.value}?",
            "causal",
            "the state says where the interval that the sentence quotes lies against δ, not how likely it is.",
        )
        st.markdown(f"### {icon} {words}")
        st.markdown(f"**{plain(result.sentence)}**")
        if result.templates_needed is not None:
            st.markdown(
                f"About **{result.templates_needed:,}** templates of as many prompts each would settle it, if the value stayed "
                "what it is. More prompts of the same templates would help less: they are not independent."
            )
        show_families(result, claim, place)
        if result.null is not None:
            show_null(result.null)
        if result.repair is not None:
            _show_repair(result.repair)
        if result.mediation is not None:
            _show_mediation(result.mediation, place)
        _show_conditions(result, place)
        st.markdown(
            f"Looked at on this model so far, this claim included: runs {ledger.runs} · components {ledger.components} · claims "
            f"{ledger.claims} · prompt sets {ledger.prompt_sets} · metrics {ledger.metrics} · ways of replacing "
            f"{ledger.replacements}. The more was looked at, the less one finding says."
        )
        st.markdown(f"*{plain(quote_calibration())}*")


def show_families(result: ClaimTestResult, claim: Claim, place: str) -> None:
    """Every way of replacing against δ, with what random sets do below, as figure and table."""
    measured = [(family, e) for family, e in result.families.items() if e is not None]
    if not measured:
        for why in sorted(set(result.not_measured.values())):
            st.error(plain(why), icon=":material/error:")
        return
    st.plotly_chart(
        figures.verdict_figure(
            measured, delta=claim.delta, null=() if result.null is None else result.null.values, primary=claim.ablation.value
        ),
        key=f"verdict-figure{place}", config={"displayModeBar": False},
        alt="Interval of each way of replacing against plus and minus delta, and the effects of random sets below; the "
        "table has the numbers.",
    )  # fmt: skip
    rows = [(family, *estimate_cells(e)) for family, e in measured]
    table_with_csv(
        lambda: make_table(("replaced by", "effect", "low", "high", "n", "unit"), rows), "Verdict", f"verdict{place}"
    )
    for family, why in result.not_measured.items():
        st.markdown(f"- {plain(family)}: not measured: {plain(why)}")


def show_null(null: NullFinding) -> None:
    """How often chance does as much, or why nobody asked."""
    if null.p is None:
        st.markdown(f'Chance: not drawn, because it could only take "supported" away ({plain(null.design)}).')
        return
    st.markdown(
        f"Chance: p = **{null.p:.3f}**: the share, this claim counted, of {plain(null.design)}, that do at least as much, on {null.n} of the prompts."
    )


def _show_repair(repair: Repair) -> None:
    """Whether others step in; shown for every single component, whatever the state."""
    share = (
        ""
        if repair.repaired is None
        else f" Made up for by the rest of the model: {plain(format_estimate(repair.repaired))}."
    )
    st.markdown(
        f"Self-repair (set to zero, {repair.total.n} prompts): with all later parts frozen the metric loses "
        f"{plain(format_estimate(repair.direct))}, with them free {plain(format_estimate(repair.total))}.{share} "
        f"{_name_backups(repair)}"
    )


def _name_backups(repair: Repair) -> str:
    if not repair.n_later:
        return "No part comes after it."
    if not repair.is_searched:
        return "Backups were not looked for: the loss is not small, and freezing the later parts makes it no larger."
    if not repair.backups:
        return f"None of {repair.n_later} later parts does more than δ for it by itself once it is gone; many may do a little."
    named = "; ".join(f"{b.component} by {plain(format_estimate(b.growth))}" for b in repair.backups)
    return f"Of {repair.n_later} later parts, these do more once it is gone: {named}."


def _show_mediation(mediation: Mediation, place: str) -> None:
    rows: Sequence[tuple[str, Estimate]] = (
        ("total: the prompt is changed", mediation.total),
        ("indirect: only these components see the change", mediation.indirect),
        ("direct: all but these components see it", mediation.direct),
        ("interaction: neither alone", mediation.interaction),
    )
    cells = [(name, *estimate_cells(estimate)) for name, estimate in rows]
    table_with_csv(
        lambda: make_table(("loss of the metric", "value", "low", "high", "n", "unit"), cells),
        "Mediation",
        f"mediation{place}",
    )


def _show_conditions(result: ClaimTestResult, place: str) -> None:
    conditions_line(result.conditions, result.clean.n)
    controls = result.controls
    if result.drift is not None:
        _show_drift(result.drift, place)
    st.markdown(
        f"Controls passed: {controls.edits:,} edits arrived; putting activations back moved logits by "
        f"{controls.identity_max:.1e}, large noise by at least {controls.noise_min:.1f} (tolerance {controls.tolerance:.0e}); "
        "replacing all that enters the model gave the corrupted run. "
        f"The model prefers the answer on {result.accuracy:.0%} of these prompts."
    )


def _show_drift(drift: DistributionShift, place: str) -> None:
    """How far the judged runs leave what the model normally computes."""
    rows = [(f"{family}: length of the residual stream", *estimate_cells(e)) for family, e in drift.norms.items()]
    rows += [(f"{family}: KL on unrelated text", *estimate_cells(e)) for family, e in drift.divergence.items()]
    if rows:
        table_with_csv(
            lambda: make_table(("off-distribution monitor", "value", "low", "high", "n", "unit"), rows),
            "Drift",
            f"drift{place}",
        )
    if drift.not_measured:
        st.markdown(f"KL on unrelated text: not measured: {plain(drift.not_measured)}")
