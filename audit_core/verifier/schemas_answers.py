"""Schema of a pack's answers: results of audits that test no registered claim."""

from __future__ import annotations

from audit_core.verifier.schema_words import (
    AMOUNT,
    ANYTHING,
    ID,
    SHA256,
    TIME,
    WORDS,
    Schema,
    record,
    table_of,
)

ANSWERS = "answers/*.json"
ANSWER: Schema = record(
    {
        "schema": {"const": "assay/answer/1"},
        "run_id": ID,
        "audit": ID,
        "question": WORDS,
        "started_at": TIME,
        "wall_s": AMOUNT,
        "model_digest": ID,
        "prompts_sha256": SHA256,
        "identity": table_of(ANYTHING),
        "request": table_of(ANYTHING),
        # As text, because the log has the digest of exactly these characters.
        "result": WORDS,
    }
)
