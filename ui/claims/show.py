"""A registered claim on the page: statement, plan, attempts, verdict and robustness checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from audit_core import get_plugin, make_table
from audit_core.circuits import list_circuit_questions
from audit_core.evidence import Brief, spell
from audit_core.home import ClaimHistory
from audit_core.review import list_cases
from audit_core.store import RegisteredClaim
from ui.circuit import results
from ui.claims.change import offer_change
from ui.flow import services
from ui.parts import verdict_card
from ui.parts.claim_brief import show_all_points
from ui.parts.header import plain, show_table, table_with_csv
from ui.results import show_result

POINTS, VERDICT, PLAN, ATTEMPTS, PACK = (
    "Every point",
    "Verdict in full",
    "Preregistered plan",
    "Attempts",
    "Evidence pack",
)


def describe_choice(known: RegisteredClaim) -> str:
    """Label of a claim in a list."""
    return f"{known.claim_id}: {known.plan.claim.name[:80]}"


def order_claims(home: Path, claims: Sequence[str]) -> tuple[str, ...]:
    """Claims with those first whose pack waits for a decision, because the page opens on the first."""
    waiting = [one for case in list_cases(home) if case.state.startswith("waiting") for one in case.pack.claim_ids]
    return tuple(dict.fromkeys([*(one for one in waiting if one in claims), *claims]))


def show_statement(history: ClaimHistory, brief: Brief) -> None:
    """Show what is claimed, of which model and prompts, and whether its test was planned beforehand."""
    st.header(plain(history.claim.plan.claim.name), anchor=False)
    st.markdown(f"{plain(spell(brief.scope))}")
    for one in brief.history:
        st.caption(plain(spell(one)))
    if history.claim.withdrawn:
        st.info(f"Withdrawn: {plain(history.claim.withdrawn)}", icon=":material/block:")
    if history.exploratory:
        st.warning(f"Exploratory, cannot meet a policy: {plain(history.exploratory)}.", icon=":material/explore:")


def show_details(history: ClaimHistory, brief: Brief, ask_pack: Callable[[ClaimHistory], None]) -> None:
    """Show everything behind the first screen in tabs; a tab is computed when it is opened."""
    attempts = f"{ATTEMPTS} ({len(history.attempts)})"
    tabs = st.tabs([POINTS, VERDICT, PLAN, attempts, PACK], key="claim-tab", on_change="rerun")
    shows = (
        lambda: show_all_points(brief),
        lambda: _show_evidence(history),
        lambda: _show_plan(history),
        lambda: _show_attempts(history),
        lambda: ask_pack(history),
    )
    for tab, show in zip(tabs, shows, strict=True):
        if tab.open:
            with tab:
                show()


def _show_plan(history: ClaimHistory) -> None:
    """Show the locked plan, the prior access, and the amendments."""
    known, plan = history.claim, history.claim.plan
    claim, pins = plan.claim, plan.pins
    rows = [
        ("components", ", ".join(map(str, claim.components))),
        ("role", f"{claim.role.value}, by more than {claim.delta:g} of the clean–empty gap"),
        ("ablation", f"{claim.ablation.value}, with the other two beside it"),
        ("metric, level", f"{claim.metric}, α = {claim.alpha:g}"),
        ("model", f"{pins.model}, weights {pins.weights_sha256[:16]}"),
        *((("dictionary", pins.dictionary_sha256),) if pins.dictionary_sha256 else ()),
        (
            "prompts",
            f"{pins.prompts}, n = {pins.n_prompts} in {pins.n_templates} templates, {pins.prompts_sha256[:16]}",
        ),
        ("robustness checks", ", ".join(plan.questions) or "nothing"),
        ("status", f"{'exploratory' if history.exploratory else 'confirmatory'}, version {plan.version}"),
        ("policy, code", f"{pins.policy_sha256[:16]}, {pins.code_sha256[:16]}"),
        ("owner, locked", f"{known.owner}, {plan.frozen_at}, review by {known.expires_at}"),
        ("known before", plan.prior_access.value.replace("_", " ")),
        ("split", "by template" if pins.split_salt else "each prompt by the hash of its texts"),
        ("seed", f"{plan.seed}, {'chosen by the owner' if plan.seed else 'the default of every plan'}"),
        ("digest", plan.digest),
    ]
    st.markdown(
        "A claim is locked, together with the exact model, prompts, policy and code, before its test prompts are used."
    )
    show_table(make_table(("", "as locked"), rows), key="plan", height="content")
    if known.deviations:
        st.subheader("Changes since", anchor=False)
        changes = [
            (row.prereg_version, row.at, row.by, row.field, row.before, row.after, row.reason, "deviation" if row.is_deviation else "amendment")
            for row in known.deviations
        ]  # fmt: skip
        columns = ("version", "when", "who", "field", "before", "after", "why", "counts as")
        show_table(make_table(columns, changes), key="changes")
    offer_change(history)


def _show_attempts(history: ClaimHistory) -> None:
    """Show every attempt with its outcome."""
    if not history.attempts:
        st.markdown("None yet. The first attempt uses the test prompts.")
        return
    st.markdown("The log numbers every attempt, and every pack discloses them all.")
    rows = [
        (line.number, line.started_at, line.outcome, line.reason, "this plan" if line.is_of_this_plan else "an earlier version", line.run_id)
        for line in history.attempts
    ]  # fmt: skip
    show_table(make_table(("attempt", "began, UTC", "outcome", "reason", "under", "run"), rows), key="attempts")


def _show_evidence(history: ClaimHistory) -> None:
    """Show the verdict in full, and the robustness checks of the plan."""
    found, claim = history.latest, history.claim.plan.claim
    if found is None:
        st.info("No attempt under the current plan has a result.", icon=":material/info:")
        return
    ledger = services.read_multiplicity_ledger_of(history.claim.plan.pins.model_digest)
    verdict_card.show_verdict(found.verdict, claim, ledger, place="claim")
    for question in list_circuit_questions():
        answer = found.answers.get(question)
        if answer is not None:
            with st.container(border=True):
                st.subheader(get_plugin("audits", question).question, anchor=False)
                show_result(question, answer)
                results.note_different_circuit(answer, claim.components)
    for question, why in found.not_measured.items():
        st.warning(f"{plain(question)}: not measured: {plain(why)}", icon=":material/warning:")
    unit = found.verdict.clean.unit
    items = [
        (one.prompt, one.template, one.family, one.clean, one.corrupted, one.judged, one.empty, unit)
        for one in found.verdict.items
    ]
    columns = ("prompt", "template", "ablation", "clean", "corrupted", "judged run", "everything ablated", "unit")
    table_with_csv(lambda: make_table(columns, items), f"All {len(items)} numbers behind the verdict", "items")


def show_none() -> None:
    st.info("There is no claim yet. A researcher can lock one here.", icon=":material/info:")
