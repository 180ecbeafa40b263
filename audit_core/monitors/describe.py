"""What was measured of a monitor, in lines for a person and as plain values for a program."""

from __future__ import annotations

from typing import Any

from audit_core.monitors.calibration import RateBound
from audit_core.monitors.checking import Holds, MonitorCheck
from audit_core.monitors.evaluation import Found
from audit_core.monitors.expiry import say_validity
from audit_core.monitors.monitor import Monitor
from audit_core.monitors.overhead import Overhead
from audit_core.stats.estimates import Estimate, format_estimate

NAMES = {
    "entropy_high": "token entropy, high", "entropy_low": "token entropy, low", "margin_high": "top-1 margin, high",
    "margin_low": "top-1 margin, low", "surprise_high": "perplexity, high", "surprise_low": "perplexity, low", "repeats_high": "repeated tokens",
}  # fmt: skip
"""Output-only signals in the field's words; perplexity is the exponential of a token's surprise."""


def describe_monitor(monitor: Monitor) -> dict[str, Any]:
    """Everything in the file but arrays and kept texts, with the digest."""
    found = monitor.describe()
    found["report"] = {key: value for key, value in found["report"].items() if key != "examples"}
    found["seen"] = len(monitor.seen)
    return found | {"sha256": monitor.sha256, "threshold": monitor.threshold}


def say_bound(monitor: Monitor) -> str:
    """What the stated rate bounds, and the bound of this calibration set."""
    threshold = monitor.report.found.threshold
    scope = (
        "of this calibration set, with 95 % confidence"
        if threshold.rate_bound is RateBound.THIS_SET
        else "on average over calibration sets"
    )
    return (
        f"Stated false-alarm rate: {threshold.rate:g} per text, {scope}. Calibrated on {threshold.n} texts: {threshold.expected:.3g} "
        f"on average, at most {threshold.bound:.3g} for this set (95 %)."
    )


def say_comparison(monitor: Monitor) -> str:
    """The monitor against its best baseline, in one sentence."""
    report = monitor.report
    if report.difference is None:
        return f"Detection was not measured: {report.why_no_detection}."
    low, high, name = report.difference.low, report.difference.high, NAMES[report.best]
    if low is not None and low > 0:
        outcome = f"It detects more than the best output-only baseline ({name})"
    elif high is not None and high < 0:
        outcome = f"It detects less than the best output-only baseline ({name})"
    else:
        outcome = f"No difference from the best output-only baseline ({name}) is shown"
    return f"{outcome}: {format_estimate(report.difference)}."


def say_causal(monitor: Monitor) -> str:
    """What the causal step says, in one sentence."""
    step = monitor.report.causal
    if step is None:
        return f"Causal step: not measured: {monitor.report.why_no_causal}."
    return (
        f"Causal step: it {step.reads.value}. Without the direction the loss changes by {format_estimate(step.ablated)}; the "
        f"strongest of {step.draws} random directions: {step.largest_random:.3g}; p = {step.p:.2g}."
    )


def say_check(check: MonitorCheck) -> str:
    """What a check says of the stated rate, in one sentence.

    Example: see `tests/spec/test_monitor_checks.py`.
    """
    counts = {one: [row.style for row in check.styles if row.holds is one] for one in Holds}
    parts = [f"{one.value}: {', '.join(names)}" for one, names in counts.items() if names]
    start = "On texts that it has never seen" if check.is_seen_known else "On other texts"
    whole = f"{start}, false alarms at a stated rate of {check.rate:g} are {'; '.join(parts)}."
    return (
        whole
        if check.is_seen_known
        else f"{whole} The file does not say which texts it was made of: that they are new was not checked."
    )


def say_overhead(overhead: Overhead | None, why: str) -> str:
    """What it costs, in one sentence."""
    if overhead is None:
        return f"Cost: not measured: {why}."
    return (
        f"Cost: {format_estimate(overhead.extra)} beside {format_estimate(overhead.without)} of the pass: "
        f"{format_estimate(overhead.share)} ({overhead.machine})."
    )


def summarise_check(check: MonitorCheck) -> list[str]:
    """Lines for a terminal."""
    lines = [say_check(check)]
    for row in check.styles:
        lines.append(
            f"{row.style} [observational]: false alarms {format_estimate(row.false_alarms)}: {row.holds.value}, p = {row.p_adjusted:.2g} "
            f"after correction; {NAMES[check.baseline]}: {format_estimate(row.baseline_alarms)}"
        )
        if row.detection is not None and row.baseline_detection is not None:
            lines.append(
                f"  detects {format_estimate(row.detection)}; {NAMES[check.baseline]}: {format_estimate(row.baseline_detection)}"
            )
    where = "none" if check.drift.at is None else f"at text {check.drift.at}"
    lines.append(f"Drift over the normal texts of {check.styles[0].style}: {where}.")
    if check.n_left_out:
        lines.append(f"Left out: {check.n_left_out:,} texts of a group of which another counts.")
    return [*lines, say_overhead(check.overhead, check.why_no_overhead)]


def summarise_monitor(monitor: Monitor) -> list[str]:
    """Lines for a terminal."""
    recipe, report = monitor.recipe, monitor.report
    counts = report.counts
    lines = [
        f"{recipe.name}: {recipe.signal.value} at layer {recipe.layer} of {monitor.model.model} ({monitor.model.short}), "
        f"{recipe.rule.aggregation.value} over {recipe.rule.tokens.value} token; made {monitor.made_at}",
        f"Digest {monitor.sha256}",
        say_bound(monitor),
        f"Alarm above {monitor.threshold:.6g}. Texts: {counts.fit} and {counts.fit_cases} cases fitted, {counts.calibration} "
        f"calibrated, {counts.test} and {counts.cases} cases measured on.",
        f"Monitor [observational]: {_say_found(report.found)}",
        *(f"  {NAMES[one.signal.value]} [observational]: {_say_found(one.found)}" for one in report.baselines),
        say_comparison(monitor),
        f"Lead over it: {_say(report.lead, 'fewer than 20 cases that both detect at a token')}.",
        f"{say_causal(monitor)} [causal]",
        f"Drift: CUSUM limit {report.drift.limit:.3g}; run length to a false alarm, simulated: {format_estimate(report.drift.run_length)}.",
        f"Cost: {report.multiply_adds:,} multiply-adds a token beside the pass; `monitor check` times it.",
        say_validity(monitor),
    ]
    if report.auroc is not None:
        lines.append(f"Footnote: AUROC {report.auroc:.3f}, over all thresholds; the monitor has one.")
    return lines


def _say_found(found: Found) -> str:
    return (
        f"detects {_say(found.detection, 'no cases')}; false alarms {format_estimate(found.false_alarms)}; "
        f"delay {_say(found.delay, 'fewer than 20 with a token')}"
    )


def _say(estimate: Estimate | None, why: str) -> str:
    return f"not measured: {why}" if estimate is None else format_estimate(estimate)
