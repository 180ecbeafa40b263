"""Schema of a pack's findings: the current state of each, and the changes that it follows from."""

from __future__ import annotations

from audit_core.verifier.schema_words import (
    CLAIM_ID,
    DATE,
    ID,
    POSITIVE,
    SHA256,
    TEXT,
    TIME,
    WORDS,
    Schema,
    list_of,
    matching,
    one_of,
    record,
)

FINDINGS_MEMBER = "claims/findings.json"
FINDING_STEPS = ("recorded", "changed", "closed", "accepted", "reopened")
FINDING_STATUSES = ("open", "in_remediation", "closed", "accepted")
MAX_FINDINGS, MAX_FINDING_CHANGES = 1_000, 1_000
FINDING_ID: Schema = matching("^F-[0-9]{4,9}$")
_FIELDS: dict[str, Schema] = {
    "severity": WORDS,
    "days": POSITIVE,
    "title": WORDS,
    "finding": WORDS,
    "remediation": TEXT,
    "owner": WORDS,
    "due": DATE,
    "status": one_of(*FINDING_STATUSES),
    "model": TEXT,
    "claims": list_of(CLAIM_ID),
    "runs": list_of(ID),
    "basis": TEXT,
    "policy_sha256": SHA256,
}
_CHANGE: Schema = record(
    {
        "finding_id": FINDING_ID,
        "version": POSITIVE,
        "at": TIME,
        "by": WORDS,
        "step": one_of(*FINDING_STEPS),
        "reason": TEXT,
        "fields": record({}, optional=_FIELDS),
    }
)
FINDINGS: Schema = list_of(
    record(
        {
            "finding_id": FINDING_ID,
            "state": record(_FIELDS),
            "history": list_of(_CHANGE, least=1, most=MAX_FINDING_CHANGES),
        }
    ),
    most=MAX_FINDINGS,
)
