"""Rerun a packed run on this installation, and compare it with the pack on four separate levels."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from audit_core.audits.confirmation import ConfirmationRequest
from audit_core.claim import parse_claim
from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.container import open_pack
from audit_core.evidence.source import hash_source
from audit_core.packs.metric_row import ClaimFindings
from audit_core.packs.metric_rows import list_metric_rows
from audit_core.packs.openings import reveal
from audit_core.prompts.alignment import tokenise
from audit_core.prompts.prompt_set import TokenisedPrompts, mark_split, parse_rows, take_split
from audit_core.run import Actor, Auditor, identify_run
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event, read_clock
from audit_core.subject import Progress, no_progress
from audit_core.verifier.container import BadPack
from audit_core.verifier.criteria import evaluate_policy
from audit_core.verifier.disclosure import list_explored_rows
from audit_core.verifier.documents import Documents, read_documents
from audit_core.verifier.facts import derive_facts
from audit_core.verifier.manifest import check_manifest

ATOL, RTOL = 1e-4, 1e-5
"""Tolerances of logits, float32 on CPUs: ten times the largest difference measured between two machines."""
_MACHINE = ("os", "cpu_model", "n_cpu", "torch", "transformers", "numpy", "blas", "python")
"""Fields that must be equal for bitwise equality to be expected."""
_NOT = "NOT_EVALUATED"
_NUMBERS = ("clean", "corrupt", "patched", "empty")


@dataclass(frozen=True)
class RerunTerms:
    """Options of a rerun."""

    other_code: bool = False
    """Compare although the code differs from the pack's: a comparison of versions, not a reproduction."""
    attention: str = ""
    """Requested attention implementation; empty for the engine's own, the only one available."""


AS_PACKED = RerunTerms()


class _Pack(NamedTuple):
    members: Mapping[str, bytes]
    documents: Documents


@dataclass(frozen=True)
class Comparison:
    """Comparison of one packed run with its rerun."""

    run_id: str
    claim_id: str
    differs: tuple[str, ...]
    """Differences that prevent a comparison, each with both values; empty where the runs are comparable."""
    bitwise: str
    """BITWISE_EQUAL | NOT_BITWISE_EQUAL | NOT_EVALUATED; the last on another machine or with other libraries."""
    numeric: str
    """WITHIN_TOLERANCE | OUTSIDE_TOLERANCE | NOT_EVALUATED."""
    decision: str
    """DECISION_EQUAL | DECISION_FLIPPED | NOT_EVALUATED."""
    n_values: int
    n_outside: int
    worst: float | None
    """Largest absolute difference, in the metric's unit; None where nothing was compared."""
    flipped: tuple[str, ...]
    """Verdict and criteria that differ: value in the pack → value here."""
    although: tuple[str, ...] = ()
    """Differences that were ignored on request, each with both values."""

    @property
    def is_comparable(self) -> bool:
        return not self.differs

    def to_row(self, by: str) -> dict[str, Any]:
        """Row of a pack's `reruns.json`; a comparison despite differences is recorded as not comparable."""
        levels = {"L1": self.bitwise, "L2": self.numeric, "L3": self.decision}
        if self.differs or self.although:
            levels = {"L0": "NOT_COMPARABLE"} | dict.fromkeys(levels, _NOT)
        return {"at": read_clock(), "by": by, "environment": "this installation", "L0": "COMPARABLE"} | levels

    def to_payload(self, by: str) -> dict[str, Any]:
        """Payload of the log's event: the row, and the levels of a comparison despite differences."""
        row = {"claim_id": self.claim_id, **self.to_row(by)}
        if not self.although:
            return row
        found = {"differs": list(self.although), "L1": self.bitwise, "L2": self.numeric, "L3": self.decision}
        return row | {"although": found}


def rerun_pack(
    path: Path,
    open_auditor: Callable[[], Auditor],
    *,
    actor: Actor,
    run_ids: Sequence[str] = (),
    openings: bytes | None = None,
    terms: RerunTerms = AS_PACKED,
    on_progress: Progress = no_progress,
) -> tuple[Comparison, ...]:
    """Rerun every packed run with this model and code, compare, and log each comparison.

    Args:
        run_ids: a subset of the pack's runs; all unless given.
        openings: openings of all withheld prompts.
        terms: ignored differences and the requested attention implementation.

    Raises:
        IntegrityError: the pack fails its integrity check.
        Refused: prompts are missing or withheld without an opening, or the pack lacks the run, or has none.
    """
    pack = _read(path)
    documents = pack.documents
    wanted = tuple(run_ids) or tuple(documents.pack["run_ids"])
    if not wanted:
        raise Refused(
            "A pack without attempts at claims.",
            wanted="a pack with at least one claim.",
            remedy="repeat an answer by its audit: each document in answers/ has the request.",
        )
    if unknown := [run_id for run_id in wanted if run_id not in documents.pack["run_ids"]]:
        raise Refused(f"No run {unknown[0][:40]!r} in this pack.", wanted="one of its runs.", remedy="leave it out.")
    pack = pack._replace(members=reveal(pack.members, documents, openings))
    auditor = open_auditor()
    found = []
    for run_id in wanted:
        comparison = _rerun(auditor, pack, run_id, terms, actor, on_progress)
        with open_database(auditor.log.home) as connection:
            append_event(
                connection, actor=actor.name, action=Action.RERUN_COMPARED, object_id=run_id,
                payload={"pack_id": documents.pack["pack_id"], **comparison.to_payload(actor.name)},
            )  # fmt: skip
        found.append(comparison)
    return tuple(found)


def _read(path: Path) -> _Pack:
    members = open_pack(path)
    try:
        check_manifest(members)
        packed = {name: data for name, data in members.items() if not name.startswith(("attestations/", "MANIFEST"))}
        return _Pack(members, read_documents(packed))
    except BadPack as error:
        raise IntegrityError(f"{path.name} fails its integrity check: {error}.") from error


def _rerun(
    auditor: Auditor, pack: _Pack, run_id: str, terms: RerunTerms, actor: Actor, on_progress: Progress
) -> Comparison:
    manifest = pack.documents.find_manifest(run_id)
    (claim_id,) = manifest["identity"]["claim_ids"]
    item = next(one for one in pack.documents.claims if one["claim_id"] == claim_id)
    plan = pack.documents.find_plan(claim_id) or {}
    claim = parse_claim({name: value for name, value in item["claim"].items() if name != "sha256"})
    judged, explored = _read_splits(auditor, pack, manifest["prompts"]["prompt_set_sha256"])
    config = manifest["config"]["resolved_config"]
    request = ConfirmationRequest(
        judged, claim, explored, tuple(config["questions"]), method=config["method"], seed=int(plan["seeds"][0])
    )
    now = identify_run(auditor.subject.identity, request)
    differs = _list_differences(manifest, plan, now, terms.attention)
    although = ("code",) if terms.other_code and "code" in differs else ()
    blocking = tuple(f"{name}: {line}" for name, line in differs.items() if name not in although)
    if blocking:
        return Comparison(run_id, claim_id, blocking, _NOT, _NOT, _NOT, 0, 0, None, ())
    result = auditor.run("confirmation", request, actor=actor, on_progress=on_progress).result
    rows = list_metric_rows(
        ClaimFindings(claim_id, claim, result.verdict, result.circuit, result.stability, result.transfer)
    )
    flipped = _list_flips(pack.documents, item, run_id, [row.to_json() for row in rows])
    packed = pack.documents.parsed[f"runs/{run_id}/result.json"]
    if (packed["state"], packed["reason"]) != (result.verdict.state, result.verdict.reason):
        flipped = (f"verdict: {packed['state']} → {result.verdict.state}", *flipped)
    gaps, sizes = _compare_items(pack.members[f"runs/{run_id}/items.jsonl"], result.verdict.items)
    outside = sum(gap > ATOL + RTOL * size for gap, size in zip(gaps, sizes, strict=True))
    here = now["environment"]
    is_same_machine = all(manifest["environment"][name] == here[name] for name in _MACHINE)
    bitwise = "BITWISE_EQUAL" if not any(gaps) else "NOT_BITWISE_EQUAL" if is_same_machine else _NOT
    return Comparison(
        run_id, claim_id, (), bitwise, "OUTSIDE_TOLERANCE" if outside else "WITHIN_TOLERANCE",
        "DECISION_FLIPPED" if flipped else "DECISION_EQUAL", len(gaps), outside, max(gaps), flipped,
        tuple(f"{name}: {differs[name]}" for name in although),
    )  # fmt: skip


def _read_splits(auditor: Auditor, pack: _Pack, sha256: str) -> tuple[TokenisedPrompts, TokenisedPrompts]:
    name = f"prompts/{sha256[:16]}/items.jsonl"
    if name not in pack.members:
        raise Refused("The prompts are not in the pack.", wanted=name + ".", remedy="ask the preparer for the prompts.")
    whole = parse_rows(pack.members[name], name="packed")
    try:
        explored_rows = list_explored_rows(pack.documents, sha256)
    except BadPack as error:
        raise IntegrityError(f"{name} cannot be divided: {error}.") from error
    if explored_rows is not None and len(explored_rows) != len(whole):
        raise IntegrityError(f"{name} has another number of prompts than its division by template.")
    if explored_rows is not None:
        salt = next(p["prompts"]["split_salt"] for p in pack.documents.plans if p["prompts"]["sha256"] == sha256)
        whole = mark_split(whole, explored_rows, salt)
    judged, explored = (
        tokenise(take_split(whole, exploratory=flag), auditor.subject.tokenizer) for flag in (False, True)
    )
    if judged.sha256 != sha256:
        raise IntegrityError(f"{name} does not contain the prompts that the run names.")
    return judged, explored


def _list_differences(
    manifest: Mapping[str, Any], plan: Mapping[str, Any], now: Mapping[str, Any], attention: str
) -> dict[str, str]:
    """Level 0: differences that make runs incomparable, including attention implementation and number format."""
    model, packed = manifest["model"], manifest["determinism"]["attention_impl"]
    pairs = {
        "weights": (model["weights_tree_sha256"], now["weights_sha256"]),
        "tokenizer": (model["tokenizer_tree_sha256"], now["tokenizer_sha256"]),
        "configuration": (model["config_sha256"], now["config_sha256"]),
        "number format": (model["dtype_run"], now["dtype"]),
        "attention": (packed, now["attention"]),
        "quantisation": (model["quantisation"], now["quantisation"]),
        "prompts": (manifest["prompts"]["prompt_set_sha256"], now["prompts_sha256"]),
        "code": (plan["analysis_code"]["sha256"], hash_source()),
    }
    differs = {
        name: f"{str(was)[:16]} in the pack, {str(here)[:16]} here"
        for name, (was, here) in pairs.items()
        if was != here
    }
    if attention not in ("", now["attention"]):
        differs["attention"] = (
            f"{packed} in the pack, {attention} requested; this engine supports only {now['attention']}"
        )
    return differs


def _compare_items(packed: bytes, items: Sequence[Any]) -> tuple[list[float], list[float]]:
    """Absolute differences per prompt and ablation, and the larger of the two magnitudes."""
    here = {(item.prompt, item.family): (item.clean, item.corrupted, item.judged, item.empty) for item in items}
    gaps, sizes = [], []
    for line in packed.splitlines():
        row = json.loads(line)
        found = here.pop((row["item_id"], row["ablation"]), None)
        if found is None:
            raise IntegrityError(f"The pack contains prompt {row['item_id'][:40]!r}, which was not run here.")
        for name, value in zip(_NUMBERS, found, strict=True):
            gaps.append(abs(row[name] - value))
            sizes.append(max(abs(row[name]), abs(value)))
    if here or not gaps:
        raise IntegrityError(f"The pack's items lack {len(here)} results of this rerun.")
    return gaps, sizes


def _list_flips(documents: Documents, item: dict[str, Any], run_id: str, rows: list[dict[str, Any]]) -> tuple[str, ...]:
    """Criteria whose result under the pack's policy differs between the pack's numbers and the new ones."""
    facts = derive_facts(documents)
    packed = [row for row in documents.parsed[f"runs/{run_id}/metrics.json"] if row["claim_id"] == item["claim_id"]]
    old, new = (evaluate_policy(documents.policy, [item], metrics, facts)["criteria"] for metrics in (packed, rows))
    return tuple(
        f"{was['id']}: {was['result']} → {found['result']}"
        for was, found in zip(old, new, strict=True)
        if was["metric"] is not None and was["result"] != found["result"]
    )
