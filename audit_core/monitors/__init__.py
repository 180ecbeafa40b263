"""Monitors: a frozen signal on a layer with a bounded false-alarm rate, beside output-only baselines at the same rate.

A `Monitor` is fitted on texts, calibrated on others, and measured on a third part; it is one file that runs without the dashboard.
What it detects is observed. Whether the output depends on what it reads is measured by ablation, as a separate finding.
"""

from audit_core.monitors.alerts import AlertRecorded, record_alert
from audit_core.monitors.calibration import RateBound, Threshold, count_needed, set_threshold
from audit_core.monitors.causal import CausalStep, Reads
from audit_core.monitors.checking import Holds, MonitorCheck, StyleCheck, check_monitor
from audit_core.monitors.describe import (
    NAMES,
    describe_monitor,
    say_bound,
    say_causal,
    say_check,
    say_comparison,
    say_overhead,
    summarise_check,
    summarise_monitor,
)
from audit_core.monitors.drift import DriftFound, DriftRule
from audit_core.monitors.evaluation import Baseline, Found
from audit_core.monitors.expiry import Use, load_use, save_use, say_validity
from audit_core.monitors.fitting import fit_monitor
from audit_core.monitors.monitor import Example, Monitor, Recipe, Report
from audit_core.monitors.overhead import Overhead
from audit_core.monitors.own_texts import write_own_texts
from audit_core.monitors.planted import make_planted_texts
from audit_core.monitors.replay import (
    Outcome,
    Replay,
    Sampling,
    StoredCase,
    describe_replay,
    load_case,
    record_case,
    replay_case,
    save_case,
)
from audit_core.monitors.running import MonitorRun, TextResult, run_monitor
from audit_core.monitors.scoring import Aggregation, OutputSignal, TextRule, TokenRule
from audit_core.monitors.shipped import SHIPPED, load_shipped_check, load_shipped_monitor
from audit_core.monitors.signals import SignalKind
from audit_core.monitors.store import dump_monitor, load_monitor, parse_monitor, save_monitor
from audit_core.monitors.texts import MonitorText, read_texts, tokenise_text

__all__ = [
    "NAMES",
    "SHIPPED",
    "Aggregation",
    "AlertRecorded",
    "Baseline",
    "CausalStep",
    "DriftFound",
    "DriftRule",
    "Example",
    "Found",
    "Holds",
    "Monitor",
    "MonitorCheck",
    "MonitorRun",
    "MonitorText",
    "Outcome",
    "OutputSignal",
    "Overhead",
    "RateBound",
    "Reads",
    "Recipe",
    "Replay",
    "Report",
    "Sampling",
    "SignalKind",
    "StoredCase",
    "StyleCheck",
    "TextResult",
    "TextRule",
    "Threshold",
    "TokenRule",
    "Use",
    "check_monitor",
    "count_needed",
    "describe_monitor",
    "describe_replay",
    "dump_monitor",
    "fit_monitor",
    "load_case",
    "load_monitor",
    "load_shipped_check",
    "load_shipped_monitor",
    "load_use",
    "make_planted_texts",
    "parse_monitor",
    "read_texts",
    "record_alert",
    "record_case",
    "replay_case",
    "run_monitor",
    "save_case",
    "save_monitor",
    "save_use",
    "say_bound",
    "say_causal",
    "say_check",
    "say_comparison",
    "say_overhead",
    "say_validity",
    "set_threshold",
    "summarise_check",
    "summarise_monitor",
    "tokenise_text",
    "write_own_texts",
]
