"""Statistics: estimates, bootstrap intervals, groups, multiplicity, mediation; independent of models."""

from audit_core.stats.bootstrap import rank_agreement
from audit_core.stats.estimates import MIN_PROMPTS, MIN_TEMPLATES, Estimate, format_estimate
from audit_core.stats.groups import GroupEstimates
from audit_core.stats.measurement import Conditions, Measurement
from audit_core.stats.mediation import Mediation

__all__ = [
    "MIN_PROMPTS",
    "MIN_TEMPLATES",
    "Conditions",
    "Estimate",
    "GroupEstimates",
    "Measurement",
    "Mediation",
    "format_estimate",
    "rank_agreement",
]
