"""Build a pack's JSON documents from the register, the log and the runs; docs/reference/pack.md has the formats."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from audit_core.audits.confirmation import ConfirmationResult
from audit_core.claim import Role
from audit_core.evidence.canonical import hash_document
from audit_core.evidence.environment import ALLOWED, keep_allowed
from audit_core.packs.metric_row import ClaimFindings
from audit_core.packs.metric_rows import list_metric_rows
from audit_core.preregistration import describe_question
from audit_core.store.claims.register import RegisteredClaim
from audit_core.store.database.events import AuditEvent
from audit_core.store.log.run_log import RunRecord

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PRIVATE_IDENTITY = ("folder", "environment", "pairs", "skeletons")
"""Fields of a run's identity that stay in the local log: a digest of one prompt without a salt would confirm a guess of it."""
KINDS = {Role.NECESSARY: "necessity", Role.SUFFICIENT: "sufficiency"}
LIMITATIONS = (
    "Findings hold for this model, these prompts and these interventions, and for nothing else.",
    "A model may behave otherwise when it is audited; a circuit that works on these prompts may be an illusion of the method.",
    "Replacing activations takes a model to states it may never reach by itself.",
)
WITHHELD = (
    "The text of {} prompts, their individual numbers and the results per template are withheld behind salted commitments: with this "
    "pack alone they cannot be checked or rerun."
)
NOT_ASSESSED = (
    "Whether the system is fit for its purpose, lawful, fair or harmless.",
    "Training data, and behaviour outside the prompt set.",
    "Calibration of the model's probabilities.",
)


@dataclass(frozen=True)
class Attempt:
    """One run of a claim with a result."""

    record: RunRecord
    number: int
    started: AuditEvent
    ended: AuditEvent

    @property
    def result(self) -> ConfirmationResult:
        return _adapter().validate_json(self.record.result or "")

    @property
    def identity(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = json.loads(self.record.identity)
        return found


@cache
def _adapter() -> TypeAdapter[ConfirmationResult]:
    return TypeAdapter(ConfirmationResult)


def describe_claim(
    known: RegisteredClaim, attempts: Sequence[Attempt], family: Sequence[DataclassInstance]
) -> dict[str, Any]:
    """An item of `claims.json`, with every run for and against the claim, and the other claims on its prompts."""
    claim, pins = known.plan.claim, known.plan.pins
    speaks: dict[bool, list[str]] = {True: [], False: []}
    for attempt in attempts:
        state = attempt.result.verdict.state
        speaks[state == "supported"].append(f"runs/{attempt.record.run_id}/result.json")
    parts = ", ".join(map(str, claim.components))
    is_one = len(claim.components) == 1
    verbs = {Role.NECESSARY: ("carry", "carries"), Role.SUFFICIENT: ("alone keep", "alone keeps")}
    verb = verbs[claim.role][is_one]
    return {
        "claim_id": known.claim_id,
        "statement": f"On prompt set {pins.prompts}, {parts} {verb} more than {claim.delta:g} of the clean–empty gap of {claim.metric} "
        f"for {pins.model} under {claim.ablation} ablation. {claim.name}",
        "kind": KINDS[claim.role],
        "scope": {
            "model_id": pins.model, "prompt_set_id": pins.prompts, "intervention": f"{claim.ablation} ablation",
            "positions": "all", "dtype": "float32" if not attempts else str(attempts[-1].identity["dtype"]), "languages": ["en"],
        },
        "estimand": {"name": claim.metric, "formula": describe_question(claim), "unit": "ratio"},
        "status": "withdrawn" if known.withdrawn else "tested" if attempts else "preregistered",
        "evidence": speaks[True],
        "counter_evidence": speaks[False],
        "owner": known.owner,
        "reviewer": None,
        "expires_at": known.expires_at,
        "claim": claim.to_json() | {"sha256": claim.sha256},
        "family": [asdict(one) for one in family],
    }  # fmt: skip


def describe_run(known: RegisteredClaim, attempt: Attempt, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """A run's `manifest.json`; values that this version does not record are null."""
    record, identity, plan = attempt.record, attempt.identity, known.plan
    config = json.loads(record.request)
    facts = keep_allowed(identity.get("environment") or {})
    return {
        "schema": "assay/run/1",
        "identity": {
            "run_id": record.run_id, "claim_ids": [known.claim_id], "prereg_digest": plan.digest, "attempt_no": attempt.number,
            "started_at": attempt.started.ts, "ended_at": attempt.ended.ts, "duration_s": record.wall_s, "status": record.outcome,
        },
        "model": {
            "repo": identity["model"], "revision": identity["short"], "weights_tree_sha256": identity["weights_sha256"], "files": [],
            "param_count": None, "dtype_on_disk": None, "dtype_run": identity["dtype"], "quantisation": identity["quantisation"],
            "adapters": [], "config_sha256": identity["config_sha256"], "tokenizer_tree_sha256": identity["tokenizer_sha256"],
            "chat_template_sha256": None, "remote_code": False,
        },
        "prompts": {
            "set_id": plan.pins.prompts, "prompt_set_sha256": record.prompts_sha256, "n_items": identity["n_prompts"],
            "tokenised_sha256": None,
        },
        "config": {"resolved_config": config, "config_sha256": hash_document(config), "interventions_sha256": None},
        "seeds": dict.fromkeys(("python", "numpy", "torch", "cuda", "data_order"))
        | {"generator": {"every stage": identity["seed"]}},
        "determinism": dict.fromkeys(
            ("use_deterministic_algorithms", "cublas_workspace", "tf32", "batch_size", "padding_side", "num_threads", "compile")
        )
        # On the CPU there is no TF32 to be turned off; elsewhere the engine turns it off.
        | {"attention_impl": identity["attention"], "tf32": False if "device" in identity else None},
        "environment": dict.fromkeys(ALLOWED) | facts,
        "cost": dict.fromkeys(("gpu_s", "peak_rss_bytes", "peak_vram_bytes", "energy_j")) | {"wall_s": record.wall_s},
        "outputs": dict(outputs),
    }  # fmt: skip


def list_metrics(known: RegisteredClaim, attempt: Attempt) -> list[dict[str, Any]]:
    """Rows of a run's `metrics.json`."""
    found = attempt.result
    asked = ClaimFindings(
        known.claim_id, known.plan.claim, found.verdict, found.circuit, found.stability, found.transfer
    )
    return [row.to_json() for row in list_metric_rows(asked)]


def describe_result(known: RegisteredClaim, attempt: Attempt, *, with_templates: bool = True) -> dict[str, Any]:
    """A run's `result.json`: Assay's own verdict.

    Args:
        with_templates: whether effects of single templates are in it; a template with one prompt would reveal its numbers.
    """
    verdict = attempt.result.verdict
    plain = json.loads(attempt.record.result or "")["verdict"]
    return {
        "claim_id": known.claim_id,
        "state": verdict.state,
        "reason": verdict.reason,
        "sentence": verdict.sentence,
        "conditions": dict(verdict.conditions),
        "holds_among": verdict.holds_among,
        **{name: plain[name] for name in ("null", "repair", "these_templates", "members", "identification")},
        "by_template": plain["by_template"] if with_templates else None,
    }


def list_items(known: RegisteredClaim, attempt: Attempt) -> list[dict[str, Any]]:
    """Rows of `items.jsonl`: one prompt under one ablation; the estimate's numerator is the mean of `effect`."""
    is_necessary = known.plan.claim.role is Role.NECESSARY
    verdict = attempt.result.verdict
    measured = [
        {
            "item_id": item.prompt,
            "item_commitment": None,
            "ablation": item.family,
            "template": item.template,
            "clean": item.clean,
            "corrupt": item.corrupted,
            "patched": item.judged,
            "empty": item.empty,
            "effect": item.clean - item.judged if is_necessary else item.judged - item.empty,
            "unit": verdict.clean.unit,
            "excluded_reason": None,
        }
        for item in verdict.items
    ]
    return measured + _list_set_aside(attempt, verdict.clean.unit)


def _list_set_aside(attempt: Attempt, unit: str) -> list[dict[str, Any]]:
    """Rows of excluded prompts, with a reason instead of numbers."""
    found = json.loads(attempt.record.request).get("set_aside", [])
    nothing = dict.fromkeys(("item_commitment", "clean", "corrupt", "patched", "empty", "effect"))
    return [
        nothing | {"item_id": name, "ablation": None, "template": template, "unit": unit, "excluded_reason": why}
        for name, template, why in found
    ]


def list_deviations(claims: Sequence[RegisteredClaim]) -> list[dict[str, Any]]:
    """Rows of `deviations.jsonl`, each naming its plan."""
    return [
        row.to_document(number) | {"id": f"D-{known.claim_id}-{number}", "prereg_id": known.plan.prereg_id}
        for known in claims
        for number, row in enumerate(known.deviations, start=1)
    ]
