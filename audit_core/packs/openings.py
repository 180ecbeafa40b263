"""Openings of withheld prompts: select them for an auditor, and restore the prompts for a rerun."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.container import open_pack
from audit_core.packs.withholding import MIN_WITHHELD
from audit_core.store.database.connection import open_database
from audit_core.store.database.events import Action, append_event
from audit_core.store.keys.openings import load_openings, write_private
from audit_core.verifier.canonical_json import encode_canonical
from audit_core.verifier.container import BadPack
from audit_core.verifier.disclosure import list_explored_rows
from audit_core.verifier.documents import Documents, read_documents
from audit_core.verifier.prompt_digest import dump_prompt_rows, is_exploratory_pair
from audit_core.verifier.withheld import BadOpenings, Openings, check_openings, list_withheld, read_openings


def choose_openings(home: Path, pack: Path, item_ids: Sequence[str]) -> bytes:
    """Select the openings of these items of a pack; all items where none is named.

    Raises:
        Refused: no such item, or so few items stay withheld that the set's digest would let them be guessed.
    """
    documents = _read(open_pack(pack), pack.name)
    kept = json.loads(load_openings(home, documents.pack["pack_id"]))
    if not item_ids:
        return encode_canonical(kept)
    names = {row["item"]["item_id"] for row in kept["items"]}
    if unknown := sorted(set(item_ids) - names):
        raise Refused(
            f"No item {unknown[0][:40]!r}.", wanted="items of prompts/*/withheld.json.", remedy="leave it out."
        )
    left = [row for row in kept["items"] if row["item"]["item_id"] not in item_ids]
    counts: dict[tuple[str, bool], int] = {}
    explored = _list_explored(documents)
    for row in left:
        prompt = row["item"]["prompt"]
        by_text = is_exploratory_pair(prompt["clean"], prompt["corrupted"])
        place = row["set"], explored.get((row["set"], row["item"]["item_id"]), by_text)
        counts[place] = counts.get(place, 0) + 1
    if counts and min(counts.values()) < MIN_WITHHELD:
        raise Refused(
            f"{min(counts.values())} items of one split would stay withheld, few enough to be guessed from its digest.",
            wanted=f"at least {MIN_WITHHELD} withheld items in each split, or none.",
            remedy="open all items, or fewer.",
        )
    opened = [row for row in kept["items"] if row["item"]["item_id"] in item_ids]
    return encode_canonical(kept | {"items": opened})


def hand_out_openings(home: Path, pack: Path, item_ids: Sequence[str], out: Path, *, actor: str) -> int:
    """Write openings into a file that only its owner can read, and log who wrote how many; see `choose_openings`.

    Returns:
        Number of prompts that the file opens.
    """
    data = choose_openings(home, pack, item_ids)
    kept = json.loads(data)
    reported = {"items": len(kept["items"]), "sha256": hashlib.sha256(data).hexdigest()}
    with open_database(home) as connection:
        # In one transaction: without the file there is no event, and without the event no file.
        append_event(
            connection, actor=actor, action=Action.OPENINGS_WRITTEN, object_id=kept["pack_id"], payload=reported
        )
        write_private(out, data)
    return len(kept["items"])


def _list_explored(documents: Documents) -> dict[tuple[str, str], bool]:
    """Split of each withheld item of a set that is divided by template, by set and item id."""
    return {
        (short, item["item_id"]): flag
        for short, document in list_withheld(documents).items()
        if (flags := list_explored_rows(documents, document["sha256"])) is not None
        for item, flag in zip(document["items"], flags, strict=True)
    }


def reveal(members: Mapping[str, bytes], documents: Documents, data: bytes | None) -> Mapping[str, bytes]:
    """Restore the pack's members with the withheld prompts, for a rerun.

    Raises:
        Refused: some withheld prompts have no opening.
        IntegrityError: the openings belong to another pack.
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
    wanted, remedy = (
        "the openings of all of them.",
        "ask the preparer for the pack's openings, and pass them: --openings F.",
    )
    if data is None:
        raise Refused(f"{total} prompts are withheld from this pack.", wanted=wanted, remedy=remedy)
    try:
        openings = read_openings(data)
        check_openings(documents, members, openings)
    except BadOpenings as error:
        raise Refused(f"The openings: {error}.", wanted="a file that `openings` wrote.", remedy=remedy) from error
    except BadPack as error:
        raise IntegrityError(f"The openings do not open this pack: {error}.") from error
    if len(openings.items) < total:
        raise Refused(f"{len(openings.items)} of {total} withheld prompts are opened.", wanted=wanted, remedy=remedy)
    return openings


def _read(members: Mapping[str, bytes], name: str) -> Documents:
    try:
        return read_documents(
            {key: data for key, data in members.items() if not key.startswith(("attestations/", "MANIFEST"))}
        )
    except BadPack as error:
        raise IntegrityError(f"{name} fails its integrity check: {error}.") from error
