"""Assay's library: test, causally, whether a claimed explanation of a language model holds.

Pages and programs import from here and nowhere deeper. Nothing in this list imports torch.
"""

from audit_core.agreement import Agreement
from audit_core.assessment import Assessment
from audit_core.audits.ablation import AblationRequest, AblationResult, describe_ablation
from audit_core.audits.attention import AttentionRequest, AttentionResult, find_looks_line
from audit_core.audits.attention_tests import AttentionTestsRequest, AttentionTestsResult
from audit_core.audits.circuit import CircuitRequest, CircuitResult
from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.audits.confirmation import CIRCUIT_QUESTIONS, ConfirmationRequest, ConfirmationResult
from audit_core.audits.curve import CurvePoint, CurveRequest, CurveResult
from audit_core.audits.discover import DiscoverRequest, DiscoverResult
from audit_core.audits.edges import EdgesRequest, EdgesResult
from audit_core.audits.paths import ConnectionEffect, PathsRequest, PathsResult
from audit_core.audits.positions import Place, PositionsRequest, PositionsResult
from audit_core.audits.recomposition import Part, RecompositionRequest, RecompositionResult
from audit_core.audits.rival import Rival, RivalRequest, RivalResult
from audit_core.audits.specificity import OtherTask, SpecificityRequest, SpecificityResult, TaskLoss
from audit_core.audits.stability import Kept, StabilityRequest, StabilityResult
from audit_core.audits.sweep import Screened, SweepPartial, SweepRequest, SweepResult, find_effect_line, list_cells
from audit_core.audits.token_gradients import TokenGradientsRequest, TokenGradientsResult
from audit_core.audits.transfer import HeldOut, TransferRequest, TransferResult
from audit_core.balance import Balance, sort_findings
from audit_core.calibration_report import (
    RULES, Calibration, Fooled, Tally, describe_census, describe_origin, describe_share, list_shares, list_tallies,
    load_calibration, quote_calibration,
)  # fmt: skip
from audit_core.circuit import Circuit, read_components
from audit_core.circuit_question import CircuitQuestion
from audit_core.claim import Claim, Role, Universe, dump_claim, load_claim, parse_claim
from audit_core.completeness import Gap, Worth
from audit_core.component import Component, Kind, format_components, head, mlp, parse_component, parse_components
from audit_core.confirm import Confirmation, freeze_claim, predict_attempt_s, run_confirmatory
from audit_core.connection import Connection, Terminal, Through, list_connections, parse_connection
from audit_core.cost import AnswerCount, CostReport, KindCost, Seconds, read_costs
from audit_core.curve import Areas
from audit_core.dossier import AttemptLine, Dossier, read_dossier
from audit_core.drift import Drift
from audit_core.effect import Controls
from audit_core.engine.threads import leave_a_core, take_all_cores
from audit_core.errors import (
    AuditError, Cancelled, ClaimRefused, ComponentRefused, ControlFailed, IntegrityError, InterventionRefused,
    ModelRefused, NotMeasured, PolicyRefused, PromptRefused, Refused, StoreRefused,
)  # fmt: skip
from audit_core.evidence.keys import list_people, load_key
from audit_core.groups import GroupEstimates
from audit_core.intervention import CLEAN_RUN, Direction, Intervention, Replacement, describe_replacement, intervene
from audit_core.jobs import JobManager, JobState, Report, Snapshot
from audit_core.kpi import KeyFigure, list_process_figures
from audit_core.ledger import Ledger, read_ledger
from audit_core.measurement import Conditions, Measurement
from audit_core.mediation import Mediation
from audit_core.models import KNOWN_MODELS, ModelIdentity, find_known, model_cache, resolve_model
from audit_core.pack import Issue, export_pack
from audit_core.pattern_test import PatternFinding, PatternTest
from audit_core.plausibility import Source, list_sources
from audit_core.policy import Policy, load_policy
from audit_core.preregistration import Preregistration, PriorAccess
from audit_core.prompts import (
    Prompt, PromptSet, TokenisedPrompts, TokenPair, is_exploratory, load_prompts, parse_prompts, split_half, tokenise,
)  # fmt: skip
from audit_core.randomisation import Dependence, Randomisation, ViewRandomised
from audit_core.registry import get_plugin, list_plugins
from audit_core.repair import Backup, Repair
from audit_core.result_page import render_result
from audit_core.run import Asker, Auditor, Finished, open_subject, record_refusal
from audit_core.shipped import list_circuits, list_policies, list_prompt_sets, load_prompt_set, load_shipped_policy
from audit_core.statistics import Estimate, format_estimate, rank_agreement
from audit_core.store import (
    AuditEvent, ClaimRun, Register, RegisteredClaim, RunLog, RunRecord, Trail, audit_home, keep_prompts,
    load_kept_prompts, read_trail, sign_checkpoint_now,
)  # fmt: skip
from audit_core.story import MeasuredWith, Story, StoryClaim, StoryHead, StoryPrompts, load_story
from audit_core.subject import Subject
from audit_core.subjects.planted import PLANTED_MODELS, find_planted
from audit_core.subjects.planted.key import PlantedClaim, PlantedModel, PlantedRole, PlantedTask
from audit_core.tables import estimate_cells, make_table, to_csv
from audit_core.trial import NullFinding
from audit_core.verdict import REASONS, State, Verdict
from audit_core.view import View

__all__ = [
    "CIRCUIT_QUESTIONS",
    "CLEAN_RUN",
    "KNOWN_MODELS",
    "PLANTED_MODELS",
    "REASONS",
    "RULES",
    "AblationRequest",
    "AblationResult",
    "Agreement",
    "AnswerCount",
    "Areas",
    "Asker",
    "Assessment",
    "AttemptLine",
    "AttentionRequest",
    "AttentionResult",
    "AttentionTestsRequest",
    "AttentionTestsResult",
    "AuditError",
    "AuditEvent",
    "Auditor",
    "Backup",
    "Balance",
    "Calibration",
    "Cancelled",
    "Circuit",
    "CircuitQuestion",
    "CircuitRequest",
    "CircuitResult",
    "Claim",
    "ClaimRefused",
    "ClaimRun",
    "ClaimTestRequest",
    "ClaimTestResult",
    "Component",
    "ComponentRefused",
    "Conditions",
    "Confirmation",
    "ConfirmationRequest",
    "ConfirmationResult",
    "Connection",
    "ConnectionEffect",
    "ControlFailed",
    "Controls",
    "CostReport",
    "CurvePoint",
    "CurveRequest",
    "CurveResult",
    "Dependence",
    "Direction",
    "DiscoverRequest",
    "DiscoverResult",
    "Dossier",
    "Drift",
    "EdgesRequest",
    "EdgesResult",
    "Estimate",
    "Finished",
    "Fooled",
    "Gap",
    "GroupEstimates",
    "HeldOut",
    "IntegrityError",
    "Intervention",
    "InterventionRefused",
    "Issue",
    "JobManager",
    "JobState",
    "Kept",
    "KeyFigure",
    "Kind",
    "KindCost",
    "Ledger",
    "MeasuredWith",
    "Measurement",
    "Mediation",
    "ModelIdentity",
    "ModelRefused",
    "NotMeasured",
    "NullFinding",
    "OtherTask",
    "Part",
    "PathsRequest",
    "PathsResult",
    "PatternFinding",
    "PatternTest",
    "Place",
    "PlantedClaim",
    "PlantedModel",
    "PlantedRole",
    "PlantedTask",
    "Policy",
    "PolicyRefused",
    "PositionsRequest",
    "PositionsResult",
    "Preregistration",
    "PriorAccess",
    "Prompt",
    "PromptRefused",
    "PromptSet",
    "Randomisation",
    "RecompositionRequest",
    "RecompositionResult",
    "Refused",
    "Register",
    "RegisteredClaim",
    "Repair",
    "Replacement",
    "Report",
    "Rival",
    "RivalRequest",
    "RivalResult",
    "Role",
    "RunLog",
    "RunRecord",
    "Screened",
    "Seconds",
    "Snapshot",
    "Source",
    "SpecificityRequest",
    "SpecificityResult",
    "StabilityRequest",
    "StabilityResult",
    "State",
    "StoreRefused",
    "Story",
    "StoryClaim",
    "StoryHead",
    "StoryPrompts",
    "Subject",
    "SweepPartial",
    "SweepRequest",
    "SweepResult",
    "Tally",
    "TaskLoss",
    "Terminal",
    "Through",
    "TokenGradientsRequest",
    "TokenGradientsResult",
    "TokenPair",
    "TokenisedPrompts",
    "Trail",
    "TransferRequest",
    "TransferResult",
    "Universe",
    "Verdict",
    "View",
    "ViewRandomised",
    "Worth",
    "audit_home",
    "describe_ablation",
    "describe_census",
    "describe_origin",
    "describe_replacement",
    "describe_share",
    "dump_claim",
    "estimate_cells",
    "export_pack",
    "find_effect_line",
    "find_known",
    "find_looks_line",
    "find_planted",
    "format_components",
    "format_estimate",
    "freeze_claim",
    "get_plugin",
    "head",
    "intervene",
    "is_exploratory",
    "keep_prompts",
    "leave_a_core",
    "list_cells",
    "list_circuits",
    "list_connections",
    "list_people",
    "list_plugins",
    "list_policies",
    "list_process_figures",
    "list_prompt_sets",
    "list_shares",
    "list_sources",
    "list_tallies",
    "load_calibration",
    "load_claim",
    "load_kept_prompts",
    "load_key",
    "load_policy",
    "load_prompt_set",
    "load_prompts",
    "load_shipped_policy",
    "load_story",
    "make_table",
    "mlp",
    "model_cache",
    "open_subject",
    "parse_claim",
    "parse_component",
    "parse_components",
    "parse_connection",
    "parse_prompts",
    "predict_attempt_s",
    "quote_calibration",
    "rank_agreement",
    "read_components",
    "read_costs",
    "read_dossier",
    "read_ledger",
    "read_trail",
    "record_refusal",
    "render_result",
    "resolve_model",
    "run_confirmatory",
    "sign_checkpoint_now",
    "sort_findings",
    "split_half",
    "take_all_cores",
    "to_csv",
    "tokenise",
]  # fmt: skip
