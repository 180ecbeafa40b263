"""Plug-ins: audits, one question per file."""

from audit_core.audits.ablation import AblationRequest, AblationResult, describe_ablation
from audit_core.audits.attention import AttentionRequest, AttentionResult, find_attention_line
from audit_core.audits.attention_tests import AttentionTestsRequest, AttentionTestsResult
from audit_core.audits.both_sides import BothSidesRequest, BothSidesResult, SideHeadRow
from audit_core.audits.circuit import CircuitRequest, CircuitResult
from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.audits.confirmation import ConfirmationRequest, ConfirmationResult
from audit_core.audits.curve import CurvePoint, CurveRequest, CurveResult
from audit_core.audits.discover import DiscoverRequest, DiscoverResult
from audit_core.audits.edges import EdgesRequest, EdgesResult
from audit_core.audits.explanations import ExplanationsRequest
from audit_core.audits.paths import ConnectionEffect, PathsRequest, PathsResult
from audit_core.audits.positions import Place, PositionsRequest, PositionsResult
from audit_core.audits.rationale import RationaleRequest
from audit_core.audits.recomposition import ComponentShare, RecompositionRequest, RecompositionResult
from audit_core.audits.rival import AlternativeCircuit, RivalRequest, RivalResult
from audit_core.audits.robustness import RobustnessRequest, RobustnessResult, RobustnessRow
from audit_core.audits.source_tokens import SourceRow, SourceTokensRequest, SourceTokensResult
from audit_core.audits.specificity import SpecificityRequest, SpecificityResult, TaskLoss
from audit_core.audits.stability import SelectionFrequency, StabilityRequest, StabilityResult
from audit_core.audits.sweep import (
    EstimatedEffects,
    SweepPartial,
    SweepRequest,
    SweepResult,
    find_effect_line,
    list_cells,
)
from audit_core.audits.token_gradients import TokenGradientsRequest, TokenGradientsResult
from audit_core.audits.transfer import HeldOut, TransferRequest, TransferResult
from audit_core.explanations.results import AgreementRow, CurveRow, ExplanationsResult, MethodRow, Strip
from audit_core.mixture import (
    ExpertRow,
    ExpertsRequest,
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
    "AblationRequest",
    "AblationResult",
    "AgreementRow",
    "AlternativeCircuit",
    "AttentionRequest",
    "AttentionResult",
    "AttentionTestsRequest",
    "AttentionTestsResult",
    "BothSidesRequest",
    "BothSidesResult",
    "CircuitRequest",
    "CircuitResult",
    "ClaimTestRequest",
    "ClaimTestResult",
    "ComponentShare",
    "ConfirmationRequest",
    "ConfirmationResult",
    "ConnectionEffect",
    "CurvePoint",
    "CurveRequest",
    "CurveResult",
    "CurveRow",
    "DiscoverRequest",
    "DiscoverResult",
    "EdgesRequest",
    "EdgesResult",
    "EstimatedEffects",
    "ExpertRow",
    "ExpertsRequest",
    "ExpertsResult",
    "ExplanationsRequest",
    "ExplanationsResult",
    "ForcedRoute",
    "HeldOut",
    "JointEffect",
    "MaskSplit",
    "MethodRow",
    "PathsRequest",
    "PathsResult",
    "Place",
    "PositionsRequest",
    "PositionsResult",
    "RationaleRequest",
    "RecompositionRequest",
    "RecompositionResult",
    "RivalRequest",
    "RivalResult",
    "RobustnessRequest",
    "RobustnessResult",
    "RobustnessRow",
    "ScreenAgreement",
    "SelectionFrequency",
    "SharedRow",
    "SideHeadRow",
    "SourceRow",
    "SourceTokensRequest",
    "SourceTokensResult",
    "SpecificityRequest",
    "SpecificityResult",
    "StabilityRequest",
    "StabilityResult",
    "Strip",
    "SweepPartial",
    "SweepRequest",
    "SweepResult",
    "TaskLoss",
    "TokenGradientsRequest",
    "TokenGradientsResult",
    "TransferRequest",
    "TransferResult",
    "WeightCurve",
    "WeightPoint",
    "describe_ablation",
    "find_attention_line",
    "find_effect_line",
    "list_cells",
]
