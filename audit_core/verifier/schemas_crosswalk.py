"""Schema of the crosswalk: relation of evidence items to framework clauses, with quote, source and check."""

from __future__ import annotations

from audit_core.verifier.schema_words import DATE, ID, SHA256, WORDS, Schema, list_of, matching, one_of, or_null, record

RELATIONS = ("supports", "partially supports", "context for", "does not address")
"""Relations, the strongest first. None states that a duty is met: people judge that."""
CHECKS = ("verified", "read_in_copy", "title_only", "unverified")
CROSSWALK_FORMS = ("assay/crosswalk/1", "assay/crosswalk/2")
"""The second form adds quotes, copies, second readers and acts; packs of the first stay readable."""
MAX_CROSSWALK_ROWS = 2_000
_ADDRESS = matching("^https://[!-~]{1,400}$")
_QUOTE = {"quote": or_null(WORDS), "copy": or_null(ID), "entry": or_null(WORDS)}
"""A clause's own words, the copy that they were read in, and the entry of the copy where they are."""
_CHECK = {"checked_at": or_null(DATE), "checked_by": or_null(WORDS), "status": one_of(*CHECKS)}
_SECOND_READER = record({"by": WORDS, "at": DATE, "relation": one_of(*RELATIONS), "note": WORDS})
_COPY = record(
    {
        "id": ID,
        "framework": ID,
        "title": WORDS,
        "file": WORDS,
        "sha256": SHA256,
        "origin": WORDS,
        "publisher_url": _ADDRESS,
        "note": WORDS,
    }
)
_ACT = record(
    {
        "id": ID,
        "framework": ID,
        "act": WORDS,
        "what": WORDS,
        "clauses": list_of(WORDS, most=100),
        "date": or_null(DATE),
        "source": WORDS,
        **_QUOTE,
        **_CHECK,
    }
)
_CROSSWALK_ROW = record(
    {
        "evidence": ID,
        "framework": ID,
        "version": WORDS,
        "clause": WORDS,
        "quote_sha256": or_null(SHA256),
        "relation": one_of(*RELATIONS),
        "rationale": WORDS,
        "source_url": or_null(_ADDRESS),
        **_CHECK,
    },
    optional={**_QUOTE, "not_known": or_null(WORDS), "second_reader": or_null(_SECOND_READER)},
)
CROSSWALK: Schema = record(
    {
        "schema": one_of(*CROSSWALK_FORMS),
        "as_of": DATE,
        "notice": WORDS,
        "frameworks": list_of(record({"id": ID, "title": WORDS, "note": WORDS}), least=1, most=100),
        "evidence": list_of(record({"id": ID, "title": WORDS}), least=1, most=200),
        "rows": list_of(_CROSSWALK_ROW, least=1, most=MAX_CROSSWALK_ROWS),
    },
    optional={"copies": list_of(_COPY, most=100), "acts": list_of(_ACT, most=200)},
)
