"""Schemas of signed data: envelope, pack statement and approval statement."""

from __future__ import annotations

from audit_core.verifier.schema_words import (
    KEY_ID,
    SHA256,
    TEXT,
    TIME,
    ULID,
    WORDS,
    Schema,
    list_of,
    one_of,
    or_null,
    record,
)

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PACK_PREDICATE_TYPE = "https://assay.example/evidence-pack/v1"
APPROVAL_PREDICATE_TYPE = "https://assay.example/approval/v1"

ENVELOPE: Schema = record(
    {
        "payloadType": WORDS,
        "payload": TEXT,
        "signatures": list_of(record({"keyid": KEY_ID, "sig": TEXT}), least=1, most=20),
    }
)


def _describe_statement(predicate_type: str, predicate: Schema) -> Schema:
    subject = list_of(record({"name": WORDS, "digest": record({"sha256": SHA256})}), least=1, most=1)
    return record(
        {
            "_type": {"const": STATEMENT_TYPE},
            "subject": subject,
            "predicateType": {"const": predicate_type},
            "predicate": predicate,
        }
    )


PACK_STATEMENT: Schema = _describe_statement(
    PACK_PREDICATE_TYPE,
    record({"pack_id": ULID, "role": {"const": "preparer"}, "person": WORDS, "organisation": TEXT, "at": TIME}),
)
APPROVAL_STATEMENT: Schema = _describe_statement(
    APPROVAL_PREDICATE_TYPE,
    record(
        {
            "role": one_of("reviewer", "approver"),
            "person": WORDS,
            "organisation": TEXT,
            "decision": one_of("approve", "reject", "approve_with_conditions"),
            "conditions": list_of(WORDS),
            "independence_statement": TEXT,
            "conflicts": TEXT,
            "evidence_viewed": list_of(WORDS),
            "at": TIME,
            "expires_at": or_null(TIME),
        },
        # Optional: decisions signed by older versions lack it, and adding it would break their signatures.
        {"decisions_seen": list_of(SHA256, most=50)},
    ),
)
