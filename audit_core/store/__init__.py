"""What is kept between runs."""

from audit_core.store.checklist import ChecklistDraft, Checklists
from audit_core.store.checkpoints import AnchorKind, LogStatus, anchor_checkpoint, make_checkpoint, read_status
from audit_core.store.database import open_database
from audit_core.store.events import Action, AuditEvent, append_event, list_events
from audit_core.store.home import audit_home, keep_prompts, load_kept_prompts
from audit_core.store.log import ClaimRun, RunLog, RunRecord, RunStart, Unended, list_unended
from audit_core.store.people import KnownPerson, PersonLog, find_refusal, tell_refusal
from audit_core.store.register import Register, RegisteredClaim, Sightings
from audit_core.store.trail import Trail, read_trail, sign_checkpoint_now
from audit_core.store.verification import Fault, Finding, Verification, verify_log

__all__ = [
    "Action",
    "AnchorKind",
    "AuditEvent",
    "ChecklistDraft",
    "Checklists",
    "ClaimRun",
    "Fault",
    "Finding",
    "KnownPerson",
    "LogStatus",
    "PersonLog",
    "Register",
    "RegisteredClaim",
    "RunLog",
    "RunRecord",
    "RunStart",
    "Sightings",
    "Trail",
    "Unended",
    "Verification",
    "anchor_checkpoint",
    "append_event",
    "audit_home",
    "find_refusal",
    "keep_prompts",
    "list_events",
    "list_unended",
    "load_kept_prompts",
    "make_checkpoint",
    "open_database",
    "read_status",
    "read_trail",
    "sign_checkpoint_now",
    "tell_refusal",
    "verify_log",
]
