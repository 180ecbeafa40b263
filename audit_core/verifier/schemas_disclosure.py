"""Schema of a pack's disclosure: beginning of the log, earlier runs on the prompts, templates as found, split and seed."""

from __future__ import annotations

from audit_core.verifier.schema_words import (
    CLAIM_ID,
    COUNT,
    ID,
    POSITIVE,
    SHA256,
    SHARE,
    SPLIT_SALT,
    TIME,
    TRUTH,
    WORDS,
    Schema,
    list_of,
    one_of,
    or_null,
    record,
)

DISCLOSURE_MEMBER = "prereg/disclosure.json"
MAX_EARLIER_RUNS = 500
"""Earlier runs that are listed for a claim, newest first; the others are counted."""
MAX_DISCLOSED_PROMPTS = 20_000
SEED_DERIVATIONS = ("default", "chosen")
SPLIT_DERIVATIONS = {
    1: "each prompt by the hash of its two texts: another word in one text can move that prompt",
    2: "whole templates, every second one in the order of the hash of log id and skeleton: another filler word moves nothing",
}
"""How each rule divides a set, for readers."""

_INSTALLATION = record({"log_id": WORDS, "began_at": TIME, "runs": COUNT})
_EARLIER_RUN = record(
    {
        "run_id": ID,
        "audit": WORDS,
        "started_at": WORDS,
        "model_digest": WORDS,
        "is_this_model": TRUTH,
        "shows_results": TRUTH,
        "n_prompts": COUNT,
        "n_shared": COUNT,
        "n_templates_shared": COUNT,
    }
)
_CLAIM = record(
    {
        "claim_id": CLAIM_ID,
        "frozen_at": TIME,
        "runs_before": COUNT,
        "seed": record({"value": COUNT, "derivation": one_of(*SEED_DERIVATIONS)}),
        "n_split": COUNT,
        "share_seen": SHARE,
        "share_touched": SHARE,
        "earlier_runs": list_of(_EARLIER_RUN, most=MAX_EARLIER_RUNS),
        "n_more": COUNT,
    }
)
_TEMPLATE = record({"skeleton": or_null(WORDS), "n_exploratory": COUNT, "n_confirmatory": COUNT})
_SET = record(
    {
        "sha256": SHA256,
        "split": record({"rule": {"enum": [1, 2]}, "salt": or_null(SPLIT_SALT), "derivation": WORDS}),
        "templates": list_of(_TEMPLATE, least=1, most=MAX_DISCLOSED_PROMPTS),
        "template_of": list_of(COUNT, least=1, most=MAX_DISCLOSED_PROMPTS),
        "n_labels": POSITIVE,
    }
)
DISCLOSURE: Schema = record(
    {
        "schema": {"const": "assay/disclosure/1"},
        "installation": _INSTALLATION,
        "claims": list_of(_CLAIM),
        "sets": list_of(_SET),
    }
)
