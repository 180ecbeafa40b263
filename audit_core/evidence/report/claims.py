"""Sections on claims, preregistration and runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from audit_core.evidence.canonical import hash_document
from audit_core.evidence.environment import keep_allowed
from audit_core.evidence.report.blocks import (
    Block,
    Facts,
    Heading,
    Line,
    Paragraph,
    Section,
    Table,
    code,
    join_spans,
    line,
)
from audit_core.evidence.report.cells import cell, digest_cell, pick_facts
from audit_core.evidence.report.pack_view import PackView, Run, as_table, as_tables

_SCOPE = (("model_id", "model"), ("prompt_set_id", "prompts"), ("intervention", "intervention"), ("positions", "positions"), ("dtype", "number format"), ("languages", "languages"))  # fmt: skip
_MODEL = (
    ("repo", "Repository"), ("revision", "Revision"), ("weights_tree_sha256", "Weights, SHA-256"), ("tokenizer_tree_sha256", "Tokenizer, SHA-256"),
    ("config_sha256", "Configuration, SHA-256"), ("param_count", "Parameters"), ("dtype_on_disk", "Number format on disk"),
    ("dtype_run", "Number format in the run"), ("quantisation", "Quantisation"), ("remote_code", "Repository code executed"),
)  # fmt: skip
_MODEL_CODES = ("revision", "weights_tree_sha256", "tokenizer_tree_sha256", "config_sha256")
_IDENTITY = (
    ("model", "Name"), ("weights_sha256", "Weights, SHA-256"), ("tokenizer_sha256", "Tokenizer, SHA-256"), ("config_sha256", "Configuration, SHA-256"),
    ("dtype", "Number format"), ("attention", "Attention implementation"), ("quantisation", "Quantisation"), ("licence", "Licence"),
)  # fmt: skip
_PROMPTS = (
    ("name", "Name"), ("sha256", "Prompts, SHA-256"), ("n_items", "Items"), ("split", "Split"), ("languages", "Languages"), ("licence", "Licence"),
)  # fmt: skip
_DETERMINISM = (
    ("use_deterministic_algorithms", "Deterministic algorithms"), ("attention_impl", "Attention implementation"), ("batch_size", "Batch size"),
    ("num_threads", "Threads"), ("tf32", "TF32"),
)  # fmt: skip
_ENVIRONMENT = (
    ("os", "System"), ("kernel", "Kernel"), ("cpu_model", "Processor"), ("n_cpu", "Processors"), ("gpu_model", "Accelerator"), ("python", "Python"),
    ("torch", "torch"), ("transformers", "transformers"), ("numpy", "NumPy"), ("blas", "Linear algebra"), ("lock_sha256", "Locked packages, SHA-256"),
    ("git_commit", "Commit of the product"), ("git_dirty", "Changed since that commit"),
)  # fmt: skip
_PREREG = (
    ("prereg_id", "Preregistration"), ("version", "Version"), ("title", "Title"), ("authors", "Authors"), ("frozen_at", "Frozen"),
    ("research_question", "Question"), ("prior_access", "Results seen before"), ("exclusions", "Exclusions"), ("stopping_rule", "Stopping rule"),
    ("exploratory", "Exploratory"), ("seeds", "Seeds"), ("policy_sha256", "Thresholds: policy, SHA-256"), ("digest", "Digest"),
)  # fmt: skip


def state_claims(pack: PackView) -> Section:
    """List every claim as filed, with its scope."""
    blocks: list[Block] = []
    for claim in pack.claims:
        body, estimand = as_table(claim.get("claim")), as_table(claim.get("estimand"))
        scope = as_table(claim.get("scope"))
        blocks += [
            Heading(line(code(claim.get("claim_id", "")), "  ", *cell(claim.get("kind")))),
            Paragraph(cell(claim.get("statement")), is_lead=True),
            Facts(
                (
                    ("Components", cell(body.get("components"))),
                    ("Scope", _name_scope(scope)),
                    ("Estimand", line(*cell(estimand.get("name")), ": ", *cell(estimand.get("formula")))),
                    ("Smallest effect of interest (δ)", cell(body.get("delta"))),
                    ("Level (α)", cell(body.get("alpha"))),
                    ("Status", cell(claim.get("status"))),
                    ("Owner, reviewer", line(*cell(claim.get("owner")), ", ", *cell(claim.get("reviewer")))),
                    ("Review by", cell(claim.get("expires_at"))),
                    ("Claim, SHA-256", digest_cell(body.get("sha256"))),
                )
            ),
        ]
    return Section("claims", "Claims", tuple(blocks) or (Paragraph(line("This pack contains no claims.")),))


def _name_scope(scope: Mapping[str, Any]) -> Line:
    parts = [line(f"{words} ", *cell(scope[key])) for key, words in _SCOPE if key in scope]
    return tuple(span for i, part in enumerate(parts) for span in ((*line("; "), *part) if i else part)) or cell(None)


def describe_preregistration(pack: PackView) -> Section:
    """List every preregistration in the pack."""
    blocks: list[Block] = []
    for prereg in pack.tables("prereg/prereg.json"):
        size, many = as_table(prereg.get("sample_size")), as_table(prereg.get("multiplicity"))
        facts = pick_facts(prereg, _PREREG, ("prereg_id", "policy_sha256", "digest"))
        sizes = line(
            "n = ", *cell(size.get("n")), ", minimum detectable effect ", *cell(size.get("mde")), " at power ", *cell(size.get("power")),
            "; ", *cell(size.get("rationale")),
        )  # fmt: skip
        method = line(*cell(many.get("method")), " over ", *cell(many.get("family")), " at ", *cell(many.get("alpha")))
        blocks.append(Facts((*facts.rows, ("Sample", sizes), ("Multiplicity", method))))
        blocks.append(_table_hypotheses(prereg))
    if blocks:
        note = "Times are from the clock of the machine that recorded them. The digest existed no later than its log entry."
        return Section("prereg", "Preregistration", (*blocks, Paragraph(line(note))))
    nothing = "This pack contains no preregistration: its findings are exploratory and do not count under a policy."
    return Section("prereg", "Preregistration", (Paragraph(line(nothing)),))


def _table_hypotheses(prereg: Mapping[str, Any]) -> Table:
    rows = tuple(
        (line(code(row.get("id", ""))), cell(row.get("text")), cell(row.get("directional")), cell(row.get("null")))
        for row in as_tables(prereg.get("hypotheses"))
    )
    return Table("Hypotheses", ("", "text", "directional", "null"), rows, widths=(8, 50, 14, 28))


def describe_runs(pack: PackView) -> Section:
    """Describe model, prompts and machine of every run; facts that runs share are listed once."""
    blocks: list[Block] = [_table_runs(pack.runs)]
    for _, identity in pack.models():
        digests = ("weights_sha256", "tokenizer_sha256", "config_sha256")
        blocks += [Heading(line("Model")), pick_facts(identity, _IDENTITY, digests)]
    for set_id, prompts in pack.prompt_sets():
        blocks += [Heading(line("Prompts ", code(set_id))), pick_facts(prompts, _PROMPTS, ("sha256",))]
    withheld = pack.header.get("withheld_count")
    if withheld:
        blocks.append(Paragraph(line("Items withheld from this pack: ", *cell(withheld), ".")))
    for runs in _group_alike(pack.runs):
        manifest = runs[0].manifest
        environment = keep_allowed(as_table(manifest.get("environment")))
        names = join_spans([code(run.run_id[:12]) for run in runs])
        blocks += [
            Heading(line("As loaded and run in ", *names)),
            Facts(
                pick_facts(as_table(manifest.get("model")), _MODEL, _MODEL_CODES).rows
                + pick_facts(as_table(manifest.get("determinism")), _DETERMINISM).rows
                + pick_facts(environment, _ENVIRONMENT, ("lock_sha256", "git_commit")).rows
            ),
        ]
    return Section("runs", "What was run", tuple(blocks))


def _table_runs(runs: tuple[Run, ...]) -> Table:
    rows = []
    for run in runs:
        prompts = as_table(run.manifest.get("prompts"))
        claims = join_spans([code(claim_id) for claim_id in run.claim_ids])
        rows.append(
            (
                line(code(run.run_id[:12])),
                claims,
                cell(run.identity.get("attempt_no")),
                cell(run.identity.get("started_at")),
                cell(run.identity.get("status")),
                cell(prompts.get("n_items")),
            )
        )
    return Table(
        "Runs of this pack", ("run", "claims", "attempt", "started", "status", "prompts"), tuple(rows), (2, 5), (20, 14, 10, 30, 14, 12)
    )  # fmt: skip


def _group_alike(runs: tuple[Run, ...]) -> list[list[Run]]:
    """Group runs with the same model, settings and machine, in order of first appearance."""
    groups: dict[str, list[Run]] = {}
    for run in runs:
        alike = [run.manifest.get(part) for part in ("model", "determinism", "environment")]
        groups.setdefault(hash_document(alike), []).append(run)
    return list(groups.values())
