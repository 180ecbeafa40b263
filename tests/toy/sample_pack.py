"""SAMPLE documents of a pack: shapes as in a real one, every name and number made up."""

from __future__ import annotations

import hashlib
from typing import Any

ROOT_DIGEST = hashlib.sha256(b"sample manifest").hexdigest()
RUNS = {"C-0001": "5a" * 16, "C-0002": "5b" * 16, "C-0003": "5c" * 16}
STARTED = "2026-11-20T09:1{}:00.000000Z"
MODEL, PROMPTS = "sample-model-135m", "sample-indirect-object"
POLICY_ID = "sample-policy-2026-11"
GAP = "fraction of the clean–empty gap"


def digest(name: str) -> str:
    return hashlib.sha256(f"sample {name}".encode()).hexdigest()


def sample_documents() -> dict[str, Any]:
    """A fresh copy each time: path → parsed JSON."""
    documents = {
        "pack.json": header(),
        "claims/claims.json": [claim(*row) for row in CLAIMS],
        "prereg/prereg.json": prereg(),
        "prereg/deviations.jsonl": [deviation()],
        "policy/policy.resolved.json": policy(),
        "verdict/verdict.json": verdict(),
        "log/entries.jsonl": list(entries()),
        f"models/{MODEL}/identity.json": identity(),
        f"prompts/{PROMPTS}/set.json": {
            "set_id": PROMPTS, "name": "SAMPLE indirect objects", "sha256": digest("prompts"), "n_items": 72, "split": "confirmatory",
            "languages": ["en"], "licence": "Apache-2.0",
        },
        "environment/env.json": {"facts": environment(), "packages": [["numpy", "2.4.6"], ["torch", "2.13.0"]]},
    }  # fmt: skip
    for claim_id, run_id in RUNS.items():
        documents[f"runs/{run_id}/manifest.json"] = manifest(claim_id, run_id)
        documents[f"runs/{run_id}/metrics.json"] = METRICS[claim_id]()
        documents[f"runs/{run_id}/result.json"] = RESULTS[claim_id]()
    return documents


CLAIMS = (
    ("C-0001", "On prompt set SAMPLE, head L9.H6 mediates at least 0.10 of the clean–empty gap for the sample model under resample ablation.",
     "necessary", "necessity", ["L9.H6"], 0.10),
    ("C-0002", "On prompt set SAMPLE, seven heads alone keep at least 0.80 of the clean–empty gap for the sample model under resample ablation.",
     "sufficient", "sufficiency", ["L3.H1", "L5.H0", "L6.H8", "L7.H2", "L9.H6", "L10.H2", "L11.H4"], 0.80),
    ("C-0003", "On prompt set SAMPLE, head L4.H2, which attends most to the name, carries at least 0.10 of the clean–empty gap.",
     "necessary", "necessity", ["L4.H2"], 0.10),
)  # fmt: skip


def claim(claim_id: str, statement: str, role: str, kind: str, components: list[str], delta: float) -> dict[str, Any]:
    return {
        "claim_id": claim_id,
        "statement": statement,
        "kind": kind,
        "scope": {
            "model_id": MODEL, "prompt_set_id": PROMPTS, "intervention": "resample ablation", "positions": "all",
            "dtype": "float32", "languages": ["en"],
        },
        "estimand": {"name": "fraction of the gap lost", "formula": "(F(M) − F(M∖C)) / (F(M) − F(∅))", "unit": "ratio"},
        "status": "tested",
        "evidence": [{"run_id": RUNS[claim_id], "note": "SAMPLE: confirmatory run on the half that the circuit was not found on"}],
        "counter_evidence": [] if claim_id == "C-0001" else [{"run_id": RUNS[claim_id], "note": "SAMPLE: mean ablation says otherwise"}],
        "owner": "sample-preparer",
        "reviewer": "sample-reviewer",
        "expires_at": "2027-05-19",
        "claim": {
            "name": statement[:60], "components": components, "universe": "heads", "role": role, "metric": "logit_difference",
            "ablation": "resample", "delta": delta, "alpha": 0.05, "sha256": digest(claim_id),
        },
    }  # fmt: skip


def header() -> dict[str, Any]:
    return {
        "schema": "assay/pack/1",
        "pack_id": "01SAMPLE000000000000000000",
        "created_at": "2026-11-21T10:30:00.000000Z",
        "organisation": "SAMPLE organisation",
        "system_name": "SAMPLE letter-drafting assistant",
        "intended_purpose": "Made-up purpose: drafts letters that a person reads before they are sent.",
        "producer": {"name": "assay", "version": "0.1.0", "git_commit": "a" * 40, "git_dirty": False, "wheel_sha256": None},
        "claim_ids": list(RUNS),
        "run_ids": list(RUNS.values()),
        "supersedes": None,
        "attempts": {"total": 4, "completed": 3, "failed": 1, "abandoned": 0},
        "withheld_count": 0,
        "limitations": [
            "SAMPLE: English prompts of one task; nothing is said of other tasks or languages.",
            "SAMPLE: heads only; what MLPs do was left as it is.",
        ],
        "not_assessed": ["SAMPLE: training data", "SAMPLE: behaviour under attack", "SAMPLE: effect on people"],
        "disclaimer_id": "assay/disclaimer/1",
    }  # fmt: skip


def prereg() -> dict[str, Any]:
    return {
        "prereg_id": "P-0001", "version": 1, "title": "SAMPLE: which heads name the indirect object", "authors": ["sample-preparer"],
        "created_at": "2026-11-19T08:00:00.000000Z", "frozen_at": "2026-11-19T15:00:00.000000Z",
        "research_question": "SAMPLE: does the model rely on these heads for the name it writes?",
        "hypotheses": [{"id": "H1", "text": "SAMPLE: taking L9.H6 away costs more than a tenth of the gap.", "directional": True, "null": "it costs no more"}],
        "prior_access": "no_results_seen",
        "model": {"repo": "sample/sample-model-135m", "revision": "b" * 40, "weights_tree_sha256": digest("weights")},
        "prompts": {"set_id": PROMPTS, "sha256": digest("prompts"), "n_items": 72, "split": "confirmatory"},
        "interventions": [{"type": "ablation", "site": "heads", "value_source": "other prompts", "direction": "noise", "ablation": "resample"}],
        "primary_metrics": [{"name": "logit_difference", "formula": "logit(answer) − logit(foil)", "unit": "logit"}],
        "secondary_metrics": [],
        "policy_sha256": digest("policy"),
        "sample_size": {"n": 72, "rationale": "SAMPLE: twelve templates", "mde": 0.08, "power": 0.8},
        "exclusions": ["SAMPLE: pairs whose gap is below 0.5 logit"],
        "stopping_rule": "SAMPLE: one confirmatory run for each claim",
        "multiplicity": {"family": "three claims", "method": "holm", "alpha": 0.05},
        "seeds": [0],
        "analysis_code": {"git_commit": "a" * 40, "path": "audit_core/audits/claim_test.py", "sha256": digest("code")},
        "exploratory": ["SAMPLE: L4.H2 against other corruptions"],
        "digest": digest("prereg"),
    }  # fmt: skip


def deviation() -> dict[str, Any]:
    return {
        "id": "D-0001", "prereg_version": 1, "at": "2026-11-20T08:00:00.000000Z", "by": "sample-preparer", "field": "sample_size.n",
        "before": 80, "after": 72, "reason": "SAMPLE: eight pairs did not align under the tokenizer", "class": "feasibility",
        "prior_access": "no_results_seen", "approved_by": "sample-reviewer", "effect_on_claims": ["C-0001", "C-0002", "C-0003"],
    }  # fmt: skip


def policy() -> dict[str, Any]:
    return {
        "schema": "assay/policy/1",
        "id": POLICY_ID,
        "sha256": digest("policy"),
        "gate": {"required": ["faithfulness", "necessity", "random_baseline", "ablation_agreement", "attempts_disclosed"], "optional": ["calibration"]},
        "criteria": {
            "faithfulness": {"metric": "faithfulness_ld", "op": ">=", "threshold": 0.80, "bound": "lower", "min_n": 60, "source": "default"},
            "necessity": {"metric": "necessity_drop", "op": ">=", "threshold": 0.30, "bound": "lower", "source": "organisation"},
            "random_baseline": {"metric": "faithfulness_percentile_vs_random", "op": ">=", "threshold": 0.95, "source": "default"},
            "ablation_agreement": {"metric": "ablation_range", "op": "<=", "threshold": 0.20, "bound": "upper", "source": "default"},
        },
    }  # fmt: skip


def metric(claim_id: str, name: str, estimate: float | None, **others: Any) -> dict[str, Any]:
    row = {
        "metric": name, "claim_id": claim_id, "ablation": None, "estimate": estimate, "unit": GAP, "n": 72, "n_templates": 12,
        "ci_low": None, "ci_high": None, "ci_level": 0.95, "ci_method": "BCa over templates", "reason": None, "denominator_abs_min": None,
    }  # fmt: skip
    return row | others


def families(claim_id: str, name: str, rows: dict[str, tuple[float, float, float]]) -> list[dict[str, Any]]:
    return [
        metric(claim_id, name, value, ablation=ablation, ci_low=low, ci_high=high)
        for ablation, (value, low, high) in rows.items()
    ]


def metrics_first() -> list[dict[str, Any]]:
    rows = families(
        "C-0001",
        "necessity_drop",
        {"resample": (0.463, 0.382, 0.551), "mean": (0.421, 0.334, 0.512), "zero": (0.508, 0.391, 0.627)},
    )
    return [
        *rows,
        metric("C-0001", "faithfulness_percentile_vs_random", 0.995, unit="probability", ci_low=0.972, ci_high=1.0, n=199, n_templates=None),
        metric("C-0001", "ablation_range", 0.087, unit="ratio", ci_low=0.031, ci_high=0.143),
        metric("C-0001", "transfer_ratio", None, unit="ratio", ci_level=None, ci_method=None, n=0, n_templates=None,
               reason="SAMPLE: no held-out template was run"),
    ]  # fmt: skip


def metrics_second() -> list[dict[str, Any]]:
    return [
        *families("C-0002", "faithfulness_ld", {"resample": (0.862, 0.811, 0.917), "mean": (0.644, 0.548, 0.731)}),
        metric("C-0002", "faithfulness_ld", None, ablation="zero", ci_level=None, ci_method=None,
               reason="SAMPLE: the empty circuit answers as well as the whole model"),
        metric("C-0002", "faithfulness_percentile_vs_random", 0.985, unit="probability", ci_low=0.957, ci_high=0.998, n=199, n_templates=None),
        metric("C-0002", "ablation_range", 0.218, unit="ratio", ci_low=0.164, ci_high=0.279),
    ]  # fmt: skip


def metrics_third() -> list[dict[str, Any]]:
    return families("C-0003", "necessity_drop", {"resample": (0.012, -0.021, 0.044), "mean": (0.008, -0.026, 0.041), "zero": (-0.004, -0.043, 0.037)})  # fmt: skip


METRICS = {"C-0001": metrics_first, "C-0002": metrics_second, "C-0003": metrics_third}
CONDITIONS = {
    "granularity": "nodes", "component type": "head", "ablation": "resample", "positions": "all", "direction": "noising",
    "set": "circuit taken away",
}  # fmt: skip


def logits(value: float, low: float, high: float) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": 72, "unit": "logits", "level": 0.95, "templates": 12}


def result_first() -> dict[str, Any]:
    return {
        "claim_id": "C-0001", "state": "supported", "reason": None, "conditions": CONDITIONS,
        "sentence": "On these prompts the model relies on L9.H6: replacing it costs 0.46 [0.38, 0.55] of the clean–empty gap (95 %, n = 72 in 12 templates), more than the 0.1 that counts.",
        "null": {"design": "199 sets of one head of the same layer", "values": [round(0.002 * i - 0.06, 3) for i in range(60)], "p": 0.005, "n": 72},
        "repair": {
            "total": logits(1.92, 1.55, 2.31), "direct": logits(2.87, 2.41, 3.33),
            "repaired": {"value": 0.331, "low": 0.214, "high": 0.442, "n": 72, "unit": "fraction of the direct effect", "level": 0.95, "templates": 12},
            "backups": [{"component": "L11.H4", "growth": logits(0.74, 0.52, 0.97)}], "n_later": 27, "is_searched": True,
        },
    }  # fmt: skip


def result_second() -> dict[str, Any]:
    return {
        "claim_id": "C-0002", "state": "inconclusive", "reason": "ablations_disagree", "repair": None,
        "conditions": CONDITIONS | {"set": "all other heads taken away"},
        "sentence": "Inconclusive: the answer depends on how the components are taken away (mean: inconclusive; resample: supported).",
        "null": {"design": "199 sets of seven heads of the same layers", "values": [round(0.05 + 0.006 * i, 3) for i in range(60)], "p": 0.015, "n": 72},
    }  # fmt: skip


def result_third() -> dict[str, Any]:
    return {
        "claim_id": "C-0003", "state": "negligible", "reason": None, "conditions": CONDITIONS, "repair": None,
        "sentence": "L4.H2 carries less than the 0.1 of the gap that counts: with L4.H2 replaced, the metric fell by 0.01 [-0.02, 0.04] of the clean–empty gap (90 %, n = 72 in 12 templates).",
        "null": {"design": "not drawn: chance could only take supported away", "values": [], "p": None, "n": 0},
    }  # fmt: skip


RESULTS = {"C-0001": result_first, "C-0002": result_second, "C-0003": result_third}


def manifest(claim_id: str, run_id: str) -> dict[str, Any]:
    return {
        "schema": "assay/run/1",
        "identity": {
            "run_id": run_id, "claim_ids": [claim_id], "prereg_digest": digest("prereg"), "attempt_no": 2 if claim_id == "C-0002" else 1,
            "started_at": STARTED.format(list(RUNS).index(claim_id) + 2), "ended_at": STARTED.format(list(RUNS).index(claim_id) + 3),
            "duration_s": 60.0, "status": "done",
        },
        "model": {
            "repo": "sample/sample-model-135m", "revision": "b" * 40, "weights_tree_sha256": digest("weights"), "param_count": 134515008,
            "dtype_on_disk": "bfloat16", "dtype_run": "float32", "quantisation": "none", "config_sha256": digest("config"),
            "tokenizer_tree_sha256": digest("tokenizer"), "remote_code": False,
        },
        "prompts": {"set_id": PROMPTS, "prompt_set_sha256": digest("prompts"), "n_items": 72, "tokenised_sha256": digest("tokens")},
        "seeds": {"numpy": 0, "torch": 0},
        "determinism": {"use_deterministic_algorithms": True, "attention_impl": "eager", "batch_size": 16, "num_threads": 2},
        "environment": environment(),
        "cost": {"wall_s": 60.0, "gpu_s": 0.0, "peak_rss_bytes": 2147483648, "energy_j": None},
        "outputs": {},
    }  # fmt: skip


def environment() -> dict[str, Any]:
    return {
        "os": "Linux", "kernel": "6.1.0", "cpu_model": "SAMPLE processor", "n_cpu": 2, "gpu_model": None, "gpu_count": 0, "driver": None,
        "cuda": None, "torch": "2.13.0", "transformers": "5.23.0", "numpy": "2.4.6", "blas": "scipy-openblas 0.3.30", "python": "3.11.9",
        "container_digest": None, "lock_sha256": digest("lock"), "git_commit": "a" * 40, "git_dirty": False, "diff_sha256": None,
    }  # fmt: skip


def identity() -> dict[str, Any]:
    return {
        "model": "sample/sample-model-135m@bbbbbbbbbbbb", "weights_sha256": digest("weights"), "tokenizer_sha256": digest("tokenizer"),
        "config_sha256": digest("config"), "dtype": "float32", "attention": "eager", "quantisation": "none", "licence": "Apache-2.0",
        "short": "5a5a5a5a5a5a",
    }  # fmt: skip


def criterion(name: str, claim_id: str, metric: str, comparator: str, threshold: float | None, result: str, **others: Any) -> dict[str, Any]:  # fmt: skip
    row = {
        "id": name, "claim_id": claim_id, "metric": metric, "comparator": comparator, "threshold": threshold, "estimate": None,
        "ci_low": None, "ci_high": None, "n": 72, "n_required": 60, "result": result, "reason": None,
    }  # fmt: skip
    return row | others


def verdict() -> dict[str, Any]:
    return {
        "policy_sha256": digest("policy"),
        "evaluated_at": "2026-11-21T10:00:00.000000Z",
        "evaluator": "assay 0.1.0",
        "criteria": [
            criterion("necessity", "C-0001", "necessity_drop", ">=", 0.30, "MEETS", estimate=0.421, ci_low=0.334, ci_high=0.512),
            criterion("random_baseline", "C-0001", "faithfulness_percentile_vs_random", ">=", 0.95, "MEETS", estimate=0.995, ci_low=0.972, ci_high=1.0, n=199, n_required=199),
            criterion("ablation_agreement", "C-0001", "ablation_range", "<=", 0.20, "MEETS", estimate=0.087, ci_low=0.031, ci_high=0.143),
            criterion("attempts_disclosed", "C-0001", "", "", None, "MEETS", n=None, n_required=None),
            criterion("faithfulness", "C-0002", "faithfulness_ld", ">=", 0.80, "DOES_NOT_MEET", estimate=0.644, ci_low=0.548, ci_high=0.731),
            criterion("random_baseline", "C-0002", "faithfulness_percentile_vs_random", ">=", 0.95, "MEETS", estimate=0.985, ci_low=0.957, ci_high=0.998, n=199, n_required=199),
            criterion("ablation_agreement", "C-0002", "ablation_range", "<=", 0.20, "INCONCLUSIVE", estimate=0.218, ci_low=0.164, ci_high=0.279,
                      reason="the interval reaches across the threshold"),
            criterion("necessity", "C-0003", "necessity_drop", ">=", 0.30, "DOES_NOT_MEET", estimate=-0.004, ci_low=-0.043, ci_high=0.037),
            criterion("random_baseline", "C-0003", "faithfulness_percentile_vs_random", ">=", 0.95, "NOT_EVALUATED", n=0, n_required=199,
                      reason="the metric is not in any run of the claim"),
        ],
        "overall": "DOES_NOT_MEET",
        "waived": [],
        "coverage": {"required": 10, "evaluated": 9},
    }  # fmt: skip


def entries() -> list[dict[str, Any]]:
    """Four attempts, one of which failed."""
    rows: list[tuple[str, str, str, dict[str, Any]]] = [
        ("2026-11-19T15:00:00.000000Z", "prereg.frozen", "P-0001", {"digest": digest("prereg")}),
        *started("5d" * 16, "C-0002", 1, 0, "failed", "control_failed"),
        *started(RUNS["C-0001"], "C-0001", 1, 2, "completed", None),
        *started(RUNS["C-0002"], "C-0002", 2, 3, "completed", None),
        *started(RUNS["C-0003"], "C-0003", 1, 4, "completed", None),
        ("2026-11-21T10:30:00.000000Z", "pack.exported", "01SAMPLE000000000000000000",
         {"claims": {"C-0001": {"attempts": 1}, "C-0002": {"attempts": 2}, "C-0003": {"attempts": 1}}}),
    ]  # fmt: skip
    return [
        {"v": 1, "log_id": "assay/0123456789abcdef", "seq": seq, "ts": at, "tenant": "local", "actor": "sample-preparer",
         "action": action, "object_id": object_id, "payload": payload, "prev": digest(f"entry {seq}")}
        for seq, (at, action, object_id, payload) in enumerate(rows)
    ]  # fmt: skip


def started(
    run_id: str, claim_id: str, attempt: int, minute: int, outcome: str, reason: str | None
) -> list[tuple[str, str, str, dict[str, Any]]]:
    begun = {"kind": "claim_test", "claim_id": claim_id, "prereg_digest": digest("prereg"), "attempt_no": attempt}
    ended = {"outcome": outcome, "reason": reason, "result_sha256": None, "wall_s": 60.0}
    return [
        (STARTED.format(minute), "run.started", run_id, begun),
        (STARTED.format(minute + 1), "run.ended", run_id, ended),
    ]
