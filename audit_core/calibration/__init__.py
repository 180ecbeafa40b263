"""Calibration of the verdict rule: planted samples, a census of heads, the report."""

from audit_core.calibration.designs import describe_below, list_below_rows, load_designs
from audit_core.calibration.experts import ExpertCalibration, describe_expert_origin, list_expert_shares
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
    "RULES",
    "Calibration",
    "ExpertCalibration",
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
    "list_below_rows",
    "list_expert_shares",
    "list_range_shares",
    "list_shares",
    "list_tallies",
    "load_calibration",
    "load_designs",
    "quote_calibration",
]
