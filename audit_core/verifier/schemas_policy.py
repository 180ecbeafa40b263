"""Schemas of a resolved policy, the output of `resolve_policy`, and of the verdict under it."""

from __future__ import annotations

from audit_core.verifier.policy_table import (
    ABLATION_NAMES,
    ANSWER_EVIDENCE,
    CLAIM_KINDS,
    MAX_SEVERITIES,
    POLICY_SCHEMA,
    THRESHOLD_SOURCES,
)
from audit_core.verifier.schema_words import (
    COUNT,
    ID,
    NUMBER,
    POSITIVE,
    SHA256,
    SHARE,
    TIME,
    TRUTH,
    WORDS,
    Schema,
    list_of,
    one_of,
    or_null,
    record,
    table_of,
)

_KINDS: Schema = list_of(one_of(*CLAIM_KINDS), least=1)
_CRITERION: Schema = record(
    {
        "metric": WORDS,
        "op": one_of(">=", "<="),
        "threshold": NUMBER,
        "bound": one_of("lower", "upper", "estimate"),
        "min_n": or_null(POSITIVE),
        "min_templates": or_null(POSITIVE),
        "min_gap_logit": or_null(NUMBER),
        "over_ablations": or_null(list_of(one_of(*ABLATION_NAMES), least=1)),
        "aggregate": or_null(one_of("min", "max")),
        "ci_level": SHARE,
        "claim_kind": _KINDS,
        "source": one_of(*THRESHOLD_SOURCES),
        "why": WORDS,
    }
)
_ANSWER_CRITERION: Schema = record(
    {
        "audit": WORDS,
        "number": WORDS,
        "evidence": one_of(*ANSWER_EVIDENCE),
        "op": one_of(">=", "<="),
        "threshold": NUMBER,
        "bound": one_of("lower", "upper", "estimate"),
        "min_n": or_null(POSITIVE),
        "min_templates": or_null(POSITIVE),
        "ci_level": SHARE,
        "source": one_of(*THRESHOLD_SOURCES),
        "why": WORDS,
    }
)
RESOLVED_POLICY: Schema = record(
    {
        "schema": {"const": POLICY_SCHEMA},
        "id": WORDS,
        "applies_to": record({"model": list_of(WORDS, least=1), "claim_kind": _KINDS}),
        "gate": record(
            {
                "required": list_of(WORDS, least=1),
                "optional": list_of(WORDS),
                "ci_level": SHARE,
                "multiplicity": record({"method": one_of("holm", "none"), "alpha": SHARE}),
                "max_waivers": COUNT,
                "waiver_max_days": POSITIVE,
            }
        ),
        "criteria": table_of(_CRITERION),
        "approval": record({"preparer_ne_reviewer": TRUTH, "reviewer_ne_approver": TRUTH, "max_age_days": POSITIVE}),
    },
    optional={
        "answers": table_of(_ANSWER_CRITERION),
        "findings": record(
            {
                "severities": list_of(record({"name": WORDS, "days": POSITIVE}), least=1, most=MAX_SEVERITIES),
                "notice_days": COUNT,
                "source": one_of(*THRESHOLD_SOURCES),
                "why": WORDS,
            }
        ),
    },
)
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
                    # The run's id for an answer; null where the pack lacks one.
                    "claim_id": or_null(ID),
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
