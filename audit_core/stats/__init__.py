"""Statistics: estimates, bootstrap intervals, groups, multiplicity, mediation; independent of models."""

from audit_core.stats.bootstrap import rank_agreement
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.stats.groups import GroupEstimates
from audit_core.stats.measurement import Conditions, Measurement
from audit_core.stats.mediation import Mediation

__all__ = [
    "Conditions",
    "Estimate",
    "GroupEstimates",
    "Measurement",
    "Mediation",
    "format_estimate",
    "rank_agreement",
]
