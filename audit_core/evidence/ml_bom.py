"""CycloneDX bills of materials: a model with card, claims and counter-evidence; and the packages of a run."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.report.pack_view import Documents, PackView, as_list, as_table
from audit_core.evidence.report.quantity import number

SPEC = "1.6"
"""The oldest version that supports claims with counter-evidence; a test checks the documents against 1.7 as well."""
_NAMES = uuid.UUID("6f0c8f8e-6a0d-5d1c-9d53-0b6f2b1f4a11")


def dump_model_bom(documents: Documents, *, model_id: str) -> bytes:
    """Return the ML-BOM of one model of a pack, canonical JSON.

    Claims are declared with evidence for and against them: a criterion that is not met, inconclusive or not evaluated is
    counter-evidence. Neither conformance to a standard nor an assessor is declared.
    """
    pack = PackView(documents)
    claims = [claim for claim in pack.claims if as_table(claim.get("scope")).get("model_id") == model_id]
    sets = [(set_id, prompts) for set_id, prompts in pack.prompt_sets()]
    bom = _envelope(pack, f"model {model_id}") | {
        "components": [_describe_prompts(set_id, prompts) for set_id, prompts in sets],
        "declarations": _declare(pack, claims),
    }
    bom["metadata"]["component"] = _describe_model(pack, model_id, claims, [f"prompts:{set_id}" for set_id, _ in sets])
    return dump_canonical(bom)


def dump_package_bom(documents: Documents) -> bytes:
    """Return the bill of materials of the packages in `environment/env.json`, canonical JSON."""
    pack = PackView(documents)
    packages = as_list(pack.table("environment/env.json").get("packages"))
    components = [
        {"type": "library", "bom-ref": f"pkg:pypi/{name}@{version}", "name": name, "version": version, "purl": f"pkg:pypi/{name}@{version}"}
        for name, version in sorted({(str(pair[0]), str(pair[1])) for pair in packages if len(as_list(pair)) == 2})
    ]  # fmt: skip
    return dump_canonical(_envelope(pack, "packages") | {"components": components})


def _envelope(pack: PackView, what: str) -> dict[str, Any]:
    header, producer = pack.header, as_table(pack.header.get("producer"))
    tool = {
        "type": "application",
        "name": str(producer.get("name", "assay")),
        "version": str(producer.get("version", "")),
    }
    metadata: dict[str, Any] = {"tools": {"components": [tool]}}
    if header.get("created_at"):
        metadata["timestamp"] = header["created_at"]
    # Derived from the pack, not random: dumps of the same pack must be equal.
    serial = uuid.uuid5(_NAMES, f"{header.get('pack_id')} {what}")
    return {"bomFormat": "CycloneDX", "specVersion": SPEC, "serialNumber": f"urn:uuid:{serial}", "version": 1, "metadata": metadata}  # fmt: skip


def _describe_model(
    pack: PackView, model_id: str, claims: Sequence[Mapping[str, Any]], datasets: Iterable[str]
) -> dict[str, Any]:
    identity = pack.table(f"models/{model_id}/identity.json")
    digests = ("weights_sha256", "tokenizer_sha256", "config_sha256", "dtype", "attention", "quantisation")
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": f"model:{model_id}",
        "name": str(identity.get("model") or model_id),
        "properties": [{"name": f"assay:{key}", "value": str(identity[key])} for key in digests if identity.get(key)],
        "modelCard": {
            "modelParameters": {"datasets": [{"ref": ref} for ref in datasets]},
            "quantitativeAnalysis": {"performanceMetrics": [row for claim in claims for row in _list_metrics(pack, claim)]},
            "considerations": {"technicalLimitations": _limitations(pack)},
        },
    }  # fmt: skip
    if identity.get("licence"):
        component["licenses"] = [{"license": {"name": str(identity["licence"])}}]
    return component


def _limitations(pack: PackView) -> list[str]:
    header = pack.header
    texts = [str(item) for item in as_list(header.get("limitations"))]
    return texts + [f"Not assessed: {item}" for item in as_list(header.get("not_assessed"))]


def _list_metrics(pack: PackView, claim: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Return the measured metrics, each with its interval and conditions."""
    claim_id = str(claim.get("claim_id"))
    for run in pack.runs_of(claim_id):
        for row in run.metrics_of(claim_id):
            value, low, high = (number(row.get(key)) for key in ("estimate", "ci_low", "ci_high"))
            if value is None:
                continue
            way = f", {row['ablation']} ablation" if row.get("ablation") else ""
            found: dict[str, Any] = {
                "type": str(row.get("metric")), "value": f"{value!r} {row.get('unit', '')}".strip(),
                "slice": f"claim {claim_id}, run {run.run_id}{way}, n = {row.get('n')}, level {row.get('ci_level')}",
            }  # fmt: skip
            if low is not None and high is not None:
                found["confidenceInterval"] = {"lowerBound": repr(low), "upperBound": repr(high)}
            yield found


def _describe_prompts(set_id: str, prompts: Mapping[str, Any]) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "data", "bom-ref": f"prompts:{set_id}", "name": str(prompts.get("name") or set_id),
        "data": [{"type": "dataset", "name": set_id, "contents": {"url": f"prompts/{set_id}/set.json"}}],
    }  # fmt: skip
    if prompts.get("sha256"):
        component["properties"] = [{"name": "assay:prompts_sha256", "value": str(prompts["sha256"])}]
    return component


def _declare(pack: PackView, claims: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    evidence: list[dict[str, Any]] = []
    declared = []
    for claim in claims:
        pro, contra = _weigh(pack, claim)
        claim_id = str(claim.get("claim_id"))
        evidence += [*pro, *contra]
        declared.append(
            {
                "bom-ref": f"claim:{claim_id}",
                "target": f"model:{as_table(claim.get('scope')).get('model_id')}",
                "predicate": str(claim.get("statement", "")),
                "reasoning": _reason(pack, claim_id),
                "evidence": [item["bom-ref"] for item in pro],
                "counterEvidence": [item["bom-ref"] for item in contra],
            }
        )
    return {"claims": declared, "evidence": evidence}


def _reason(pack: PackView, claim_id: str) -> str:
    texts = [str(found.get("sentence", "")) for run in pack.runs_of(claim_id) if (found := run.result_of(claim_id))]
    return " ".join(texts) or "Not tested in this pack."


def _weigh(pack: PackView, claim: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    claim_id = str(claim.get("claim_id"))
    pro = [_refer(claim_id, f"evidence-{i}", item) for i, item in enumerate(as_list(claim.get("evidence")), 1)]
    contra = [_refer(claim_id, f"counter-{i}", item) for i, item in enumerate(as_list(claim.get("counter_evidence")), 1)]  # fmt: skip
    for i, row in enumerate(pack.criteria_of(claim_id), 1):
        text = f"Policy criterion {row.get('id')}: {row.get('result')}. {row.get('reason') or ''}".strip()
        item = _evidence(claim_id, f"criterion-{i}", text, "verdict/verdict.json")
        (pro if row.get("result") == "MEETS" else contra).append(item)
    return pro, contra


def _refer(claim_id: str, name: str, item: Any) -> dict[str, Any]:
    table = as_table(item)
    words = next((str(table[key]) for key in ("note", "text", "description") if table.get(key)), None)
    words = words or (item if isinstance(item, str) else "Recorded without a description.")
    path = f"runs/{table['run_id']}/metrics.json" if table.get("run_id") else "claims/claims.json"
    return _evidence(claim_id, name, words, path)


def _evidence(claim_id: str, name: str, description: str, path: str) -> dict[str, Any]:
    return {
        "bom-ref": f"evidence:{claim_id}:{name}", "propertyName": "assay:evidence", "description": description,
        "data": [{"name": path.rsplit("/", 1)[-1], "contents": {"url": path}}],
    }  # fmt: skip
