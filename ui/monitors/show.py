"""What a monitor detects, beside its baselines; apart from it, what the causal step says; and how to run it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from audit_core import Estimate, format_estimate, make_table
from audit_core.monitors import (
    NAMES,
    SHIPPED,
    Example,
    Monitor,
    MonitorCheck,
    TextResult,
    describe_monitor,
    load_shipped_check,
    say_bound,
    say_causal,
    say_check,
    say_comparison,
    say_overhead,
    say_validity,
)
from ui.monitors.drawings import draw_causal, draw_rates, draw_styles, draw_tokens
from ui.parts import figures
from ui.parts.header import BADGES, figure_header, plain, show_rows
from ui.parts.workbench import Table, pane_header, show_sentence, split_panes

_RATES = (
    "signal",
    "cases detected",
    "low",
    "high",
    "n",
    "false alarms",
    "low of these",
    "high of these",
    "texts",
    "delay in tokens",
)


def show_answer(monitor: Monitor, is_shipped: bool) -> None:
    """Show the comparison with the best baseline, the bound, and apart from both the causal step."""
    counts = monitor.report.counts
    kinds = "observational recorded" if is_shipped else "observational"
    show_sentence(say_comparison(monitor), kinds, counts.cases, "cases")
    st.markdown(f"{plain(say_bound(monitor))} Made {plain(monitor.made_at[:10])}.")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(plain(say_causal(monitor)), width="content")
        icon, colour = BADGES["causal"]
        st.badge("causal", icon=icon, color=colour)


def show_panes(monitor: Monitor) -> None:
    """Show the rates at the left, and the scores of a text that the file keeps at the right."""
    left, right = split_panes("monitors")
    with left:
        pane_header(
            "Detection at equal false alarms", "observational",
            "Points: the share of the cases with an alarm at or after their onset. Crosses: the share of normal texts with one. Bars are "
            "95 % intervals. Every signal has its own threshold for the stated rate, from the same calibration texts.",
            table=Table(lambda: tabulate_rates(monitor), "Rates", "monitor-rates"),
        )  # fmt: skip
        figures.show(
            draw_rates(monitor), key="figure-monitor-rates",
            alt="Share of cases detected and of false alarms, for the monitor and each output-only baseline, with intervals. The table has the numbers.",
        )  # fmt: skip
    with right:
        examples = monitor.report.examples
        if not examples:
            st.info("This file keeps no text. Score one of your own below.", icon=":material/info:")
            return
        labels = {at: _name(one) for at, one in enumerate(examples)}
        if st.session_state.get("monitor_example") not in labels:
            st.session_state.monitor_example = 0
        chosen = examples[st.session_state.monitor_example]
        show_tokens(monitor, chosen.pieces, chosen.scores, chosen.onset, "kept")
        if len(examples) > 1:
            st.pills(
                "Text", list(labels), key="monitor_example", required=True, format_func=lambda at: plain(labels[at])
            )


def show_tokens(
    monitor: Monitor, pieces: tuple[str, ...], scores: tuple[float, ...], onset: int | None, key: str
) -> None:
    """Show the score of every token of one text, with the threshold."""
    rule, threshold = monitor.recipe.rule, monitor.threshold
    over = [at for at in range(1, len(scores)) if scores[at] > threshold]
    alarm = over[0] if over and rule.has_time else None
    pane_header(
        "Score of each token", "observational",
        "Each point is a token. A point above the dashed line raises the alarm; the diamond is the first one. The dotted line is where "
        "the case begins, if the file says so.",
        table=Table(lambda: _table_tokens(pieces, scores), "Scores", f"monitor-tokens-{key}"),
    )  # fmt: skip
    figures.show(
        draw_tokens(pieces, scores, threshold, onset=onset, alarm=alarm), key=f"figure-monitor-tokens-{key}",
        alt="Score of every token of one text, with the threshold as a dashed line. The table has the numbers.",
    )  # fmt: skip


def show_expiry(reasons: tuple[str, ...]) -> None:
    """Warn that the rate may no longer be relied on."""
    for reason in reasons:
        st.warning(plain(f"Expired: {reason}."), icon=":material/event_busy:")


def show_result(found: TextResult, rate: float) -> None:
    """Show what the monitor says about one text."""
    others = ", ".join(NAMES[one] for one in found.baselines) or "none"
    said = f"Alarm at token {found.at}, {found.piece!r}" if found.is_alarm else "No alarm"
    st.markdown(
        f"**{plain(said)}** (score {found.score:.3g}). Output-only baselines with an alarm: {plain(others)}. "
        f"At most {rate:.1%} of normal texts raise one."
    )


def show_causal(monitor: Monitor) -> None:
    """Show the causal step."""
    figure_header(
        "Causal step", "causal",
        "the direction that the monitor reads is ablated at every token, on the same texts as random directions. The loss of the next "
        "tokens says how much the output changes. A monitor may read a correlate and still detect.",
    )  # fmt: skip
    step = monitor.report.causal
    if step is None:
        st.info(plain(f"Not measured: {monitor.report.why_no_causal}."), icon=":material/info:")
        return
    figures.show(
        draw_causal(step), key="figure-monitor-causal",
        alt="Change of the loss without the monitor's direction, without a random one and without the whole activation. The table has the numbers.",
    )  # fmt: skip
    rows = [
        ("without the direction", *_cells(step.ablated)), ("strongest random direction", step.largest_random, None, None, step.ablated.n),
        ("difference, text by text", *_cells(step.difference)), ("whole activation: positive control", *_cells(step.whole)),
    ]  # fmt: skip
    show_rows(make_table(("ablated", "nats per token", "low", "high", "n"), rows), "monitor-causal")
    st.markdown(
        f"p = **{step.p:.2g}** among {step.draws} random directions. Own values change the loss by at most "
        f"**{step.identity_max:.1e}** nats, noise by at least **{step.noise_min:.1e}**."
    )


def show_details(monitor: Monitor) -> None:
    """Show how it was calibrated, its delay and lead, and the rule for drift."""
    report, counts = monitor.report, monitor.report.counts
    figure_header("Calibration and drift", "observational", "what every rate on this page depends on.")
    st.markdown(
        f"**{plain(monitor.recipe.signal)}** at layer **{monitor.recipe.layer}** of {plain(monitor.model.model)}, model digest "
        f"{plain(monitor.model.short)}. Another digest is refused. Texts: **{counts.fit}** and **{counts.fit_cases}** cases to fit, "
        f"**{counts.calibration}** to calibrate, **{counts.test}** and **{counts.cases}** cases to measure."
    )
    show_rows(tabulate_rates(monitor), "monitor-details")
    lead = "not measured: fewer than 20 cases that both detect" if report.lead is None else format_estimate(report.lead)
    st.markdown(f"Lead over the best baseline, on the cases that both detect: **{plain(lead)}**.")
    st.markdown(
        f"Drift: a CUSUM of conformal p-values with limit **{report.drift.limit:.3g}**. Without drift it raises an alarm once in "
        f"**{plain(format_estimate(report.drift.run_length))}**."
    )
    if report.auroc is not None:
        st.caption(f"AUROC over all thresholds: {report.auroc:.3f}. The monitor has one threshold.")
    st.caption(
        f"Cost: {report.multiply_adds:,} multiply-adds a token, beside the pass. SHA-256 {plain(monitor.sha256)}"
    )
    st.markdown(plain(say_validity(monitor)))


def show_check(monitor: Monitor, name: str) -> None:
    """Show the recorded check of a shipped monitor on texts that it has never seen, or how to make one."""
    figure_header(
        "Other texts and styles", "observational recorded",
        "false alarms on texts that were neither fitted nor calibrated on. A rate that was set on one style need not be that of another.",
    )  # fmt: skip
    check = load_shipped_check(name) if name in SHIPPED else None
    if check is None:
        st.info(
            "Not checked on other texts. The command counts false alarms by the *style* of each line, and times the monitor.",
            icon=":material/info:",
        )
        st.code(f"assay monitor check {name}.safetensors < texts.jsonl", language="bash")
        return
    st.markdown(f"{plain(say_check(check))} Made {plain(check.made_at[:10])}.")
    figures.show(
        draw_styles(check), key="figure-monitor-styles",
        alt="Share of normal texts with an alarm by style, with intervals and the stated rate. The table has the numbers.",
    )  # fmt: skip
    show_rows(tabulate_styles(check), "monitor-styles")
    rest = (
        ""
        if check.drift.at is None
        else (
            f" At text {check.drift.at} of {check.styles[0].false_alarms.n} the drift rule raised an alarm; without drift one comes every "
            f"{monitor.report.drift.run_length.value:.0f} texts."
        )
    )
    st.markdown(
        f"{plain(say_overhead(check.overhead, check.why_no_overhead))} p-values are corrected for the number of styles (Holm).{plain(rest)}"
    )


def tabulate_styles(check: MonitorCheck) -> Any:
    """A check by style."""
    rows = [
        (
            row.style, row.holds.value, *_cells(row.false_alarms), row.p_adjusted, *_cells(row.detection)[:3],
            row.baseline_alarms.value, None if row.baseline_detection is None else row.baseline_detection.value,
        )
        for row in check.styles
    ]  # fmt: skip
    return make_table(
        (
            "style", "false alarms are", "false alarms", "low", "high", "texts", "p after correction", "cases detected", "low of these",
            "high of these", f"false alarms, {NAMES[check.baseline]}", "cases detected by it",
        ), rows,
    )  # fmt: skip


def show_commands(monitor: Monitor, name: str) -> None:
    """Show how to run it in a pipeline."""
    figure_header("In a pipeline", "recorded", "the file runs without this dashboard; the exit code decides.")
    st.code(
        f"assay monitor run {name}.safetensors < texts.jsonl\n# 0: no alarm   1: an alarm   2: refused   3: the traffic has drifted   4: the monitor has expired",
        language="bash",
    )
    st.code(
        "assay monitor fit texts.jsonl --layer 12 --rate 0.05 --out mine.safetensors\n"
        'assay monitor record mine.safetensors --text "…" --out case.json\n'
        "assay monitor replay case.json --monitor mine.safetensors --model NEWER",
        language="bash",
    )
    described = describe_monitor(monitor)
    with st.expander("What the file says", icon=":material/data_object:"):
        st.json(described, expanded=1)


def tabulate_rates(monitor: Monitor) -> Any:
    """Rates of the monitor and its baselines."""
    report = monitor.report
    named = [("the monitor", report.found), *((NAMES[one.signal], one.found) for one in report.baselines)]
    rows = [
        (
            name, *_cells(one.detection), *_cells(one.false_alarms), None if one.delay is None else one.delay.value,
        )
        for name, one in named
    ]  # fmt: skip
    return make_table(_RATES, rows)


def _table_tokens(pieces: tuple[str, ...], scores: tuple[float, ...]) -> Any:
    return make_table(("token", "text", "score"), list(zip(range(1, len(pieces)), pieces[1:], scores[1:], strict=True)))


def _cells(one: Estimate | None) -> tuple[float | None, float | None, float | None, int | None]:
    return (None, None, None, None) if one is None else (one.value, one.low, one.high, one.n)


def _name(one: Example) -> str:
    return f"{'case' if one.is_case else 'normal'}: {one.id}"
