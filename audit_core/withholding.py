"""Prompts that stay with whoever prepared a pack: ids that tell nothing, salted commitments, and what opens them again."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.container import open_pack
from audit_core.pack_documents import Attempt, list_items
from audit_core.prompts import Prompt, PromptSet, is_exploratory
from audit_core.store import load_kept_prompts
from audit_core.store.openings import load_openings
from audit_core.store.register import RegisteredClaim
from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.container import BadPack
from audit_core.verifier.documents import Documents, read_documents
from audit_core.verifier.prompt_digest import dump_prompt_rows
from audit_core.verifier.withheld import (
    SALT_BYTES,
    BadOpenings,
    Openings,
    check_openings,
    compute_commitment,
    list_withheld,
    read_openings,
)

MIN_WITHHELD = 10
"""Of each half, whose digest stands in plan and log without a salt: at a thousand guesses a prompt, ten are 2^100."""
NUMBERS = ("clean", "corrupt", "patched", "empty", "effect")
_NAMED = {"prompt": "items", "template": "templates", "names": "templates", "untested": "templates"}
"""Fields of a run's result that hold ids of prompts or names of templates."""


@dataclass(frozen=True)
class WithheldSet:
    """A prompt set under ids that tell nothing of it."""

    sha256: str
    """Of the confirmatory half, as plan and log name it."""
    prompts: PromptSet
    items: Mapping[str, str]
    """Prompt's id → id in the pack: its place in the set."""
    templates: Mapping[str, str]

    @property
    def short(self) -> str:
        return self.sha256[:16]


def withhold_set(known: RegisteredClaim) -> WithheldSet:
    """The prompts of a claim, to be withheld.

    Raises:
        Refused: a half of so few prompts that its digest, which cannot be withheld, would give them away to who guesses.
    """
    prompts = load_kept_prompts(known.prompts)
    halves = [is_exploratory(prompt) for prompt in prompts.prompts]
    if (fewest := min(halves.count(True), halves.count(False))) < MIN_WITHHELD:
        raise Refused(
            f"{fewest} prompts in one half of {known.plan.pins.prompts[:60]!r}: their digest stands in plan and log, and could be guessed from.",
            wanted=f"at least {MIN_WITHHELD} in each half to withhold them.",
            remedy="pack them in the open, or preregister a larger set.",
        )
    names = dict.fromkeys(prompt.template for prompt in prompts.prompts)
    return WithheldSet(
        known.plan.pins.prompts_sha256,
        prompts,
        {prompt.id: f"item-{number:04d}" for number, prompt in enumerate(prompts.prompts, 1)},
        {name: f"template-{number:03d}" for number, name in enumerate(names, 1)},
    )


def hide_names(attempt: Attempt, hidden: WithheldSet) -> Attempt:
    """The attempt as a pack may tell of it: its request and result with the set's ids in the place of people's."""
    record = attempt.record
    request, result = json.loads(record.request), _rename(json.loads(record.result or ""), hidden)
    if request.get("others"):
        raise Refused("A run that looked at other tasks.", wanted="one set of prompts.", remedy="pack them in the open.")
    name, digest, ids = request["explored"]
    request["explored"] = [name, digest, [hidden.items[one] for one in ids]]
    return replace(attempt, record=replace(record, request=json.dumps(request), result=json.dumps(result)))


def _rename(value: Any, hidden: WithheldSet, table: Mapping[str, str] | None = None) -> Any:
    if isinstance(value, dict):
        tables = {"items": hidden.items, "templates": hidden.templates}
        return {key: _rename(inner, hidden, tables.get(_NAMED.get(key, ""))) for key, inner in value.items()}
    if isinstance(value, list):
        return [_rename(inner, hidden, table) for inner in value]
    return table[value] if table is not None and isinstance(value, str) else value


@dataclass(frozen=True)
class WithheldItem:
    """One prompt with its numbers, and the salt without which its commitment says nothing."""

    salt: bytes
    document: Mapping[str, Any]

    @property
    def commitment(self) -> str:
        return compute_commitment(self.salt, self.document)


def commit(hidden: WithheldSet, attempts: Sequence[tuple[RegisteredClaim, Attempt]]) -> dict[str, WithheldItem]:
    """By the item's id in the pack.

    An item is its prompt and its own numbers: whoever has the model could measure a guess and compare.

    Args:
        attempts: every run over this set, its names hidden.
    """
    measured: dict[str, list[dict[str, Any]]] = {}
    for known, attempt in attempts:
        for row in list_items(known, attempt):
            own = {"run_id": attempt.record.run_id, "ablation": row["ablation"]} | {name: row[name] for name in NUMBERS}
            measured.setdefault(row["item_id"], []).append(own)
    return {
        hidden.items[prompt.id]: WithheldItem(
            secrets.token_bytes(SALT_BYTES),
            {
                "item_id": hidden.items[prompt.id],
                "template": hidden.templates[prompt.template],
                "prompt": list_fields(prompt),
                "runs": measured.get(hidden.items[prompt.id], []),
            },
        )
        for prompt in hidden.prompts.prompts
    }


def list_fields(prompt: Prompt) -> dict[str, str]:
    """A prompt's fields, empty ones left out, as its set is hashed."""
    return {name: value for name, value in vars(prompt).items() if value}


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


def cover_rows(rows: Sequence[Mapping[str, Any]], items: Mapping[str, WithheldItem]) -> list[dict[str, Any]]:
    """Rows of a run's `items.jsonl` with a commitment in the place of their numbers."""
    return [
        dict(row) | dict.fromkeys(NUMBERS) | {"item_commitment": items[row["item_id"]].commitment} for row in rows
    ]


def dump_openings(pack_id: str, sets: Mapping[str, Mapping[str, WithheldItem]]) -> bytes:
    """All salts and items of a pack, by set and item; text as it is, as its digest was taken."""
    rows = [
        {"set": short, "salt": item.salt.hex(), "item": dict(item.document)}
        for short, items in sets.items()
        for item in items.values()
    ]
    return encode_canonical({"schema": "assay/openings/1", "pack_id": pack_id, "items": rows})


def choose_openings(home: Path, pack: Path, item_ids: Sequence[str]) -> bytes:
    """What opens these items of a pack to an auditor; all of them where none is named.

    Raises:
        Refused: no such item, or so few left that the set's digest would give them away.
    """
    documents = _read(open_pack(pack), pack.name)
    kept = json.loads(load_openings(home, documents.pack["pack_id"]))
    if not item_ids:
        return encode_canonical(kept)
    names = {row["item"]["item_id"] for row in kept["items"]}
    if strangers := sorted(set(item_ids) - names):
        raise Refused(
            f"No item {strangers[0][:40]!r}.", wanted="items of prompts/*/withheld.json.", remedy="leave it out."
        )
    left = [row for row in kept["items"] if row["item"]["item_id"] not in item_ids]
    counts: dict[tuple[str, bool], int] = {}
    for row in left:
        place = row["set"], is_exploratory(Prompt(**row["item"]["prompt"]))
        counts[place] = counts.get(place, 0) + 1
    if counts and min(counts.values()) < MIN_WITHHELD:
        raise Refused(
            f"{min(counts.values())} items of one half would stay closed: with the others open, its digest lets them be guessed.",
            wanted=f"at least {MIN_WITHHELD} left closed in each half, or none.",
            remedy="open all, or fewer.",
        )
    opened = [row for row in kept["items"] if row["item"]["item_id"] in item_ids]
    return encode_canonical(kept | {"items": opened})


def reveal(members: Mapping[str, bytes], documents: Documents, data: bytes | None) -> Mapping[str, bytes]:
    """The members as they would be had nothing been withheld, so that the pack can be run again.

    Raises:
        Refused: prompts are withheld and were not all opened.
        IntegrityError: the openings are not those of this pack.
    """
    if not (withheld := list_withheld(documents)):
        return members
    openings = _read_all(documents, members, data)
    opened = {(one["set"], one["item"]["item_id"]): one["item"] for one in openings.items}
    shown = dict(members)
    for short, document in withheld.items():
        prompts = [opened[short, row["item_id"]]["prompt"] for row in document["items"]]
        shown[f"prompts/{short}/items.jsonl"] = dump_prompt_rows(prompts)
    for run_id in documents.pack["run_ids"]:
        short = documents.find_manifest(run_id)["prompts"]["prompt_set_sha256"][:16]
        rows = [
            {"item_id": item["prompt"]["id"], **row}
            for (place, _), item in opened.items()
            for row in item["runs"]
            if place == short and row["run_id"] == run_id
        ]
        if short in withheld:
            shown[f"runs/{run_id}/items.jsonl"] = b"".join(encode_canonical(row) + b"\n" for row in rows)
    return shown


def _read_all(documents: Documents, members: Mapping[str, bytes], data: bytes | None) -> Openings:
    total = documents.pack["withheld_count"]
    wanted, remedy = "all of them opened.", "ask whoever prepared the pack for its openings, and give them: --openings F."
    if data is None:
        raise Refused(f"{total} prompts are withheld from this pack.", wanted=wanted, remedy=remedy)
    try:
        openings = read_openings(data)
        check_openings(documents, members, openings)
    except BadOpenings as error:
        raise Refused(f"The openings: {error}.", wanted="what `openings` writes.", remedy=remedy) from error
    except BadPack as error:
        raise IntegrityError(f"The openings do not open this pack: {error}.") from error
    if len(openings.items) < total:
        raise Refused(f"{len(openings.items)} of {total} withheld prompts are opened.", wanted=wanted, remedy=remedy)
    return openings


def _read(members: Mapping[str, bytes], name: str) -> Documents:
    try:
        return read_documents({key: data for key, data in members.items() if not key.startswith(("attestations/", "MANIFEST"))})
    except BadPack as error:
        raise IntegrityError(f"{name} is not whole: {error}.") from error
