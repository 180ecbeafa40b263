"""Calibration of the verdict rule: planted samples, a census of heads, the report."""

from audit_core.calibration.designs import describe_below, list_below_rows, load_designs
from audit_core.calibration.experts import ExpertCalibration, describe_expert_origin, list_expert_shares
from audit_core.calibration.other_rules import OtherRules
from audit_core.calibration.other_rules_text import (
    ANSWER_COLUMNS,
    ONE_ANSWER,
    RATE_COLUMNS,
    RULES_TEXT,
    list_answer_rows,
    list_rule_rows,
    list_unrated_rows,
)
from audit_core.calibration.ranges import RangeCalibration, describe_range_origin, list_range_shares
from audit_core.calibration.report import (
    RULES,
    Calibration,
    SystematicError,
    describe_census,
    describe_clustered,
    describe_origin,
    list_shares,
    list_tallies,
    load_calibration,
    quote_calibration,
)
from audit_core.calibration.tallies import Tally, describe_share

__all__ = [
    "ANSWER_COLUMNS",
    "ONE_ANSWER",
    "RATE_COLUMNS",
    "RULES",
    "RULES_TEXT",
    "Calibration",
    "ExpertCalibration",
    "OtherRules",
    "RangeCalibration",
    "SystematicError",
    "Tally",
    "describe_below",
    "describe_census",
    "describe_clustered",
    "describe_expert_origin",
    "describe_origin",
    "describe_range_origin",
    "describe_share",
    "list_answer_rows",
    "list_below_rows",
    "list_expert_shares",
    "list_range_shares",
    "list_rule_rows",
    "list_shares",
    "list_tallies",
    "list_unrated_rows",
    "load_calibration",
    "load_designs",
    "quote_calibration",
]
