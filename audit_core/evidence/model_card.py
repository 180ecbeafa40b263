"""Model card of one model of a pack: measured results and limitations, in the hub's metadata format."""

from __future__ import annotations

import string
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from audit_core.evidence.report.pack_view import Documents, PackView, Run, as_list, as_table
from audit_core.evidence.report.quantity import format_quantity, number, read_metric
from audit_core.evidence.report.visible import make_visible
from audit_core.evidence.report.words_for import STATES, find_word

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

TASK = "causal-claim-test"


def dump_model_card(documents: Documents, *, model_id: str) -> bytes:
    """Return the README.md of one model, UTF-8. The hub's own verification fields stay unset."""
    from huggingface_hub import ModelCard, ModelCardData

    pack = PackView(documents)
    identity = pack.table(f"models/{model_id}/identity.json")
    claims = [claim for claim in pack.claims if as_table(claim.get("scope")).get("model_id") == model_id]
    results = [result for claim in claims for result in _list_results(pack, claim)]
    data = ModelCardData(
        model_name=make_visible(str(identity.get("model") or model_id)),
        eval_results=results or None,
        tags=["causal-audit"],
    )
    card = ModelCard(
        f"---\n{data.to_yaml()}\n---\n\n{_write_body(pack, model_id, claims)}", ignore_metadata_errors=True
    )
    return str(card).encode("utf-8")


def escape_markdown(text: Any) -> str:
    """Escape text for Markdown: no markup, links, images or hidden characters."""
    shown = make_visible(text if isinstance(text, str) else str(text))
    return "".join(f"\\{c}" if c in string.punctuation else c for c in shown)


def _list_results(pack: PackView, claim: Mapping[str, Any]) -> Iterator[EvalResult]:
    from huggingface_hub import EvalResult

    claim_id, set_id = str(claim.get("claim_id")), str(as_table(claim.get("scope")).get("prompt_set_id"))
    for run, row in _measured(pack, claim_id):
        prompts = pack.table(f"prompts/{set_id}/set.json")
        arguments = {"claim_id": claim_id, "run_id": run.run_id, "ablation": row.get("ablation"), "unit": row.get("unit"), "n": row.get("n"),
                     "ci_low": row.get("ci_low"), "ci_high": row.get("ci_high"), "ci_level": row.get("ci_level")}  # fmt: skip
        yield EvalResult(
            task_type=TASK,
            dataset_type=make_visible(set_id),
            dataset_name=make_visible(str(prompts.get("name") or set_id)),
            dataset_split=str(prompts["split"]) if prompts.get("split") else None,
            metric_type=make_visible(str(row.get("metric"))),
            metric_value=number(row.get("estimate")),
            metric_args={key: make_visible(value) if isinstance(value, str) else value for key, value in arguments.items() if value is not None},
        )  # fmt: skip


def _measured(pack: PackView, claim_id: str) -> Iterator[tuple[Run, Mapping[str, Any]]]:
    for run in pack.runs_of(claim_id):
        for row in run.metrics_of(claim_id):
            if number(row.get("estimate")) is not None:
                yield run, row


def _write_body(pack: PackView, model_id: str, claims: list[Mapping[str, Any]]) -> str:
    identity, header = pack.table(f"models/{model_id}/identity.json"), pack.header
    lines = [
        f"# {escape_markdown(identity.get('model') or model_id)}",
        "",
        "What tests of stated claims found about this model. Factual findings about the tested conditions, not an assurance "
        "conclusion; other conditions were not tested.",
        "",
        "## Identity",
        "",
    ]
    fields = (
        "weights_sha256",
        "tokenizer_sha256",
        "config_sha256",
        "dtype",
        "attention",
        "quantisation",
        "licence",
        "device",
        "device_name",
    )
    lines += [f"* {key.replace('_', ' ')}: {escape_markdown(identity[key])}" for key in fields if identity.get(key)]
    lines += ["", "## Claims", ""]
    for claim in claims:
        lines += _write_claim(pack, claim)
    for title, key in (("Limitations", "limitations"), ("Not assessed", "not_assessed")):
        lines += [f"## {title}", "", *(f"* {escape_markdown(item)}" for item in as_list(header.get(key))), ""]
    return "\n".join(lines)


def _write_claim(pack: PackView, claim: Mapping[str, Any]) -> list[str]:
    claim_id = str(claim.get("claim_id"))
    lines = [f"### {escape_markdown(claim_id)}", "", escape_markdown(claim.get("statement", "")), ""]
    for run in pack.runs_of(claim_id):
        result = run.result_of(claim_id) or {}
        lines.append(
            f"* Found: {find_word(STATES, result.get('state')).text}. {escape_markdown(result.get('sentence', ''))}"
        )
        for row in run.metrics_of(claim_id):
            way = f", {row['ablation']}" if row.get("ablation") else ""
            lines.append(
                f"* {escape_markdown(str(row.get('metric')) + way)}: {escape_markdown(format_quantity(read_metric(row)))}"
            )
    against = [row for row in pack.criteria_of(claim_id) if row.get("result") != "MEETS"]
    lines += [
        f"* Evidence against: criterion {escape_markdown(row.get('id'))}: {escape_markdown(row.get('result'))}"
        for row in against
    ]
    return [*lines, ""]
