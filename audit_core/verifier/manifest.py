"""Step 2, manifest: it lists the SHA-256 of every file except itself and the signatures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from audit_core.verifier.container import MAX_MEMBERS, MAX_NAME_BYTES, BadPack

MANIFEST = "MANIFEST.sha256"
PACK_ENVELOPE = "attestations/pack.dsse.json"
MAX_MANIFEST_BYTES = MAX_MEMBERS * (64 + 2 + MAX_NAME_BYTES + 1)
"""Bound for one row per allowed member."""
_OUTSIDE = re.compile(
    r"attestations/(pack\.dsse\.json|approval-[a-z0-9-]{1,60}\.dsse\.json|time\.tsr|sigstore\.json|witnessed\.tlog-proof)\Z"
)
_APPROVAL = re.compile(r"attestations/approval-[a-z0-9-]{1,60}\.dsse\.json\Z")
_ROW = re.compile(r"([0-9a-f]{64})  ([A-Za-z0-9._/+@=-]+)\Z")


def is_outside_manifest(name: str) -> bool:
    """Check whether a member is outside the manifest: the manifest itself, and attestations made after it."""
    return name == MANIFEST or bool(_OUTSIDE.match(name))


def is_approval(name: str) -> bool:
    return bool(_APPROVAL.match(name))


def check_manifest(members: Mapping[str, bytes]) -> str:
    """Compare manifest and members in both directions.

    Returns:
        SHA-256 of the manifest, which identifies the pack.

    Raises:
        BadPack: no manifest, an invalid line, a file it does not list, a missing file, or changed bytes.
    """
    if len(members.get(MANIFEST, b"")) > MAX_MANIFEST_BYTES:
        raise BadPack(f"{MANIFEST} is larger than {MAX_MANIFEST_BYTES:,} bytes")
    if MANIFEST not in members:
        raise BadPack(f"no {MANIFEST}")
    listed = _read_manifest(members[MANIFEST])
    present = {name for name in members if not is_outside_manifest(name)}
    if unlisted := sorted(present - set(listed)):
        raise BadPack(f"{unlisted[0]} is not in the manifest ({len(unlisted)} such)")
    if missing := sorted(set(listed) - present):
        raise BadPack(f"{missing[0]} is in the manifest but not in the pack ({len(missing)} such)")
    changed = [name for name, digest in listed.items() if hashlib.sha256(members[name]).hexdigest() != digest]
    if changed:
        raise BadPack(f"{changed[0]} differs from its digest in the manifest ({len(changed)} such)")
    return hashlib.sha256(members[MANIFEST]).hexdigest()


def _read_manifest(data: bytes) -> dict[str, str]:
    lines = data.decode("latin-1").split("\n")
    if lines.pop() != "":
        raise BadPack("the manifest's last line has no line break")
    listed: dict[str, str] = {}
    before = ""
    for number, line in enumerate(lines, 1):
        found = _ROW.match(line)
        if not found:
            raise BadPack(f"line {number} of the manifest is not a digest, two spaces and a name")
        if found[2] <= before:
            raise BadPack(f"line {number} of the manifest is out of order or repeated")
        before = found[2]
        listed[before] = found[1]
    return listed
