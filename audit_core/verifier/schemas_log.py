"""Schemas of log entries and their proofs."""

from __future__ import annotations

from audit_core.verifier.schema_words import (
    COUNT,
    POSITIVE,
    SHA256,
    TIME,
    WORDS,
    Schema,
    list_of,
    or_null,
    record,
)

ENTRY: Schema = record(
    {
        "v": {"const": 1},
        "log_id": WORDS,
        "seq": COUNT,
        "ts": TIME,
        "tenant": WORDS,
        "actor": WORDS,
        "action": WORDS,
        "object_id": {"type": "string"},
        "payload": {"type": "object"},
        "prev": SHA256,
    }
)
INCLUSION: Schema = list_of(record({"seq": COUNT, "leaf": SHA256, "proof": list_of(SHA256)}))
CONSISTENCY: Schema = or_null(record({"from_size": POSITIVE, "to_size": POSITIVE, "proof": list_of(SHA256)}))
