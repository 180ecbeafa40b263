"""The command `log anchor`: record an external copy of a checkpoint, in a pack or on its own."""

from __future__ import annotations

import argparse
from pathlib import Path

from audit_core.cli.output import print_json, print_result
from audit_core.cli.session import current_actor
from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.container import open_pack
from audit_core.store import Action, AnchorKind, anchor_checkpoint, audit_home, list_events, open_database
from audit_core.store.database.checkpoints import list_checkpoints
from audit_core.verifier.container import BadPack
from audit_core.verifier.manifest import check_manifest


def record_anchor(options: argparse.Namespace) -> int:
    """Record the external checkpoint by a pack and its owner, or by size and location."""
    by_pack, by_size = (options.pack, options.held_by), (options.kind, options.target, options.size)
    named: dict[str, str] = {}
    if None not in by_pack and set(by_size) == {None}:
        kind, target = AnchorKind.PACK, options.held_by
        size, named = read_own_pack(options.pack)
    elif None not in by_size and set(by_pack) == {None}:
        kind, target, size = AnchorKind(options.kind), options.target, options.size
    else:
        raise Refused(
            "Incomplete or mixed options for an anchor.",
            wanted="--pack and --held-by, or --kind, --target and --size.",
            remedy="give exactly one of these groups.",
        )
    with open_database(audit_home()) as connection:
        event = anchor_checkpoint(
            connection, actor=current_actor().name, kind=kind, target=target, size=size, named=named
        )
    if options.json:
        return print_json({"seq": event.seq, **event.payload})
    print_result(
        f"Event {event.seq}: the checkpoint over {event.payload['size']} events is recorded as external: {event.payload['target']!r}."
    )
    return 0


def read_own_pack(path: Path) -> tuple[int, dict[str, str]]:
    """Return the size of the checkpoint in a pack, and the ids of the pack; this log must have signed the checkpoint.

    Raises:
        IntegrityError: the pack is incomplete or altered.
        Refused: not a pack of this log.
    """
    members = open_pack(path)
    try:
        digest = check_manifest(members)
    except BadPack as error:
        raise IntegrityError(f"{path.name} is incomplete or altered: {error}.") from error
    note = members.get("log/checkpoint.txt", b"").decode("utf-8", errors="replace")
    with open_database(audit_home()) as connection:
        exported = {event.seq + 1: event.object_id for event in list_events(connection, action=Action.PACK_EXPORTED)}
        signed = {one.note: one.size for one in list_checkpoints(connection)}
    size = signed.get(note)
    if size is None or size not in exported:
        raise Refused(
            f"{path.name} contains no checkpoint that this log signed at an export.",
            wanted="a pack exported from this data directory, unchanged.",
            remedy="choose the exported pack, or anchor another checkpoint by --kind, --target and --size.",
        )
    return size, {"pack_id": exported[size], "manifest_sha256": digest}
