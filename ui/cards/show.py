"""A model card on the page: identity, limits of attention, claims, packs, figures, and available audits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from audit_core import make_table
from audit_core.home import (
    ClaimSummary,
    HomeFacts,
    ModelSheet,
    count_done,
    describe_signature,
    judge_sentence,
    read_sheet,
)
from audit_core.references import COVERAGE_WORDS, AuditFit, Demand, Setting, list_capabilities, load_governance_map
from audit_core.review import CaseFile
from audit_core.store import CardClaim
from ui.desk.show import GATE_COLUMNS, describe_row, show_gate_rows
from ui.parts.header import column_widths, counted, plain, show_table, table_with_csv
from ui.shell import navigation


@st.cache_data(max_entries=32, show_spinner="Reading the model's files …", ttl=600)
def read(name: str) -> ModelSheet:
    """Read the model's sheet; cached for ten minutes, because hashing half a gigabyte takes a second."""
    return read_sheet(name)


def show_identity(sheet: ModelSheet, facts: HomeFacts) -> None:
    """Show the identity of the model by digest, and the last recorded outcome of its signature."""
    identity = sheet.identity
    if identity is None:
        st.info(f"{plain(sheet.title)}: {plain(sheet.why)}", icon=":material/info:")
        return
    rows = [
        ("title", identity.model), ("licence", identity.licence), ("quantisation", identity.quantisation),
        ("precision, attention", f"{identity.dtype}, {identity.attention}"), ("weights, SHA-256", identity.weights_sha256),
        ("tokenizer, SHA-256", identity.tokenizer_sha256), ("config, SHA-256", identity.config_sha256), ("combined digest", identity.short),
        ("signature", describe_signature(facts, identity)),
    ]  # fmt: skip
    show_table(make_table(("", "as read from its files"), rows), key="identity", height="content")


def show_attention(sheet: ModelSheet, around: Sequence[str]) -> None:
    """Show the rows of the governance map for this class of model and this system."""
    chart = load_governance_map()
    settings = _list_settings(sheet, around)
    if sheet.model_class is not None and not sheet.model_class.settings:
        st.warning(
            f"The configuration does not determine the model class: {plain(sheet.model_class.because)}.",
            icon=":material/help:",
        )
    for setting in settings:
        row = chart.find(setting)
        with st.container(border=True):
            st.header(row.title, anchor=False)
            st.markdown(
                f"**Attention reveals:** {plain(row.reveals)}\n\n**It misses:** {plain(row.misses)}\n\n{plain(row.reality)}"
            )
            st.markdown("**Evidence to demand:**\n" + "".join(f"\n- {plain(one.text)}" for one in row.demands))
    left, right = st.columns(2)
    for column, title, uses in (
        (left, "Acceptable use of attention", chart.acceptable),
        (right, "Unsafe use", chart.unsafe),
    ):
        fitting = [use for use in uses if set(use.settings) & set(settings)]
        column.markdown(f"**{title}**" + "".join(f"\n- {plain(use.text)}" for use in fitting))
    st.markdown(f"{plain(chart.rule)} As of {chart.as_of}.")


def show_claims(claims: Sequence[ClaimSummary]) -> None:
    """Show each registered claim with its status and the measured sentence."""
    st.header(f"Claims ({len(claims)})", anchor=False)
    if not claims:
        st.info(
            "No claim about this model is registered. What to do: freeze one on the Claims page.",
            icon=":material/info:",
        )
        return
    rows = [
        (one.claim_id, one.standing.value, one.name, one.sentence or "not measured", one.why, one.attempts, one.tested_at[:10], one.expires_at)
        for one in claims
    ]  # fmt: skip
    columns = ("claim", "status", "statement", "measured", "why", "attempts", "tested", "expires")
    short = make_table(columns[:5], [row[:5] for row in rows])
    widths = {"claim": 70, "status": 95, "statement": 200, "measured": 460, "why": 190}
    show_table(short, key="claims-of-model", lines=4, column_config=column_widths(widths))
    table_with_csv(lambda: make_table(columns, rows), "Every column of these claims", "claims-of-model-rows")
    st.page_link(
        navigation.claims(),
        label="Open the claims with all their numbers",
        query_params={"claim": claims[0].claim_id},
    )


def show_sentences(sentences: Sequence[CardClaim], claims: Sequence[ClaimSummary]) -> None:
    """Show the card's sentences about how the model works, and the state of each."""
    if not sentences:
        return
    rows = [
        (one.number, judge_sentence(one, claims).value, one.text, ", ".join(one.claim_ids) or "nothing", one.added_by, one.added_at[:10])
        for one in sentences
    ]  # fmt: skip
    columns = ("number", "state", "sentence", "tested by", "kept by", "on")
    show_table(make_table(columns, rows), key="sentences")
    table_with_csv(lambda: make_table(columns, rows), "Sentences", "sentences-rows")


def show_packs(cases: Sequence[CaseFile]) -> None:
    """Show the packs on the desk about these claims."""
    if not cases:
        st.info("No pack about this model is on the review desk.", icon=":material/info:")
        return
    rows = [
        (
            ", ".join(case.case.pack.claim_ids), case.case.state, case.gate.overall.replace("_", " ").lower(),
            ", ".join(f"{one.role} {one.person}: {one.decision.replace('_', ' ')}" for one in case.case.decisions) or "none yet",
            case.case.pack.root_digest,
        )
        for case in cases
    ]  # fmt: skip
    columns = ("claims", "review desk", "policy", "decisions", "manifest")
    show_table(make_table(columns, rows), key="packs-of-model")
    st.page_link(navigation.desk(), label="Open the review desk", query_params={"case": cases[0].case.pack.root_digest})


def show_figures(cases: Sequence[CaseFile]) -> None:
    """Show the measured figures of its packs beside the thresholds of the frozen policy."""
    rows = [describe_row(row) for case in cases for row in case.gate.rows if row.metric is not None]
    if not rows:
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.header("Measured figures", anchor=False, width="content")
        st.badge("causal", icon=":material/science:", color="violet")
    show_gate_rows(rows, "figures-of-model")
    table_with_csv(lambda: make_table(GATE_COLUMNS, rows), "Measured figures", "figures-of-model-rows")


def show_capabilities(sheet: ModelSheet, around: Sequence[str], facts: HomeFacts) -> None:
    """Show which audits run on this model, which have run, and which evidence is not available."""
    matrix = list_capabilities(_list_settings(sheet, around))
    done = count_done(facts, sheet.identity.short) if sheet.identity else {}
    rows = [
        (
            fit.question, ", ".join(fit.demands) or "components", _describe_fit(fit),
            counted(done[fit.audit], "run") if done.get(fit.audit) else "missing" if fit.applies else "",
        )
        for fit in matrix.audits
    ]  # fmt: skip
    columns = ("audit", "demands", "on this model", "done here")
    show_table(make_table(columns, rows), key="capabilities")
    demands = [(demand.text, COVERAGE_WORDS[demand.coverage], _say_done(demand, done), demand.note) for _, demand in matrix.demands]  # fmt: skip
    widths = {"evidence to demand": 280, "here": 120, "done and missing": 220, "note": 370}
    table = make_table(tuple(widths), demands)
    show_table(table, key="demands", lines=3, column_config=column_widths(widths))
    table_with_csv(lambda: make_table(columns, rows), "Capabilities", "capability-rows")


def _describe_fit(fit: AuditFit) -> str:
    if fit.applies:
        return "applies"
    return f"does not apply: no {', no '.join(fit.missing)}" if fit.missing else "does not apply"


def _say_done(demand: Demand, done: Mapping[str, int]) -> str:
    """Which of the audits that provide demanded evidence have run on this model."""
    return ", ".join(
        f"{audit}: {counted(done[audit], 'run') if done.get(audit) else 'missing'}" for audit in demand.audits
    )


def _list_settings(sheet: ModelSheet, around: Sequence[str]) -> list[Setting]:
    found = () if sheet.model_class is None else sheet.model_class.settings
    return [*found, *(Setting(one) for one in around)]
