"""Schemas of run manifests, metrics, items, results and reruns."""

from __future__ import annotations

from audit_core.verifier.schema_words import (
    AMOUNT,
    CLAIM_ID,
    COUNT,
    GIT_COMMIT,
    ID,
    NUMBER,
    POSITIVE,
    SHA256,
    SHARE,
    TEXT,
    TIME,
    TRUTH,
    UNIT,
    WORDS,
    Schema,
    list_of,
    one_of,
    or_null,
    record,
    table_of,
)  # fmt: skip

OUTCOMES = ("done", "refused", "not_measured", "failed", "cancelled", "abandoned")
_SEED = {"anyOf": [COUNT, TEXT, {"type": "null"}]}
"""Seeds of 2^53 or more are text."""
_IDENTITY = record(
    {
        "run_id": ID,
        "claim_ids": list_of(CLAIM_ID, least=1, most=20),
        "prereg_digest": SHA256,
        "attempt_no": POSITIVE,
        "started_at": TIME,
        "ended_at": or_null(TIME),
        "duration_s": or_null(AMOUNT),
        "status": one_of(*OUTCOMES),
    }
)
_MODEL = record(
    {
        "repo": WORDS,
        "revision": or_null(WORDS),
        "weights_tree_sha256": SHA256,
        "files": list_of(record({"path": WORDS, "sha256": SHA256, "bytes": COUNT})),
        "param_count": or_null(COUNT),
        "dtype_on_disk": or_null(WORDS),
        "dtype_run": WORDS,
        "quantisation": or_null(TEXT),
        "adapters": list_of(WORDS),
        "config_sha256": or_null(SHA256),
        "tokenizer_tree_sha256": or_null(SHA256),
        "chat_template_sha256": or_null(SHA256),
        "remote_code": {"const": False},
    }
)
_DETERMINISM = record(
    {
        "use_deterministic_algorithms": or_null(TRUTH),
        "cublas_workspace": or_null(TEXT),
        "tf32": or_null(TRUTH),
        "attention_impl": or_null(WORDS),
        "batch_size": or_null(COUNT),
        "padding_side": or_null(WORDS),
        "num_threads": or_null(COUNT),
        "compile": or_null(TRUTH),
    }
)
_ENVIRONMENT_TEXTS = (
    "os", "kernel", "cpu_model", "gpu_model", "driver", "cuda", "torch", "transformers", "numpy", "blas", "python", "container_digest",
)  # fmt: skip
_ENVIRONMENT = record(
    {name: or_null(TEXT) for name in _ENVIRONMENT_TEXTS}
    | {
        "n_cpu": or_null(COUNT),
        "gpu_count": or_null(COUNT),
        "lock_sha256": or_null(SHA256),
        "git_commit": or_null(GIT_COMMIT),
        "git_dirty": or_null(TRUTH),
        "diff_sha256": or_null(SHA256),
    }
)
RUN_MANIFEST: Schema = record(
    {
        "schema": {"const": "assay/run/1"},
        "identity": _IDENTITY,
        "model": _MODEL,
        "prompts": record(
            {"set_id": WORDS, "prompt_set_sha256": SHA256, "n_items": COUNT, "tokenised_sha256": or_null(SHA256)}
        ),
        "config": record(
            {"resolved_config": {"type": "object"}, "config_sha256": SHA256, "interventions_sha256": or_null(SHA256)}
        ),
        "seeds": record(
            {name: _SEED for name in ("python", "numpy", "torch", "cuda", "data_order")}
            | {"generator": table_of(_SEED)}
        ),
        "determinism": _DETERMINISM,
        "environment": _ENVIRONMENT,
        "cost": record(
            {
                "wall_s": or_null(AMOUNT),
                "gpu_s": or_null(AMOUNT),
                "peak_rss_bytes": or_null(COUNT),
                "peak_vram_bytes": or_null(COUNT),
                "energy_j": or_null(AMOUNT),
            }
        ),
        "outputs": table_of(record({"sha256": SHA256, "bytes": COUNT})),
    }
)
_METRIC_ROW = record(
    {
        "metric": WORDS,
        "claim_id": CLAIM_ID,
        "ablation": or_null(one_of("resample", "mean", "mean_template", "zero")),
        "estimate": or_null(NUMBER),
        "unit": UNIT,
        "n": or_null(COUNT),
        "n_templates": or_null(COUNT),
        "ci_low": or_null(NUMBER),
        "ci_high": or_null(NUMBER),
        "ci_level": or_null(SHARE),
        "ci_method": or_null(WORDS),
        "reason": or_null(WORDS),
        "denominator_abs_min": or_null(NUMBER),
    },
    optional={
        "n_boot": or_null(COUNT),
        "missing": COUNT,
        "excluded": COUNT,
        "tolerance": or_null(record({"abs": AMOUNT, "rel": AMOUNT, "source": WORDS})),
    },
)
METRICS: Schema = list_of(
    {
        **_METRIC_ROW,
        "anyOf": [
            {"properties": {"estimate": NUMBER, "reason": {"type": "null"}}},
            {"properties": {"estimate": {"type": "null"}, "reason": WORDS}},
        ],
    }
)
ITEM: Schema = record(
    {
        "item_id": WORDS,
        "item_commitment": or_null(WORDS),
        "clean": or_null(NUMBER),
        "corrupt": or_null(NUMBER),
        "patched": or_null(NUMBER),
        "effect": or_null(NUMBER),
        "unit": UNIT,
        "excluded_reason": or_null(WORDS),
    },
    optional={"ablation": or_null(WORDS), "template": or_null(WORDS), "empty": or_null(NUMBER)},
)
RESULT: Schema = record(
    {
        "claim_id": CLAIM_ID,
        "state": one_of("supported", "negligible", "reversed", "inconclusive"),
        "reason": or_null(WORDS),
        "sentence": WORDS,
        "conditions": {"type": "object"},
    },
    optional={
        "null": or_null({"type": "object"}),
        "repair": or_null({"type": "object"}),
        "holds_among": COUNT,
        "these_templates": or_null({"type": "object"}),
        "by_template": or_null({"type": "object"}),
        "members": list_of({"type": "object"}),
        "identification": list_of(
            record(
                {
                    "name": WORDS,
                    "rests_on": WORDS,
                    "status": one_of("checked", "doubtful", "not checked", "for the reader to judge"),
                    "found": WORDS,
                }
            )
        ),
    },
)
RERUNS: Schema = list_of(
    record(
        {
            "at": TIME,
            "by": WORDS,
            "environment": TEXT,
            "L0": one_of("COMPARABLE", "NOT_COMPARABLE"),
            "L1": one_of("BITWISE_EQUAL", "NOT_BITWISE_EQUAL", "NOT_EVALUATED"),
            "L2": one_of("WITHIN_TOLERANCE", "OUTSIDE_TOLERANCE", "NOT_EVALUATED"),
            "L3": one_of("DECISION_EQUAL", "DECISION_FLIPPED", "NOT_EVALUATED"),
        }
    )
)
