"""Calibration of the verdict rule: planted samples, a census of heads, the report."""

from audit_core.calibration.report import (
    RULES,
    Calibration,
    SystematicError,
    Tally,
    describe_census,
    describe_origin,
    describe_share,
    list_shares,
    list_tallies,
    load_calibration,
    quote_calibration,
)

__all__ = [
    "RULES",
    "Calibration",
    "SystematicError",
    "Tally",
    "describe_census",
    "describe_origin",
    "describe_share",
    "list_shares",
    "list_tallies",
    "load_calibration",
    "quote_calibration",
]
