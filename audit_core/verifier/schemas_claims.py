"""Schemas of pack header, claims, preregistrations and deviations."""

from __future__ import annotations

from audit_core.verifier.schema_words import (
    ANYTHING,
    CLAIM_ID,
    COUNT,
    DATE,
    GIT_COMMIT,
    ID,
    NUMBER,
    POSITIVE,
    SHA256,
    SHARE,
    SPLIT_SALT,
    TEXT,
    TIME,
    TRUTH,
    ULID,
    UNIT,
    WORDS,
    Schema,
    list_of,
    one_of,
    or_null,
    record,
)  # fmt: skip

PRIOR_ACCESS = ("nothing_run", "no_results_seen", "results_not_opened", "results_seen")
SEEN = PRIOR_ACCESS[2:]
"""Access to results that makes a change to a frozen plan a deviation; without it, the change is an amendment."""
MAX_CLAIMS, MAX_RUNS = 200, 1_000
"""Bounds the work, which grows with claims times attempts."""

PACK: Schema = record(
    {
        "schema": {"const": "assay/pack/1"},
        "pack_id": ULID,
        "created_at": TIME,
        "organisation": TEXT,
        "system_name": TEXT,
        "intended_purpose": TEXT,
        "producer": record(
            {
                "name": WORDS,
                "version": WORDS,
                "git_commit": or_null(GIT_COMMIT),
                "git_dirty": or_null(TRUTH),
                "wheel_sha256": or_null(SHA256),
            }
        ),
        "claim_ids": list_of(CLAIM_ID, most=MAX_CLAIMS),
        "run_ids": list_of(ID, most=MAX_RUNS),
        "supersedes": or_null(SHA256),
        "attempts": record({"total": COUNT, "completed": COUNT, "failed": COUNT, "abandoned": COUNT}),
        "withheld_count": COUNT,
        "limitations": list_of(WORDS, least=1),
        "not_assessed": list_of(WORDS, least=1),
        "disclaimer_id": WORDS,
    },
    optional={"personal_data": record({"acknowledged_by": WORDS, "places": list_of(WORDS, least=1)})},
)
_FIXED_CLAIM = record(
    {
        "name": WORDS,
        "components": list_of(WORDS, least=1),
        "universe": WORDS,
        "role": one_of("necessary", "sufficient"),
        "metric": WORDS,
        "ablation": one_of("resample", "mean", "zero"),
        "delta": NUMBER,
        "alpha": NUMBER,
        "sha256": SHA256,
    }
)
_SCOPE = record(
    {
        "model_id": WORDS,
        "prompt_set_id": WORDS,
        "intervention": WORDS,
        "positions": TEXT,
        "dtype": WORDS,
        "languages": list_of(WORDS),
    }
)
_RELATIVE = record(
    {
        "claim_id": CLAIM_ID,
        "name": WORDS,
        "state": one_of("supported", "negligible", "reversed", "inconclusive", "not run"),
        "holds_among": COUNT,
        "n_shared": COUNT,
        "is_withdrawn": TRUTH,
    }
)
CLAIMS: Schema = list_of(
    record(
        {
            "claim_id": CLAIM_ID,
            "statement": WORDS,
            "kind": one_of(
                "sufficiency", "necessity", "mediation", "absence_of_effect", "stability", "transfer", "calibration"
            ),
            "scope": _SCOPE,
            "estimand": record(
                {"name": WORDS, "formula": TEXT, "unit": one_of("logit", "nat", "probability", "ratio", "count")}
            ),
            "status": one_of("draft", "preregistered", "tested", "superseded", "withdrawn"),
            "evidence": list_of(WORDS),
            "counter_evidence": list_of(WORDS),
            "owner": WORDS,
            "reviewer": or_null(WORDS),
            "expires_at": or_null(DATE),
            "claim": _FIXED_CLAIM,
        },
        optional={"family": list_of(_RELATIVE, most=MAX_CLAIMS)},
    )
)
_METRIC = record({"name": WORDS, "formula": TEXT, "unit": UNIT})
_PLAN = record(
    {
        "schema": {"const": "assay/prereg/1"},
        "prereg_id": ID,
        "version": POSITIVE,
        "title": WORDS,
        "authors": list_of(WORDS, least=1),
        "created_at": TIME,
        "frozen_at": TIME,
        "research_question": WORDS,
        "hypotheses": list_of(record({"id": WORDS, "text": WORDS, "directional": TRUTH, "null": TEXT}), least=1),
        "claims": list_of(record({"claim_id": CLAIM_ID, "claim_sha256": SHA256}), least=1),
        "prior_access": one_of(*PRIOR_ACCESS),
        "model": record(
            {"repo": WORDS, "revision": or_null(WORDS), "weights_tree_sha256": SHA256},
            optional={"dictionary_sha256": SHA256},
        ),
        "prompts": record(
            {"set_id": WORDS, "sha256": SHA256, "n_items": COUNT, "split": WORDS},
            optional={"split_rule": {"const": 2}, "split_salt": SPLIT_SALT},
        ),
        "interventions": list_of(
            record(
                {
                    "type": WORDS,
                    "site": WORDS,
                    "value_source": TEXT,
                    "direction": one_of("denoise", "noise"),
                    "ablation": one_of("mean", "resample", "zero"),
                }
            ),
            least=1,
        ),
        "primary_metrics": list_of(_METRIC, least=1),
        "secondary_metrics": list_of(_METRIC),
        "policy_sha256": SHA256,
        "sample_size": record(
            {"n": COUNT, "rationale": TEXT, "mde": or_null(NUMBER), "power": or_null(SHARE)},
        ),
        "exclusions": list_of(WORDS),
        "stopping_rule": TEXT,
        "multiplicity": record({"family": TEXT, "method": WORDS, "alpha": SHARE}),
        "seeds": list_of(COUNT),
        "analysis_code": record({"git_commit": or_null(GIT_COMMIT), "path": TEXT, "sha256": or_null(SHA256)}),
        "exploratory": list_of(WORDS),
        "digest": SHA256,
    }
)
PREREGISTRATION: Schema = {"anyOf": [_PLAN, list_of(_PLAN, most=MAX_CLAIMS)]}
"""One preregistration, several if the pack's claims were preregistered separately, or none in a pack of answers alone."""
DEVIATION: Schema = record(
    {
        "id": ID,
        "prereg_version": POSITIVE,
        "at": TIME,
        "by": WORDS,
        "field": WORDS,
        "before": ANYTHING,
        "after": ANYTHING,
        "reason": WORDS,
        "class": one_of("error", "feasibility", "scope", "other"),
        "prior_access": one_of(*PRIOR_ACCESS),
        "approved_by": or_null(WORDS),
        "effect_on_claims": list_of(CLAIM_ID),
    },
    optional={"prereg_id": ID},
)
