"""Prompts of a pack: shown, withheld behind salted commitments, or opened to a reader separately."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.verifier.canonical_json import NotCanonical, encode_canonical
from audit_core.verifier.container import BadPack
from audit_core.verifier.disclosure import check_disclosed_rows, find_disclosed_set, list_explored_rows
from audit_core.verifier.documents import Documents
from audit_core.verifier.prompt_digest import hash_judged_half, hash_prompt_rows
from audit_core.verifier.schema import find_violation
from audit_core.verifier.schemas_withheld import OPENINGS, PROMPT_ROW
from audit_core.verifier.strict_json import NotStrictJson, load_strict

COMMITMENT_DOMAIN = b"assay-withheld-1\0"
SALT_BYTES = 16
"""128 bits: without a salt, a guessed prompt could be confirmed."""
MAX_OPENINGS_BYTES = 32 << 20
PROMPTS_MATCH, PROMPTS_PARTLY_OPENED = "PROMPTS_MATCH", "PROMPTS_PARTLY_OPENED"
PROMPTS_NOT_CHECKED, PROMPTS_FAILED = "PROMPTS_NOT_CHECKED", "PROMPTS_FAILED"
_NUMBERS = ("clean", "corrupt", "patched", "empty", "effect")


class BadOpenings(ValueError):
    """The openings file is unusable; a caller's error, not a fault of the pack."""


@dataclass(frozen=True)
class Openings:
    """Salts and text of withheld items, stored by the preparer."""

    pack_id: str
    items: tuple[Mapping[str, Any], ...]
    """{set, salt, item}; set is the first 16 characters of the set's digest."""


@dataclass(frozen=True)
class PromptsFinding:
    """Whether the prompts match the digests in the runs."""

    result: str
    """PROMPTS_MATCH | PROMPTS_PARTLY_OPENED | PROMPTS_NOT_CHECKED | PROMPTS_FAILED"""
    detail: str


def compute_commitment(salt: bytes, item: Mapping[str, Any]) -> str:
    """Return the SHA-256 over domain, salt and the item's canonical bytes."""
    return hashlib.sha256(COMMITMENT_DOMAIN + salt + encode_canonical(item)).hexdigest()


def read_openings(data: bytes) -> Openings:
    """Parse an openings file.

    Raises:
        BadOpenings: too large, not a JSON document, or malformed.
    """
    if len(data) > MAX_OPENINGS_BYTES:
        raise BadOpenings(f"larger than {MAX_OPENINGS_BYTES:,} bytes")
    try:
        document = load_strict(data)
    except NotStrictJson as error:
        raise BadOpenings(str(error)) from error
    if found := find_violation(document, OPENINGS):
        raise BadOpenings(found)
    return Openings(document["pack_id"], tuple(document["items"]))


def list_withheld(documents: Documents) -> dict[str, Mapping[str, Any]]:
    """Return `withheld.json` of each withheld set, by the first 16 characters of its digest."""
    return {
        name.split("/")[1]: document for name, document in documents.parsed.items() if name.endswith("/withheld.json")
    }


def check_prompt_sets(documents: Documents, members: Mapping[str, bytes]) -> None:
    """Check that shown sets have the digest in their runs, and that withheld sets are counted and referenced correctly.

    Raises:
        BadPack: two documents contradict each other.
    """
    withheld = list_withheld(documents)
    listed = sum(len(document["items"]) for document in withheld.values())
    if listed != documents.pack["withheld_count"]:
        raise BadPack(f"pack.json counts {documents.pack['withheld_count']} withheld items, {listed} are listed")
    by_run = {
        run_id: documents.find_manifest(run_id)["prompts"]["prompt_set_sha256"] for run_id in documents.pack["run_ids"]
    }
    digests = {digest[:16]: digest for digest in by_run.values()}
    for short, document in withheld.items():
        _check_listed(short, document, digests.get(short), members)
    for run_id, digest in by_run.items():
        _check_references(members, run_id, withheld.get(digest[:16]))
    for short, digest in digests.items():
        if (rows := members.get(f"prompts/{short}/items.jsonl")) is not None:
            _check_shown(f"prompts/{short}/items.jsonl", rows, digest, list_explored_rows(documents, digest))


def _check_listed(short: str, document: Mapping[str, Any], digest: str | None, members: Mapping[str, bytes]) -> None:
    place, items = f"prompts/{short}/withheld.json", document["items"]
    if f"prompts/{short}/items.jsonl" in members:
        raise BadPack(f"prompts/{short} is both shown and withheld")
    if document["sha256"] != digest:
        raise BadPack(f"{place} contains prompts that no run of this pack names")
    if len({item["item_id"] for item in items}) < len(items) or len(items) != document["n_whole"]:
        raise BadPack(f"{place} lists an item twice, or another number of items than it states")


def _check_references(members: Mapping[str, bytes], run_id: str, withheld: Mapping[str, Any] | None) -> None:
    """Check that a run's items reference all commitments of their set, or none."""
    name = f"runs/{run_id}/items.jsonl"
    if withheld is None and b'"item_commitment":"' not in members.get(name, b""):
        return
    known = {item["item_id"]: item for item in (withheld or {"items": ()})["items"]}
    rows = [json.loads(line) for line in members.get(name, b"").splitlines()]
    for row in rows:
        item = known.get(row["item_id"])
        if withheld is not None and item is None:
            raise BadPack(f"{name} names an item that is not withheld: {row['item_id'][:40]!a}")
        if row["item_commitment"] != (item["commitment"] if item else None):
            raise BadPack(f"{name} names another commitment for {row['item_id'][:40]!a} than withheld.json")
        if item and (any(row.get(field) is not None for field in _NUMBERS) or row.get("template") != item["template"]):
            raise BadPack(f"{name} discloses withheld fields of {row['item_id'][:40]!a}")
    named = len({row["item_id"] for row in rows})
    if withheld is not None and rows and named != withheld["n_items"]:
        raise BadPack(f"{name} lists {named} items, the set has {withheld['n_items']}")


def _check_shown(name: str, data: bytes, digest: str, explored: list[bool] | None) -> None:
    rows = [json.loads(line) for line in data.splitlines()]
    if any(find_violation(row, PROMPT_ROW) for row in rows):
        raise BadPack(f"{name} contains a row that is not a prompt")
    if explored is not None and len(explored) != len(rows):
        raise BadPack(f"{name} has another number of prompts than its division by template")
    if hash_judged_half(rows, explored) != digest:
        raise BadPack(f"{name} does not contain the prompts that its runs name")


def check_openings(documents: Documents, members: Mapping[str, bytes], openings: Openings | None) -> PromptsFinding:
    """Compare openings with the commitments; prompts that the pack shows are checked with its other documents.

    Raises:
        BadPack: an opening of another pack or of an unknown item, or one that does not match its commitment.
    """
    withheld = list_withheld(documents)
    total = sum(len(document["items"]) for document in withheld.values())
    opened = {} if openings is None else _open(documents, withheld, openings)
    shown = sum(name.startswith("prompts/") and name.endswith("/items.jsonl") for name in members)
    if not total:
        if not shown:
            return PromptsFinding(PROMPTS_NOT_CHECKED, "the pack contains no prompts")
        return PromptsFinding(PROMPTS_MATCH, "the text is in the pack and matches the digest in its runs")
    if len(opened) == total:
        return PromptsFinding(
            PROMPTS_MATCH,
            f"{total} of {total} withheld items opened; they match their commitments and together form the set that was run",
        )
    if not opened:
        return PromptsFinding(
            PROMPTS_NOT_CHECKED, f"{total} items are withheld and none was opened: text and set are unchecked"
        )
    return PromptsFinding(
        PROMPTS_PARTLY_OPENED,
        f"{len(opened)} of {total} withheld items opened; they match their commitments; the other texts and the set are unchecked",
    )


def _open(
    documents: Documents, withheld: Mapping[str, Mapping[str, Any]], openings: Openings
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Return every opened item by set and id, and the digest of each completely opened set."""
    if openings.pack_id != documents.pack["pack_id"]:
        raise BadPack(f"the openings belong to pack {openings.pack_id}")
    listed = {(short, row["item_id"]): row for short, document in withheld.items() for row in document["items"]}
    opened: dict[tuple[str, str], Mapping[str, Any]] = {}
    for one in openings.items:
        item, place = one["item"], (one["set"], one["item"]["item_id"])
        row = listed.get(place)
        if row is None or place in opened:
            raise BadPack(f"an opening of an item that is not withheld, or a repeated one: {place[1][:40]!a}")
        try:
            is_what_was_committed = compute_commitment(bytes.fromhex(one["salt"]), item) == row["commitment"]
        except NotCanonical as error:
            raise BadPack(f"the opening of {place[1][:40]!a}: {error}") from error
        if not is_what_was_committed or item["template"] != row["template"]:
            raise BadPack(f"the opening of {place[1][:40]!a} does not match its commitment")
        opened[place] = item
    for short, document in withheld.items():
        rows = [
            opened[short, row["item_id"]]["prompt"] for row in document["items"] if (short, row["item_id"]) in opened
        ]
        if len(rows) < len(document["items"]):
            continue
        explored = list_explored_rows(documents, document["sha256"])
        if explored is not None and len(explored) != len(rows):
            raise BadPack(f"prompts/{short} has another number of prompts than its division by template")
        if (hash_prompt_rows(rows), hash_judged_half(rows, explored)) != (document["whole_sha256"], document["sha256"]):
            raise BadPack(f"the opened items of prompts/{short} do not form the set that was run")
        if (disclosed := find_disclosed_set(documents, document["sha256"])) is not None:
            check_disclosed_rows(disclosed, rows)
    return opened
