"""Prompts that a pack shows, withholds behind salted commitments, or has opened to a reader by another way."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.verifier.canonical_json import NotCanonical, encode_canonical
from audit_core.verifier.container import BadPack
from audit_core.verifier.documents import Documents
from audit_core.verifier.prompt_digest import hash_judged_half, hash_prompt_rows
from audit_core.verifier.schema import find_violation
from audit_core.verifier.schemas_prompts import OPENINGS, PROMPT_ROW
from audit_core.verifier.strict_json import NotStrictJson, load_strict

COMMITMENT_DOMAIN = b"assay-withheld-1\0"
SALT_BYTES = 16
"""128 bits: without it, whoever guesses a prompt could see that the guess is right."""
MAX_OPENINGS_BYTES = 32 << 20
PROMPTS_MATCH, PROMPTS_PARTLY_OPENED = "PROMPTS_MATCH", "PROMPTS_PARTLY_OPENED"
PROMPTS_NOT_CHECKED, PROMPTS_FAILED = "PROMPTS_NOT_CHECKED", "PROMPTS_FAILED"
_NUMBERS = ("clean", "corrupt", "patched", "empty", "effect")


class BadOpenings(ValueError):
    """The file opens nothing: the caller's mistake, not the pack's."""


@dataclass(frozen=True)
class Openings:
    """Salts and text of withheld items, as the preparer keeps them."""

    pack_id: str
    items: tuple[Mapping[str, Any], ...]
    """{set, salt, item}; the set by the first 16 characters of its digest."""


@dataclass(frozen=True)
class PromptsFinding:
    """Whether the prompts are those that the runs name."""

    result: str
    """PROMPTS_MATCH | PROMPTS_PARTLY_OPENED | PROMPTS_NOT_CHECKED | PROMPTS_FAILED"""
    detail: str


def compute_commitment(salt: bytes, item: Mapping[str, Any]) -> str:
    """SHA-256 over domain, salt and the item's canonical bytes."""
    return hashlib.sha256(COMMITMENT_DOMAIN + salt + encode_canonical(item)).hexdigest()


def read_openings(data: bytes) -> Openings:
    """Parse what a preparer handed over.

    Raises:
        BadOpenings: too large, not one JSON document, or of another form.
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
    """`withheld.json` of each set that is not shown, by the first 16 characters of its digest."""
    return {
        name.split("/")[1]: document for name, document in documents.parsed.items() if name.endswith("/withheld.json")
    }


def check_prompt_sets(documents: Documents, members: Mapping[str, bytes]) -> None:
    """Sets are shown or withheld; those shown have the digest that their runs name, those withheld are counted and referred to.

    Raises:
        BadPack: two places say different things.
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
            _check_shown(f"prompts/{short}/items.jsonl", rows, digest)


def _check_listed(short: str, document: Mapping[str, Any], digest: str | None, members: Mapping[str, bytes]) -> None:
    place, items = f"prompts/{short}/withheld.json", document["items"]
    if f"prompts/{short}/items.jsonl" in members:
        raise BadPack(f"prompts/{short} is shown and withheld")
    if document["sha256"] != digest:
        raise BadPack(f"{place} is of prompts that no run of this pack names")
    if len({item["item_id"] for item in items}) < len(items) or len(items) != document["n_whole"]:
        raise BadPack(f"{place} lists an item twice, or not as many as it says")


def _check_references(members: Mapping[str, bytes], run_id: str, withheld: Mapping[str, Any] | None) -> None:
    """A run's items name the commitments of their set, all of them or none."""
    name = f"runs/{run_id}/items.jsonl"
    if withheld is None and b'"item_commitment":"' not in members.get(name, b""):
        return
    known = {item["item_id"]: item for item in (withheld or {"items": ()})["items"]}
    rows = [json.loads(line) for line in members.get(name, b"").splitlines()]
    for row in rows:
        item = known.get(row["item_id"])
        if withheld is not None and item is None:
            raise BadPack(f"{name} tells of an item that is not among the withheld: {row['item_id'][:40]!a}")
        if row["item_commitment"] != (item["commitment"] if item else None):
            raise BadPack(f"{name} names another commitment for {row['item_id'][:40]!a} than withheld.json")
        if item and (any(row.get(field) is not None for field in _NUMBERS) or row.get("template") != item["template"]):
            raise BadPack(f"{name} tells of {row['item_id'][:40]!a} what is withheld")
    named = len({row["item_id"] for row in rows})
    if withheld is not None and rows and named != withheld["n_items"]:
        raise BadPack(f"{name} tells of {named} items, the set has {withheld['n_items']}")


def _check_shown(name: str, data: bytes, digest: str) -> None:
    rows = [json.loads(line) for line in data.splitlines()]
    if any(find_violation(row, PROMPT_ROW) for row in rows):
        raise BadPack(f"{name} holds a row that is no prompt")
    if hash_judged_half(rows) != digest:
        raise BadPack(f"{name} does not hold the prompts that its runs name")


def check_openings(documents: Documents, members: Mapping[str, bytes], openings: Openings | None) -> PromptsFinding:
    """Hold what was opened against the commitments; a pack that shows its prompts was checked with its other documents.

    Raises:
        BadPack: an opening of another pack, of no item of this one, or not of what was committed to.
    """
    withheld = list_withheld(documents)
    total = sum(len(document["items"]) for document in withheld.values())
    opened = {} if openings is None else _open(documents, withheld, openings)
    shown = sum(name.startswith("prompts/") and name.endswith("/items.jsonl") for name in members)
    if not total:
        if not shown:
            return PromptsFinding(PROMPTS_NOT_CHECKED, "the pack holds no prompts")
        return PromptsFinding(PROMPTS_MATCH, "the text is in the pack and has the digest that its runs name")
    if len(opened) == total:
        return PromptsFinding(
            PROMPTS_MATCH, f"{total} of {total} withheld items opened: as committed, and together the set that was run"
        )
    if not opened:
        return PromptsFinding(
            PROMPTS_NOT_CHECKED, f"{total} items are withheld and none was opened: text and set were not checked"
        )
    return PromptsFinding(
        PROMPTS_PARTLY_OPENED,
        f"{len(opened)} of {total} withheld items opened, as committed; the text of the others and the set were not checked",
    )


def _open(
    documents: Documents, withheld: Mapping[str, Mapping[str, Any]], openings: Openings
) -> dict[tuple[str, str], Mapping[str, Any]]:
    """Every opened item by set and id; the digest of each set that is opened whole."""
    if openings.pack_id != documents.pack["pack_id"]:
        raise BadPack(f"the openings are of pack {openings.pack_id}")
    listed = {(short, row["item_id"]): row for short, document in withheld.items() for row in document["items"]}
    opened: dict[tuple[str, str], Mapping[str, Any]] = {}
    for one in openings.items:
        item, place = one["item"], (one["set"], one["item"]["item_id"])
        row = listed.get(place)
        if row is None or place in opened:
            raise BadPack(f"an opening of an item that is not withheld, or twice: {place[1][:40]!a}")
        try:
            is_what_was_committed = compute_commitment(bytes.fromhex(one["salt"]), item) == row["commitment"]
        except NotCanonical as error:
            raise BadPack(f"the opening of {place[1][:40]!a}: {error}") from error
        if not is_what_was_committed or item["template"] != row["template"]:
            raise BadPack(f"the opening of {place[1][:40]!a} is not what was committed to")
        opened[place] = item
    for short, document in withheld.items():
        rows = [
            opened[short, row["item_id"]]["prompt"] for row in document["items"] if (short, row["item_id"]) in opened
        ]
        if len(rows) == len(document["items"]) and (hash_prompt_rows(rows), hash_judged_half(rows)) != (
            document["whole_sha256"], document["sha256"],
        ):  # fmt: skip
            raise BadPack(f"what was opened of prompts/{short} is together not the set that was run")
    return opened
