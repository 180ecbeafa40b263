"""Mixtures of experts: what the routers do beside what the experts do, measured in one run."""

from audit_core.mixture.measurement import ExpertsRequest
from audit_core.mixture.results import (
    ExpertRow,
    ExpertsResult,
    ForcedRoute,
    JointEffect,
    MaskSplit,
    ScreenAgreement,
    SharedRow,
    WeightCurve,
    WeightPoint,
)

__all__ = [
    "ExpertRow",
    "ExpertsRequest",
    "ExpertsResult",
    "ForcedRoute",
    "JointEffect",
    "MaskSplit",
    "ScreenAgreement",
    "SharedRow",
    "WeightCurve",
    "WeightPoint",
]
