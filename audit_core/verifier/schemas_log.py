"""Schemas of verdict and log entries."""

from __future__ import annotations

from audit_core.verifier.schema_words import (
    CLAIM_ID,
    COUNT,
    NUMBER,
    POSITIVE,
    SHA256,
    TIME,
    WORDS,
    Schema,
    list_of,
    one_of,
    or_null,
    record,
)  # fmt: skip

RESULTS = ("MEETS", "DOES_NOT_MEET", "INCONCLUSIVE", "NOT_EVALUATED")

VERDICT: Schema = record(
    {
        "policy_sha256": SHA256,
        "evaluated_at": TIME,
        "evaluator": WORDS,
        "criteria": list_of(
            record(
                {
                    "id": WORDS,
                    "claim_id": CLAIM_ID,
                    "metric": or_null(WORDS),
                    "comparator": or_null(WORDS),
                    "threshold": or_null(NUMBER),
                    "estimate": or_null(NUMBER),
                    "ci_low": or_null(NUMBER),
                    "ci_high": or_null(NUMBER),
                    "n": or_null(COUNT),
                    "n_required": or_null(COUNT),
                    "result": one_of(*RESULTS),
                    "reason": or_null(WORDS),
                }
            )
        ),
        "overall": one_of(*RESULTS),
        "waived": list_of(record({"criterion": WORDS, "by": WORDS, "reason": WORDS, "expires_at": WORDS})),
        "coverage": record({"required": COUNT, "evaluated": COUNT}),
    }
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
