"""Schema of the crosswalk: relation of evidence items to framework clauses, with source and check."""

from __future__ import annotations

from audit_core.verifier.schema_words import DATE, ID, SHA256, WORDS, Schema, list_of, matching, one_of, or_null, record

RELATIONS = ("supports", "partially supports", "context for", "does not address")
"""Relations, the strongest first. None states that a duty is met: people judge that."""
CHECKS = ("verified", "title_only", "unverified")
MAX_CROSSWALK_ROWS = 2_000
CROSSWALK: Schema = record(
    {
        "schema": {"const": "assay/crosswalk/1"},
        "as_of": DATE,
        "notice": WORDS,
        "frameworks": list_of(record({"id": ID, "title": WORDS, "note": WORDS}), least=1, most=100),
        "evidence": list_of(record({"id": ID, "title": WORDS}), least=1, most=200),
        "rows": list_of(
            record(
                {
                    "evidence": ID,
                    "framework": ID,
                    "version": WORDS,
                    "clause": WORDS,
                    "quote_sha256": or_null(SHA256),
                    "relation": one_of(*RELATIONS),
                    "rationale": WORDS,
                    "checked_at": or_null(DATE),
                    "checked_by": or_null(WORDS),
                    "source_url": or_null(matching("^https://[!-~]{1,400}$")),
                    "status": one_of(*CHECKS),
                }
            ),
            least=1,
            most=MAX_CROSSWALK_ROWS,
        ),
    }
)
