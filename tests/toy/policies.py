"""Small policies, claims, metric rows and facts, of which a test changes what it is about."""

from __future__ import annotations

from typing import Any

from audit_core.governance.policy import Policy, parse_policy
from audit_core.verifier.criteria import MEETS

POLICY = """
schema = "assay/policy/1"
id = "toy"
[gate]
required = ["integrity", "attempts_disclosed", "faithfulness"]
ci_level = 0.95
multiplicity = { method = "none", alpha = 0.05 }
max_waivers = 1
[criteria.faithfulness]
metric = "faithfulness_ld"
op = ">="
threshold = 0.80
bound = "lower"
source = "organisation"
why = "A toy."
"""
PROCESS = ("prereg_frozen_before_run", "attempts_disclosed", "rerun")


def read_toy(*changes: tuple[str, str], text: str = POLICY) -> Policy:
    """The toy policy with texts replaced; each must occur."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return parse_policy(text.encode(), "toy.toml")


def make_claim(claim_id: str = "C-0001", **changes: Any) -> dict[str, Any]:
    return {
        "claim_id": claim_id,
        "statement": "The heads alone keep the answer.",
        "kind": "sufficiency",
        "status": "tested",
        "scope": {"model_id": "toy-model"},
        "expires_at": None,
        "claim": {"role": "sufficient", "ablation": "resample"},
    } | changes


def make_number(low: float | None, high: float | None, **changes: Any) -> dict[str, Any]:
    """A row of faithfulness_ld with its value in the middle."""
    middle = 0.9 if low is None or high is None else (low + high) / 2
    return {
        "metric": "faithfulness_ld",
        "claim_id": "C-0001",
        "ablation": "resample",
        "estimate": middle,
        "unit": "ratio",
        "n": 240,
        "n_templates": 12,
        "ci_low": low,
        "ci_high": high,
        "ci_level": 0.95 if low is not None else None,
        "ci_method": "bootstrap" if low is not None else None,
        "reason": None,
        "denominator_abs_min": 0.5,
    } | changes


def make_facts(*claim_ids: str, **changes: Any) -> dict[str, Any]:
    """Every process criterion met by each claim; a change replaces one."""
    met = {name: {"result": MEETS, "reason": None} for name in PROCESS} | changes
    return {claim_id: dict(met) for claim_id in claim_ids or ("C-0001",)}
