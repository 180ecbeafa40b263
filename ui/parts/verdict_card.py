"""The verdict card: state in words and icon, all estimates, and the evidence against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import streamlit as st

from audit_core import Claim, Estimate, Role, State, format_estimate, make_table
from audit_core.audits import ClaimTestResult
from audit_core.calibration import quote_calibration
from audit_core.judging import Assumption, DistributionShift, Member, NullFinding, Repair
from audit_core.ledger import Ledger
from audit_core.stats import GroupEstimates, Mediation
from audit_core.tables import estimate_cells
from ui.parts import figures
from ui.parts.header import conditions_line, counted, figure_header, plain, table_with_csv
from ui.parts.measurements import forest, show_groups

STATES = {
    State.SUPPORTED: (":material/check_circle:", "Supported"),
    State.NEGLIGIBLE: (":material/remove_circle:", "Below the smallest effect of interest"),
    State.REVERSED: (":material/swap_horizontal_circle:", "Reversed: the effect has the opposite sign"),
    State.INCONCLUSIVE: (":material/help:", "Inconclusive"),
}


def show_verdict(result: ClaimTestResult, claim: Claim, ledger: Ledger, *, place: str = "") -> None:
    """Show the whole card.

    Args:
        place: key suffix, if the page shows several.
    """
    icon, words = STATES[State(result.state)]
    with st.container(border=True):
        figure_header(
            "Verdict" if not place else f"Verdict: is it {claim.role.value}?",
            "causal",
            "the state reports where the interval lies relative to δ. It is not a probability.",
        )
        st.markdown(f"### {icon} {words}")
        st.markdown(f"**{plain(result.sentence)}**")
        if result.templates_needed is not None:
            st.markdown(
                f"About **{result.templates_needed:,}** templates of the same size would settle it, if the value stays as measured. "
                "More prompts of the same templates help less, because they are not independent."
            )
        show_families(result, claim, place)
        if result.these_templates is not None:
            st.markdown(
                f"Over prompts of exactly these templates: {plain(format_estimate(result.these_templates))}. "
                "The verdict rests on the intervals above, over templates like these."
            )
        if result.null is not None:
            show_null(result.null)
        if result.repair is not None:
            _show_repair(result.repair)
        if result.by_template is not None and result.by_template.names:
            _show_templates(result.by_template, claim, place)
        if result.members:
            _show_members(result.members, place)
        if result.mediation is not None:
            _show_mediation(result.mediation, place)
        _show_assumptions(result.identification)
        _show_conditions(result, place)
        st.markdown(
            f"Multiplicity: {counted(ledger.runs, 'run')}, {counted(ledger.components, 'component')}, "
            f"{counted(ledger.claims, 'claim')}, {counted(ledger.prompt_sets, 'prompt set')}, "
            f"{counted(ledger.metrics, 'metric')} and {counted(ledger.replacements, 'ablation')} tested on this model. "
            "More tests make one finding weaker evidence."
        )
        st.markdown(f"*{plain(quote_calibration([str(part) for part in claim.components]))}*")


def show_families(result: ClaimTestResult, claim: Claim, place: str) -> None:
    """Show every ablation against δ, with the effects of random sets below, as figure and table."""
    measured = [(family, e) for family, e in result.families.items() if e is not None]
    if not measured:
        for why in sorted(set(result.not_measured.values())):
            st.error(plain(why), icon=":material/error:")
        return
    figures.show(
        figures.verdict_figure(
            measured, delta=claim.delta, null=() if result.null is None else result.null.values, primary=claim.ablation.value
        ),
        key=f"verdict-figure{place}",
        alt="Interval of each ablation against plus and minus delta, and the effects of random sets below. The "
        "table has the numbers.",
    )  # fmt: skip
    rows = [(family, *estimate_cells(e)) for family, e in measured]
    table_with_csv(
        lambda: make_table(("ablation", "effect", "low", "high", "n", "unit"), rows), "Verdict", f"verdict{place}"
    )
    for family, why in result.not_measured.items():
        st.markdown(f"- {plain(family)}: not measured: {plain(why)}")


def show_null(null: NullFinding) -> None:
    """Show the random baseline, or why it was not drawn."""
    if null.p is None:
        st.markdown(
            f'Random baseline: not drawn, because it could only lower a "supported" verdict ({plain(null.design)}).'
        )
        return
    st.markdown(
        f"Random baseline: p = **{null.p:.3f}**, the share with at least this effect, this claim included. "
        f"Compared with {plain(null.design)}, on {null.n} of the prompts. "
        f"The lowest possible p is {1 / (len(null.values) + 1):.3f}. A component picked as the largest is near it by construction."
    )


def _show_templates(groups: GroupEstimates, claim: Claim, place: str) -> None:
    """Show the effect in each template as figure and table: an average may hide one that differs, so it is open at first."""
    box = st.expander(
        f"Effect by template ({len(groups.names)})", icon=":material/bar_chart:", key=f"open-by-template{place}",
        on_change="rerun", expanded=True,
    )  # fmt: skip
    if box.open:
        with box:
            _draw_templates(groups, claim, place)


def _draw_templates(groups: GroupEstimates, claim: Claim, place: str) -> None:
    figure_header(
        "Effect by template", "causal", "one interval for each template, at a level that allows for their number."
    )
    figures.show(
        forest(
            list(map(plain, groups.names)), groups.estimates, unit=groups.estimates[0].unit,
            lines=((claim.delta, "δ"), (-claim.delta, "−δ")) if claim.role is Role.NECESSARY else ((claim.delta, "δ"),),
        ),
        key=f"templates-figure{place}",
        alt="Effect in each template with its interval, against delta. The table has the numbers.",
    )  # fmt: skip
    show_groups(groups, "Effect by template", f"templates{place}")


def _show_assumptions(assumptions: Sequence[Assumption]) -> None:
    """Show what the causal reading rests on, and what the run found about it."""
    counts = Counter(one.status.value for one in assumptions)
    found = ", ".join(f"{n} {status}" for status, n in counts.items())
    with st.expander(plain(f"What the causal reading rests on: {found}"), icon=":material/rule:"):
        for one in assumptions:
            st.markdown(f"- *{plain(one.name)}* ({plain(one.status.value)}): {plain(one.rests_on)} {plain(one.found)}")


def _show_members(members: Sequence[Member], place: str) -> None:
    """Show what each component contributes, alone and as part of the set."""
    rows = [
        (member.component, member.part, name, *estimate_cells(estimate))
        for member in members
        for name, estimate in (("alone", member.alone), ("added to the others", member.added))
    ]
    st.markdown("**Members of the set**: an *idle* one could be removed without a change.")
    table_with_csv(
        lambda: make_table(("component", "part", "effect", "value", "low", "high", "n", "unit"), rows),
        "Members",
        f"members{place}",
    )


def _show_repair(repair: Repair) -> None:
    """Show whether later components compensate; for every single-component claim, in every state."""
    share = (
        ""
        if repair.repaired is None
        else f" Compensated by the rest of the model: {plain(format_estimate(repair.repaired))}."
    )
    st.markdown(
        f"Self-repair (zero ablation, {repair.total.n} prompts): with later components frozen the metric loses "
        f"{plain(format_estimate(repair.direct))}, otherwise {plain(format_estimate(repair.total))}.{share} "
        f"{_name_backups(repair)}"
    )


def _name_backups(repair: Repair) -> str:
    if not repair.n_later:
        return "No component follows it."
    if not repair.is_searched:
        return "No search for backups: the loss is not small, and freezing later components does not increase it."
    if not repair.backups:
        return f"None of {repair.n_later} other components (later ones, and those beside it) compensates by more than δ. Many may compensate a little."
    named = "; ".join(f"{b.component} by {plain(format_estimate(b.growth))}" for b in repair.backups)
    return f"Of {repair.n_later} other components (later ones, and those beside it), these have a larger effect without it: {named}."


def _show_mediation(mediation: Mediation, place: str) -> None:
    rows: Sequence[tuple[str, Estimate]] = (
        ("total: the prompt changes", mediation.total),
        ("indirect: only these components see the change", mediation.indirect),
        ("direct: all other components see the change", mediation.direct),
        ("interaction: neither alone", mediation.interaction),
    )
    cells = [(name, *estimate_cells(estimate)) for name, estimate in rows]
    table_with_csv(
        lambda: make_table(("loss of the metric", "value", "low", "high", "n", "unit"), cells),
        "Mediation",
        f"mediation{place}",
    )


def _show_conditions(result: ClaimTestResult, place: str) -> None:
    with st.expander("Conditions and passed controls", icon=":material/fact_check:"):
        conditions_line(result.conditions, result.clean.n)
        if result.drift is not None:
            _show_drift(result.drift, place)
        _show_controls(result)


def _show_controls(result: ClaimTestResult) -> None:
    controls = result.controls
    st.markdown(
        f"Controls passed: {controls.edits:,} edits were applied. Restoring activations moved logits by "
        f"{controls.identity_max:.1e}, large noise by at least {controls.noise_min:.1f} (tolerance {controls.tolerance:.0e}). "
        "Replacing the model's whole input reproduced the corrupted run. "
        f"The model prefers the answer on {result.accuracy:.0%} of these prompts."
    )


def _show_drift(drift: DistributionShift, place: str) -> None:
    """Show how far the judged runs are from the model's usual activations."""
    rows = [(f"{family}: norm of the residual stream", *estimate_cells(e)) for family, e in drift.norms.items()]
    rows += [
        (f"{family}: effect with later neurons in their usual range", *estimate_cells(e))
        for family, e in drift.in_range.items()
    ]
    rows += [(f"{family}: KL on unrelated text", *estimate_cells(e)) for family, e in drift.divergence.items()]
    if rows:
        table_with_csv(
            lambda: make_table(("off-distribution monitor", "value", "low", "high", "n", "unit"), rows),
            "Distribution shift",
            f"drift{place}",
        )
    if drift.not_measured:
        st.markdown(f"KL on unrelated text: not measured: {plain(drift.not_measured)}")
    if not drift.in_range:
        why = drift.no_range or "this result is older than that check."
        st.markdown(f"Later neurons in their usual range: not measured: {plain(why)}")
