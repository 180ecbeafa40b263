"""Withhold prompts from a pack: neutral ids, salted commitments, and their openings."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from audit_core.errors import Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.packs.pack_documents import Attempt, list_items
from audit_core.prompts.prompt_set import PromptSet, is_exploratory
from audit_core.store import load_kept_prompts
from audit_core.store.claims.register import RegisteredClaim
from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.withheld import SALT_BYTES, compute_commitment

MIN_WITHHELD = 10
"""Minimum per split: plan and log contain its unsalted digest; ten prompts of a thousand candidates each are 2^100 guesses."""
NUMBERS = ("clean", "corrupt", "patched", "empty", "effect")
_NAMED = {"prompt": "items", "template": "templates", "names": "templates", "untested": "templates"}
"""Fields of a run's result with prompt ids or template names."""


@dataclass(frozen=True)
class WithheldSet:
    """A prompt set under neutral ids."""

    sha256: str
    """Digest of the confirmatory split, as in plan and log."""
    prompts: PromptSet
    items: Mapping[str, str]
    """Prompt id → id in the pack, from its position in the set."""
    templates: Mapping[str, str]


def withhold_set(known: RegisteredClaim) -> WithheldSet:
    """Prepare a claim's prompts for withholding.

    Raises:
        Refused: a split with so few prompts that they can be guessed from its digest, which is not withheld.
    """
    prompts = load_kept_prompts(known.prompts)
    flags = [is_exploratory(prompt) for prompt in prompts.prompts]
    if (fewest := min(flags.count(True), flags.count(False))) < MIN_WITHHELD:
        raise Refused(
            f"{fewest} prompts in one split of {known.plan.pins.prompts[:60]!r}: they could be guessed from the digest in plan and log.",
            wanted=f"at least {MIN_WITHHELD} prompts in each split to withhold them.",
            remedy="export the pack without withholding, or preregister a larger set.",
        )
    names = dict.fromkeys(prompt.template for prompt in prompts.prompts)
    return WithheldSet(
        known.plan.pins.prompts_sha256,
        prompts,
        {prompt.id: f"item-{number:04d}" for number, prompt in enumerate(prompts.prompts, 1)},
        {name: f"template-{number:03d}" for number, name in enumerate(names, 1)},
    )


def hide_names(attempt: Attempt, hidden: WithheldSet) -> Attempt:
    """Replace prompt ids and template names in an attempt's request and result by neutral ids."""
    record = attempt.record
    request, result = json.loads(record.request), _rename(json.loads(record.result or ""), hidden)
    if request.get("others"):
        raise Refused(
            "The run includes other tasks.",
            wanted="a run over one prompt set.",
            remedy="export the pack without withholding.",
        )
    name, digest, ids = request["explored"]
    request["explored"] = [name, digest, [hidden.items[one] for one in ids]]
    if "set_aside" in request:
        request["set_aside"] = [
            [hidden.items[one], hidden.templates[template], why] for one, template, why in request["set_aside"]
        ]
    return replace(attempt, record=replace(record, request=json.dumps(request), result=json.dumps(result)))


def _rename(value: Any, hidden: WithheldSet, table: Mapping[str, str] | None = None) -> Any:
    if isinstance(value, dict):
        tables = {"items": hidden.items, "templates": hidden.templates}
        return {key: _rename(inner, hidden, tables.get(_NAMED.get(key, ""))) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rename(inner, hidden, table) for inner in value]
    return table.get(value, "withheld") if table is not None and isinstance(value, str) else value


@dataclass(frozen=True)
class WithheldItem:
    """One prompt with its numbers and the salt of its commitment."""

    salt: bytes
    document: Mapping[str, Any]

    @property
    def commitment(self) -> str:
        return compute_commitment(self.salt, self.document)


def commit(hidden: WithheldSet, attempts: Sequence[tuple[RegisteredClaim, Attempt]]) -> dict[str, WithheldItem]:
    """Make the withheld items, by their id in the pack.

    An item includes its numbers: with the model, a guessed prompt could be measured and compared.

    Args:
        attempts: every run over this set, with neutral ids.
    """
    measured: dict[str, list[dict[str, Any]]] = {}
    for known, attempt in attempts:
        for row in list_items(known, attempt):
            if row["excluded_reason"] is not None:
                continue
            own = {"run_id": attempt.record.run_id, "ablation": row["ablation"]} | {name: row[name] for name in NUMBERS}
            measured.setdefault(row["item_id"], []).append(own)
    return {
        hidden.items[prompt.id]: WithheldItem(
            secrets.token_bytes(SALT_BYTES),
            {
                "item_id": hidden.items[prompt.id],
                "template": hidden.templates[prompt.template],
                "prompt": prompt.to_row(),
                "runs": measured.get(hidden.items[prompt.id], []),
            },
        )
        for prompt in hidden.prompts.prompts
    }


def describe_withheld(hidden: WithheldSet, items: Mapping[str, WithheldItem]) -> bytes:
    """`withheld.json`."""
    return dump_canonical(
        {
            "schema": "assay/withheld/1",
            "sha256": hidden.sha256,
            "n_items": sum(not is_exploratory(prompt) for prompt in hidden.prompts.prompts),
            "whole_sha256": hidden.prompts.sha256,
            "n_whole": len(hidden.prompts),
            "items": [
                {"item_id": name, "template": item.document["template"], "commitment": item.commitment}
                for name, item in items.items()
            ],
        }
    )


def redact_rows(rows: Sequence[Mapping[str, Any]], items: Mapping[str, WithheldItem]) -> list[dict[str, Any]]:
    """Rows of a run's `items.jsonl` with a commitment instead of numbers."""
    return [dict(row) | dict.fromkeys(NUMBERS) | {"item_commitment": items[row["item_id"]].commitment} for row in rows]


@dataclass(frozen=True)
class Withholding:
    """Withheld prompts of one pack; empty by default."""

    sets: Mapping[str, WithheldSet] = field(default_factory=dict)
    """By the digest of the confirmatory split."""
    items: Mapping[str, Mapping[str, WithheldItem]] = field(default_factory=dict)
    """By the same digest, then by the item's id."""

    @property
    def n_items(self) -> int:
        return sum(map(len, self.items.values()))


def withhold(
    claims: Sequence[RegisteredClaim], attempts: Mapping[str, Sequence[Attempt]]
) -> tuple[Withholding, dict[str, list[Attempt]]]:
    """Commit to every prompt of these claims, and remove the prompts from their attempts.

    Raises:
        Refused: as `withhold_set`.
    """
    sets = {known.plan.pins.prompts_sha256: withhold_set(known) for known in claims}
    covered = {
        known.claim_id: [hide_names(one, sets[known.plan.pins.prompts_sha256]) for one in attempts[known.claim_id]]
        for known in claims
    }
    items = {
        digest: commit(
            hidden,
            [
                (known, one)
                for known in claims
                if known.plan.pins.prompts_sha256 == digest
                for one in covered[known.claim_id]
            ],
        )
        for digest, hidden in sets.items()
    }
    return Withholding(sets, items), covered


def dump_openings(pack_id: str, withholding: Withholding) -> bytes:
    """Serialize all salts and items of a pack, with text in its hashed form."""
    rows = [
        {"set": digest[:16], "salt": item.salt.hex(), "item": dict(item.document)}
        for digest, items in withholding.items.items()
        for item in items.values()
    ]
    return encode_canonical({"schema": "assay/openings/1", "pack_id": pack_id, "items": rows})
