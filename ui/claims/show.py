"""A registered claim on the page: plan, attempts, verdict and robustness checks."""

from __future__ import annotations

import streamlit as st

from audit_core import get_plugin, make_table
from audit_core.audits import CIRCUIT_QUESTIONS
from audit_core.home import ClaimHistory
from audit_core.store import RegisteredClaim
from ui.circuit import results
from ui.flow import services
from ui.parts import verdict_card
from ui.parts.header import plain, show_table, table_with_csv


def describe_choice(known: RegisteredClaim) -> str:
    """Label of a claim in a list."""
    return f"{known.claim_id}: {known.plan.claim.name[:80]}"


def show_plan(history: ClaimHistory) -> None:
    """Show the frozen plan, the prior access, and the amendments."""
    known, plan = history.claim, history.claim.plan
    with st.container(horizontal=True, gap="small"):
        if known.withdrawn:
            st.badge("withdrawn", icon=":material/block:", color="gray")
        if history.exploratory:
            st.badge("exploratory", icon=":material/explore:", color="orange")
        else:
            st.badge("confirmatory", icon=":material/lock_clock:", color="blue")
        st.badge(f"version {plan.version}", color="gray")
        st.badge(f"expires {plain(known.expires_at)}", icon=":material/event:", color="gray")
    if history.exploratory:
        st.warning(
            f"Runs of this claim are exploratory and cannot meet a policy: {plain(history.exploratory)}.",
            icon=":material/explore:",
        )
    if known.withdrawn:
        st.info(f"Withdrawn: {plain(known.withdrawn)}", icon=":material/block:")
    claim, pins = plan.claim, plan.pins
    rows = [
        ("components", ", ".join(map(str, claim.components))),
        ("role", f"{claim.role.value}, by more than {claim.delta:g} of the clean–empty gap"),
        ("ablation", f"{claim.ablation.value}, with the other two beside it"),
        ("metric, level", f"{claim.metric}, α = {claim.alpha:g}"),
        ("model", f"{pins.model}, weights {pins.weights_sha256[:16]}"),
        (
            "prompts",
            f"{pins.prompts}, n = {pins.n_prompts} in {pins.n_templates} templates, {pins.prompts_sha256[:16]}",
        ),
        ("robustness checks", ", ".join(plan.questions) or "nothing"),
        ("policy, code", f"{pins.policy_sha256[:16]}, {pins.code_sha256[:16]}"),
        ("owner, frozen", f"{known.owner}, {plan.frozen_at}"),
        ("known before", plan.prior_access.value.replace("_", " ")),
        ("digest", plan.digest),
    ]
    st.header("Preregistered plan", anchor=False)
    show_table(make_table(("", "as frozen"), rows), key="plan", height="content")
    if known.deviations:
        st.header("Changes since", anchor=False)
        changes = [
            (row.prereg_version, row.at, row.by, row.field, row.before, row.after, row.reason, "deviation" if row.is_deviation else "amendment")
            for row in known.deviations
        ]  # fmt: skip
        columns = ("version", "when", "who", "field", "before", "after", "why", "counts as")
        show_table(make_table(columns, changes), key="changes")


def show_attempts(history: ClaimHistory) -> None:
    """Show every attempt with its outcome."""
    st.header(f"Attempts ({len(history.attempts)})", anchor=False)
    if not history.attempts:
        st.markdown("None yet. The first attempt opens the confirmatory split.")
        return
    rows = [
        (line.number, line.started_at, line.outcome, line.reason, "this plan" if line.is_of_this_plan else "an earlier version", line.run_id)
        for line in history.attempts
    ]  # fmt: skip
    show_table(
        make_table(("attempt", "began, UTC", "outcome", "reason", "under", "run"), rows),
        key="attempts",
    )


def show_findings(history: ClaimHistory) -> None:
    """Show the verdict of the last attempt, and the robustness checks of the plan."""
    found, claim = history.latest, history.claim.plan.claim
    if found is None:
        if history.attempts:
            st.info("No attempt under the current plan has a result.", icon=":material/info:")
        return
    st.header("Findings of the last attempt", anchor=False)
    verdict_card.show_verdict(
        found.verdict, claim, services.read_multiplicity_ledger_of(history.claim.plan.pins.model_digest), place="claim"
    )
    for question in CIRCUIT_QUESTIONS:
        answer = found.answers.get(question)
        if answer is not None:
            with st.container(border=True):
                st.subheader(get_plugin("audits", question).question, anchor=False)
                results.SHOW[question](answer)
                results.note_different_circuit(answer, claim.components)
    for question, why in found.not_measured.items():
        st.warning(f"{plain(question)}: not measured: {plain(why)}", icon=":material/warning:")
    items = [
        (
            one.prompt,
            one.template,
            one.family,
            one.clean,
            one.corrupted,
            one.judged,
            one.empty,
            found.verdict.clean.unit,
        )
        for one in found.verdict.items
    ]
    columns = ("prompt", "template", "ablation", "clean", "corrupted", "judged run", "everything ablated", "unit")
    table_with_csv(lambda: make_table(columns, items), f"All {len(items)} numbers behind the verdict", "items")


def show_none() -> None:
    st.info(
        "No claim is registered yet. Freeze one below, or propose one on the circuit page and freeze its file.",
        icon=":material/info:",
    )
