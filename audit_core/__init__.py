"""Assay's library: causal tests of claimed explanations of language models.

The public API: pages and programs import from here only. Importing it does not import torch.
"""

# First: model libraries read these variables once, at import.
import audit_core.telemetry  # noqa: F401
from audit_core.assessment.questions import Assessment
from audit_core.attention.agreement import Agreement
from audit_core.attention.pattern_test import PatternFinding, PatternTest
from audit_core.attention.plausibility import Source, list_sources
from audit_core.attention.randomisation import Dependence, Randomisation, ViewRandomised
from audit_core.audits.ablation import AblationRequest, AblationResult, describe_ablation
from audit_core.audits.attention import AttentionRequest, AttentionResult, find_attention_line
from audit_core.audits.attention_tests import AttentionTestsRequest, AttentionTestsResult
from audit_core.audits.circuit import CircuitRequest, CircuitResult
from audit_core.audits.claim_test import ClaimTestRequest, ClaimTestResult
from audit_core.audits.confirmation import CIRCUIT_QUESTIONS, ConfirmationRequest, ConfirmationResult
from audit_core.audits.curve import CurvePoint, CurveRequest, CurveResult
from audit_core.audits.discover import DiscoverRequest, DiscoverResult
from audit_core.audits.edges import EdgesRequest, EdgesResult
from audit_core.audits.paths import ConnectionEffect, PathsRequest, PathsResult
from audit_core.audits.positions import Place, PositionsRequest, PositionsResult
from audit_core.audits.recomposition import ComponentShare, RecompositionRequest, RecompositionResult
from audit_core.audits.rival import AlternativeCircuit, RivalRequest, RivalResult
from audit_core.audits.specificity import OtherTask, SpecificityRequest, SpecificityResult, TaskLoss
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
from audit_core.assessment.balance import Balance, sort_findings
from audit_core.calibration.report import (
    RULES, Calibration, SystematicError, Tally, describe_census, describe_origin, describe_share, list_shares, list_tallies,
    load_calibration, quote_calibration,
)  # fmt: skip
from audit_core.change.effect_diff import EffectChange, EffectDiff, EffectQuestion, measure_effect_diff
from audit_core.change.model_diff import ComponentDiff, ModelDiff, TensorChange, TensorDiff, compare_models
from audit_core.change.regression import Outcome, Regression
from audit_core.change.revalidation import Artefact, Revalidated, Revalidation, rerun_stale, revalidate_claims
from audit_core.change.tokenizer_diff import KeyChange, TokenizerDiff, VocabularyDiff
from audit_core.prompts.chat import CHAT_SUFFIX, render_chat
from audit_core.circuits.circuit import Circuit, read_components
from audit_core.circuits.circuit_question import CircuitQuestion
from audit_core.circuits.completeness import Gap, MinimalityScore
from audit_core.circuits.curve import Areas
from audit_core.claim import Claim, Role, Universe, dump_claim, load_claim, parse_claim
from audit_core.component import Component, Kind, format_components, head, mlp, parse_component, parse_components
from audit_core.confirm import Confirmation, freeze_claim, predict_attempt_s, run_confirmatory
from audit_core.connection import Connection, Terminal, Through, list_connections, parse_connection
from audit_core.judging.shift import DistributionShift
from audit_core.effect import Controls
from audit_core.engine.threads import spare_a_core, use_all_cores
from audit_core.errors import (
    AccessRefused, AuditError, Cancelled, ClaimRefused, ComponentRefused, ControlFailed, DecisionRefused,
    IntegrityError, InterventionRefused, ModelRefused, NotMeasured, PolicyRefused, PromptRefused, QueueFull, Refused,
    StoreRefused,
)  # fmt: skip
from audit_core.evidence.keys import list_people
from audit_core.governance.approval import name_person
from audit_core.governance.gate import GateResult, GateRow
from audit_core.governance.kpi import KeyFigure, list_process_figures
from audit_core.governance.people import (
    LOCAL_PERSON, PERMISSIONS, Permission, Person, PersonRole, identify_person, read_person_id, require, require_recent,
)  # fmt: skip
from audit_core.governance.policy import Policy, load_policy
from audit_core.governance.role_map import RoleMap, load_role_map, parse_role_map
from audit_core.prompts.found_templates import find_templates
from audit_core.stats.groups import GroupEstimates
from audit_core.home.cost import AnswerTally, CostReport, KindCost, Seconds, read_costs
from audit_core.home.claim_history import AttemptLine, ClaimHistory, read_claim_history
from audit_core.home.evidence_counts import EvidenceCount, list_evidence_counts
from audit_core.home.home_records import HomeFacts, read_home
from audit_core.home.model_sheet import ModelSheet, count_done, list_model_names, read_sheet
from audit_core.home.portfolio import ModelLine, Trend, follow_figures, list_models
from audit_core.home.result_page import render_result
from audit_core.home.claim_status import CardState, ClaimSummary, ClaimStatus, judge_sentence, read_claim_statuses
from audit_core.intervention import CLEAN_RUN, Direction, Intervention, Replacement, describe_replacement, intervene
from audit_core.jobs import JobManager, JobState, Report, Snapshot
from audit_core.ledger import Ledger, read_ledger
from audit_core.stats.measurement import Conditions, Measurement
from audit_core.stats.mediation import Mediation
from audit_core.prompts.measurable import keep_measurable
from audit_core.models import (
    KNOWN_MODELS, LINK, PAGE, ModelAccess, ModelIdentity, ModelOrigin, find_known, find_origin, model_cache, resolve_model,
)  # fmt: skip
from audit_core.models.imported_card import ImportedCard, read_card
from audit_core.packs.pack import ExportOptions, export_pack
from audit_core.preregistration import Preregistration, PriorAccess
from audit_core.prompt_files.reading import FoundColumns, ReadRows, find_columns, read_row_file, read_rows
from audit_core.prompts.alignment import Alignment, align_rows, tokenise
from audit_core.prompts.prompt_set import (
    Prompt, PromptForm, PromptSet, TokenPair, TokenisedPrompts, is_exploratory, keep_valid, load_prompts, parse_prompts, take_split,
    SetAside, drop_repeats,
)  # fmt: skip
from audit_core.references.crosswalk import (
    ClauseCheck,
    Crosswalk,
    CrosswalkRow,
    Framework,
    Relation,
    RowCount,
    load_crosswalk,
)
from audit_core.references.governance_map import (
    COVERAGE_WORDS, Architecture, AuditFit, CapabilityMatrix, Coverage, Demand, GovernanceMap, list_capabilities,
    load_governance_map,
)  # fmt: skip
from audit_core.references.model_class import ModelClass, Setting, find_architecture, read_architecture
from audit_core.references.procurement import (
    Answer, AnswerCount, AnswerWord, Checklist, ChecklistItem, FilledChecklist, count_answers, load_checklist,
)  # fmt: skip
from audit_core.references.procurement_export import (
    ANSWER_COLUMNS, describe_count, dump_filled, list_answer_rows, write_filled_csv, write_filled_html,
)  # fmt: skip
from audit_core.registry import get_plugin, list_plugins
from audit_core.judging.repair import Backup, Repair
from audit_core.review.case_file import CaseFile, ClaimReading, open_case
from audit_core.review.checked_pack import load_home_trust
from audit_core.review.desk import APPROVAL_DAYS, assemble_pack, decide, list_cases, take_pack
from audit_core.review.desk_rules import Case, Decider, ReviewDecision
from audit_core.review.review_agreement import ReviewAgreement, measure_agreement
from audit_core.run import Actor, Auditor, RunOutcome, find_folder, open_subject, record_refusal
from audit_core.shipped import list_circuits, list_policies, list_prompt_sets, load_prompt_set, load_shipped_policy
from audit_core.stats.bootstrap import rank_agreement
from audit_core.stats.estimates import Estimate, format_estimate
from audit_core.store import (
    AuditEvent, ChecklistDraft, Checklists, ClaimRun, KnownPerson, PersonLog, Register, RegisteredClaim, RunLog,
    RunRecord, AuditLogView, audit_home, find_refusal, keep_prompts, load_kept_prompts, load_key, make_key, note_opened,
    read_log_view, sign_checkpoint_now, describe_refusal, was_opened,
)  # fmt: skip
from audit_core.store.claims.card_claims import CardClaim, add_card_claim, link_card_claim, list_card_claims
from audit_core.store.claims.change_log import StaleRow, declare_incident, list_stale
from audit_core.store.desk.desk_rows import DeskDecision, DeskPack
from audit_core.story import MeasuredWith, Story, StoryClaim, StoryHead, StoryPrompts, load_story
from audit_core.subject import Subject
from audit_core.subjects.planted import PLANTED_MODELS, find_planted
from audit_core.subjects.planted.key import PlantedClaim, PlantedModel, PlantedRole, PlantedTask
from audit_core.tables import estimate_cells, make_table, shade_rows, to_csv
from audit_core.judging.trial import NullFinding
from audit_core.trigger import Trigger, TriggerKind
from audit_core.judging.verdict import REASONS, State, Verdict
from audit_core.version import VERSION as __version__  # noqa: F401
from audit_core.view import View

__all__ = [
    "ANSWER_COLUMNS",
    "APPROVAL_DAYS",
    "CHAT_SUFFIX",
    "CIRCUIT_QUESTIONS",
    "CLEAN_RUN",
    "COVERAGE_WORDS",
    "KNOWN_MODELS",
    "LINK",
    "LOCAL_PERSON",
    "PAGE",
    "PERMISSIONS",
    "PLANTED_MODELS",
    "REASONS",
    "RULES",
    "AblationRequest",
    "AblationResult",
    "AccessRefused",
    "Actor",
    "Agreement",
    "Alignment",
    "AlternativeCircuit",
    "Answer",
    "AnswerCount",
    "AnswerTally",
    "AnswerWord",
    "Architecture",
    "Areas",
    "Artefact",
    "Assessment",
    "AttemptLine",
    "AttentionRequest",
    "AttentionResult",
    "AttentionTestsRequest",
    "AttentionTestsResult",
    "AuditError",
    "AuditEvent",
    "AuditFit",
    "AuditLogView",
    "Auditor",
    "Backup",
    "Balance",
    "Calibration",
    "Cancelled",
    "CapabilityMatrix",
    "CardClaim",
    "CardState",
    "Case",
    "CaseFile",
    "Checklist",
    "ChecklistDraft",
    "ChecklistItem",
    "Checklists",
    "Circuit",
    "CircuitQuestion",
    "CircuitRequest",
    "CircuitResult",
    "Claim",
    "ClaimHistory",
    "ClaimReading",
    "ClaimRefused",
    "ClaimRun",
    "ClaimStatus",
    "ClaimSummary",
    "ClaimTestRequest",
    "ClaimTestResult",
    "ClauseCheck",
    "Component",
    "ComponentDiff",
    "ComponentRefused",
    "ComponentShare",
    "Conditions",
    "Confirmation",
    "ConfirmationRequest",
    "ConfirmationResult",
    "Connection",
    "ConnectionEffect",
    "ControlFailed",
    "Controls",
    "CostReport",
    "Coverage",
    "Crosswalk",
    "CrosswalkRow",
    "CurvePoint",
    "CurveRequest",
    "CurveResult",
    "Decider",
    "DecisionRefused",
    "Demand",
    "Dependence",
    "DeskDecision",
    "DeskPack",
    "Direction",
    "DiscoverRequest",
    "DiscoverResult",
    "DistributionShift",
    "EdgesRequest",
    "EdgesResult",
    "EffectChange",
    "EffectDiff",
    "EffectQuestion",
    "Estimate",
    "EstimatedEffects",
    "EvidenceCount",
    "ExportOptions",
    "FilledChecklist",
    "FoundColumns",
    "Framework",
    "Gap",
    "GateResult",
    "GateRow",
    "GovernanceMap",
    "GroupEstimates",
    "HeldOut",
    "HomeFacts",
    "ImportedCard",
    "IntegrityError",
    "Intervention",
    "InterventionRefused",
    "JobManager",
    "JobState",
    "KeyChange",
    "KeyFigure",
    "Kind",
    "KindCost",
    "KnownPerson",
    "Ledger",
    "MeasuredWith",
    "Measurement",
    "Mediation",
    "MinimalityScore",
    "ModelAccess",
    "ModelClass",
    "ModelDiff",
    "ModelIdentity",
    "ModelLine",
    "ModelOrigin",
    "ModelRefused",
    "ModelSheet",
    "NotMeasured",
    "NullFinding",
    "OtherTask",
    "Outcome",
    "PathsRequest",
    "PathsResult",
    "PatternFinding",
    "PatternTest",
    "Permission",
    "Person",
    "PersonLog",
    "PersonRole",
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
    "PromptForm",
    "PromptRefused",
    "PromptSet",
    "QueueFull",
    "Randomisation",
    "ReadRows",
    "RecompositionRequest",
    "RecompositionResult",
    "Refused",
    "Register",
    "RegisteredClaim",
    "Regression",
    "Relation",
    "Repair",
    "Replacement",
    "Report",
    "Revalidated",
    "Revalidation",
    "ReviewAgreement",
    "ReviewDecision",
    "RivalRequest",
    "RivalResult",
    "Role",
    "RoleMap",
    "RowCount",
    "RunLog",
    "RunOutcome",
    "RunRecord",
    "Seconds",
    "SelectionFrequency",
    "SetAside",
    "Setting",
    "Snapshot",
    "Source",
    "SpecificityRequest",
    "SpecificityResult",
    "StabilityRequest",
    "StabilityResult",
    "StaleRow",
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
    "SystematicError",
    "Tally",
    "TaskLoss",
    "TensorChange",
    "TensorDiff",
    "Terminal",
    "Through",
    "TokenGradientsRequest",
    "TokenGradientsResult",
    "TokenPair",
    "TokenisedPrompts",
    "TokenizerDiff",
    "TransferRequest",
    "TransferResult",
    "Trend",
    "Trigger",
    "TriggerKind",
    "Universe",
    "Verdict",
    "View",
    "ViewRandomised",
    "VocabularyDiff",
    "add_card_claim",
    "align_rows",
    "assemble_pack",
    "audit_home",
    "compare_models",
    "count_answers",
    "count_done",
    "decide",
    "declare_incident",
    "describe_ablation",
    "describe_census",
    "describe_count",
    "describe_origin",
    "describe_refusal",
    "describe_replacement",
    "describe_share",
    "drop_repeats",
    "dump_claim",
    "dump_filled",
    "estimate_cells",
    "export_pack",
    "find_architecture",
    "find_attention_line",
    "find_columns",
    "find_effect_line",
    "find_folder",
    "find_known",
    "find_origin",
    "find_planted",
    "find_refusal",
    "find_templates",
    "follow_figures",
    "format_components",
    "format_estimate",
    "freeze_claim",
    "get_plugin",
    "head",
    "identify_person",
    "intervene",
    "is_exploratory",
    "judge_sentence",
    "keep_measurable",
    "keep_prompts",
    "keep_valid",
    "link_card_claim",
    "list_answer_rows",
    "list_capabilities",
    "list_card_claims",
    "list_cases",
    "list_cells",
    "list_circuits",
    "list_connections",
    "list_evidence_counts",
    "list_model_names",
    "list_models",
    "list_people",
    "list_plugins",
    "list_policies",
    "list_process_figures",
    "list_prompt_sets",
    "list_shares",
    "list_sources",
    "list_stale",
    "list_tallies",
    "load_calibration",
    "load_checklist",
    "load_claim",
    "load_crosswalk",
    "load_governance_map",
    "load_home_trust",
    "load_kept_prompts",
    "load_key",
    "load_policy",
    "load_prompt_set",
    "load_prompts",
    "load_role_map",
    "load_shipped_policy",
    "load_story",
    "make_key",
    "make_table",
    "measure_agreement",
    "measure_effect_diff",
    "mlp",
    "model_cache",
    "name_person",
    "note_opened",
    "open_case",
    "open_subject",
    "parse_claim",
    "parse_component",
    "parse_components",
    "parse_connection",
    "parse_prompts",
    "parse_role_map",
    "predict_attempt_s",
    "quote_calibration",
    "rank_agreement",
    "read_architecture",
    "read_card",
    "read_claim_history",
    "read_claim_statuses",
    "read_components",
    "read_costs",
    "read_home",
    "read_ledger",
    "read_log_view",
    "read_person_id",
    "read_row_file",
    "read_rows",
    "read_sheet",
    "record_refusal",
    "render_chat",
    "render_result",
    "require",
    "require_recent",
    "rerun_stale",
    "resolve_model",
    "revalidate_claims",
    "run_confirmatory",
    "shade_rows",
    "sign_checkpoint_now",
    "sort_findings",
    "spare_a_core",
    "take_pack",
    "take_split",
    "to_csv",
    "tokenise",
    "use_all_cores",
    "was_opened",
    "write_filled_csv",
    "write_filled_html",
]  # fmt: skip
