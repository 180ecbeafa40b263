"""Monitors: a frozen signal on a layer with a bounded false-alarm rate, beside output-only baselines at the same rate.

A `Monitor` is fitted on texts, calibrated on others, and measured on a third part; it is one file that runs without the dashboard.
What it detects is observed. Whether the output depends on what it reads is measured by ablation, and stands apart.
"""

from audit_core.monitors.calibration import Guarantee, Threshold, count_needed, set_threshold
from audit_core.monitors.causal import CausalStep, Reads
from audit_core.monitors.drift import DriftFound, DriftRule
from audit_core.monitors.evaluation import Baseline, Found
from audit_core.monitors.fitting import fit_monitor
from audit_core.monitors.monitor import Example, Monitor, Recipe, Report
from audit_core.monitors.planted import make_planted_texts
from audit_core.monitors.running import MonitorRun, TextResult, run_monitor
from audit_core.monitors.scoring import Aggregation, OutputSignal, TextRule, TokenRule
from audit_core.monitors.signals import SignalKind
from audit_core.monitors.store import dump_monitor, load_monitor, parse_monitor, save_monitor
from audit_core.monitors.texts import MonitorText, read_texts

__all__ = [
    "Aggregation",
    "Baseline",
    "CausalStep",
    "DriftFound",
    "DriftRule",
    "Example",
    "Found",
    "Guarantee",
    "Monitor",
    "MonitorRun",
    "MonitorText",
    "OutputSignal",
    "Reads",
    "Recipe",
    "Report",
    "SignalKind",
    "TextResult",
    "TextRule",
    "Threshold",
    "TokenRule",
    "count_needed",
    "dump_monitor",
    "fit_monitor",
    "load_monitor",
    "make_planted_texts",
    "parse_monitor",
    "read_texts",
    "run_monitor",
    "save_monitor",
    "set_threshold",
]
