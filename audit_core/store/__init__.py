"""Persistent storage: data directory, database, audit log, claims register, review desk, keys."""

from audit_core.store.claims.card_claims import CardClaim, add_card_claim, link_card_claim, list_card_claims
from audit_core.store.claims.change_log import StaleRow, declare_incident, list_stale
from audit_core.store.claims.earlier_runs import EarlierAccess
from audit_core.store.claims.register import Register, RegisteredClaim
from audit_core.store.data_directory import audit_home, keep_policy, keep_prompts, load_kept_prompts
from audit_core.store.database.checkpoints import (
    AnchorKind,
    LogStatus,
    UnanchoredExport,
    anchor_checkpoint,
    make_checkpoint,
    read_status,
)
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, AuditEvent, append_event, list_events
from audit_core.store.desk.checklist import ChecklistDraft, Checklists
from audit_core.store.desk.desk_rows import DeskDecision, DeskPack
from audit_core.store.feature_labels import MAX_LABEL, FeatureLabel, FeatureLabels, LabelEvidence, list_current
from audit_core.store.findings.finding import (
    ACTIVE_STATUSES,
    FINDING_LIMITS,
    FindingChange,
    FindingDraft,
    FindingEdit,
    FindingStatus,
    FindingStep,
    RegisteredFinding,
)
from audit_core.store.findings.register import FindingRegister
from audit_core.store.keys.log_key import revoke_log_key, rotate_log_key
from audit_core.store.keys.person_keys import PersonKey, list_keys, load_key, make_key, revoke_key, rotate_key
from audit_core.store.log.findings import Fault, Finding
from audit_core.store.log.frozen_questions import FrozenQuestion, list_frozen_questions
from audit_core.store.log.policies import (
    PolicyRetirement,
    SavedPolicy,
    keep_policy_in_force,
    list_current_policies,
    list_policies,
    load_saved_policy,
    retire_policy,
)
from audit_core.store.log.run_log import ClaimRun, RunLog, RunRecord, RunStart, Unended, list_unended
from audit_core.store.log.trail import AuditLogView, read_log_view, sign_checkpoint_now
from audit_core.store.log.verification import Verification, verify_log
from audit_core.store.log.verify_checkpoints import RevokedKey
from audit_core.store.opened_models import note_opened, was_opened
from audit_core.store.people.person_log import KnownPerson, PersonLog, describe_refusal, find_refusal
from audit_core.store.prompt_split import divide_prompts

__all__ = [
    "ACTIVE_STATUSES",
    "FINDING_LIMITS",
    "MAX_LABEL",
    "Action",
    "AnchorKind",
    "AuditEvent",
    "AuditLogView",
    "CardClaim",
    "ChecklistDraft",
    "Checklists",
    "ClaimRun",
    "DeskDecision",
    "DeskPack",
    "EarlierAccess",
    "Fault",
    "FeatureLabel",
    "FeatureLabels",
    "Finding",
    "FindingChange",
    "FindingDraft",
    "FindingEdit",
    "FindingRegister",
    "FindingStatus",
    "FindingStep",
    "FrozenQuestion",
    "KnownPerson",
    "LabelEvidence",
    "LogStatus",
    "PersonKey",
    "PersonLog",
    "PolicyRetirement",
    "Register",
    "RegisteredClaim",
    "RegisteredFinding",
    "RevokedKey",
    "RunLog",
    "RunRecord",
    "RunStart",
    "SavedPolicy",
    "StaleRow",
    "UnanchoredExport",
    "Unended",
    "Verification",
    "add_card_claim",
    "anchor_checkpoint",
    "append_event",
    "audit_home",
    "declare_incident",
    "describe_refusal",
    "divide_prompts",
    "find_refusal",
    "keep_policy",
    "keep_policy_in_force",
    "keep_prompts",
    "link_card_claim",
    "list_card_claims",
    "list_current",
    "list_current_policies",
    "list_events",
    "list_frozen_questions",
    "list_keys",
    "list_policies",
    "list_stale",
    "list_unended",
    "load_kept_prompts",
    "load_key",
    "load_saved_policy",
    "make_checkpoint",
    "make_key",
    "note_opened",
    "open_database",
    "read_log_view",
    "read_status",
    "retire_policy",
    "revoke_key",
    "revoke_log_key",
    "rotate_key",
    "rotate_log_key",
    "sign_checkpoint_now",
    "verify_log",
    "was_opened",
]
