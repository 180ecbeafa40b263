"""What is kept between runs."""

from audit_core.store.checklist import ChecklistDraft, Checklists
from audit_core.store.checkpoints import AnchorKind, Carried, LogStatus, anchor_checkpoint, make_checkpoint, read_status
from audit_core.store.database import open_database
from audit_core.store.events import Action, AuditEvent, append_event, list_events
from audit_core.store.findings import Fault, Finding
from audit_core.store.home import audit_home, keep_prompts, load_kept_prompts
from audit_core.store.log import ClaimRun, RunLog, RunRecord, RunStart, Unended, list_unended
from audit_core.store.log_key import revoke_log_key, rotate_log_key
from audit_core.store.opened_models import note_opened, was_opened
from audit_core.store.people import KnownPerson, PersonLog, find_refusal, tell_refusal
from audit_core.store.person_keys import PersonKey, list_keys, load_key, make_key, revoke_key, rotate_key
from audit_core.store.register import Register, RegisteredClaim, Sightings
from audit_core.store.trail import Trail, read_trail, sign_checkpoint_now
from audit_core.store.verification import Verification, verify_log
from audit_core.store.verify_checkpoints import RevokedKey

__all__ = [
    "Action",
    "AnchorKind",
    "AuditEvent",
    "Carried",
    "ChecklistDraft",
    "Checklists",
    "ClaimRun",
    "Fault",
    "Finding",
    "KnownPerson",
    "LogStatus",
    "PersonKey",
    "PersonLog",
    "Register",
    "RegisteredClaim",
    "RevokedKey",
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
    "list_keys",
    "list_unended",
    "load_kept_prompts",
    "load_key",
    "make_checkpoint",
    "make_key",
    "note_opened",
    "open_database",
    "read_status",
    "read_trail",
    "revoke_key",
    "revoke_log_key",
    "rotate_key",
    "rotate_log_key",
    "sign_checkpoint_now",
    "tell_refusal",
    "verify_log",
    "was_opened",
]
