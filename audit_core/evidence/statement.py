"""Sign packs and decisions about them: in-toto statements in DSSE envelopes, outside the manifest."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.container import make_manifest, open_pack, write_pack
from audit_core.verifier.container import BadPack
from audit_core.verifier.decisions import check_decisions
from audit_core.verifier.manifest import MANIFEST, PACK_ENVELOPE, check_manifest, is_approval
from audit_core.verifier.schemas_signed import APPROVAL_PREDICATE_TYPE, PACK_PREDICATE_TYPE, STATEMENT_TYPE
from audit_core.verifier.statement import PAYLOAD_TYPE, encode_before_signing, read_statements


class Key(Protocol):
    """A signer: a person's key file, or a hardware token."""

    @property
    def keyid(self) -> str: ...

    def sign(self, message: bytes) -> bytes: ...


@dataclass(frozen=True)
class Approval:
    """One person's decision about one pack."""

    role: str
    """reviewer | approver"""
    person: str
    """Name of the person in the trust file."""
    organisation: str
    decision: str
    """approve | reject | approve_with_conditions"""
    at: str
    """RFC 3339, UTC."""
    expires_at: str | None = None
    conditions: Sequence[str] = ()
    independence_statement: str = ""
    conflicts: str = ""
    evidence_viewed: Sequence[str] = ()
    decisions_seen: Sequence[str] | None = None
    """SHA-256 of each earlier decision in the pack; None leaves the field out, as in older formats."""

    def predicate(self) -> dict[str, Any]:
        fields = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
        if self.decisions_seen is None:
            del fields["decisions_seen"]
        return fields


@dataclass(frozen=True)
class SignedApproval:
    """A signed decision that is not yet in a pack."""

    member: str
    """Its member name in the pack."""
    envelope: bytes
    approval: Approval
    """The decision as signed, with the digests of earlier decisions."""
    pack_id: str
    root_digest: str
    """SHA-256 of the pack's manifest."""

    @property
    def envelope_sha256(self) -> str:
        """Digest by which later decisions reference this one."""
        return hashlib.sha256(self.envelope).hexdigest()


def seal_pack(
    path: Path, files: Mapping[str, bytes], key: Key, *, pack_id: str, person: str, organisation: str, at: str
) -> str:
    """Add the manifest and the preparer's signature, and write the pack.

    Args:
        files: all members except manifest and signatures.
        person: name of the preparer in trust files.
        at: time of signing, RFC 3339, UTC.

    Returns:
        SHA-256 of the manifest, which identifies the pack.

    Raises:
        Refused: files that a pack cannot contain.
    """
    manifest = make_manifest(files)
    predicate = {"pack_id": pack_id, "role": "preparer", "person": person, "organisation": organisation, "at": at}
    envelope = sign_statement(manifest, PACK_PREDICATE_TYPE, predicate, key)
    write_pack(path, {**files, MANIFEST: manifest, PACK_ENVELOPE: envelope})
    return hashlib.sha256(manifest).hexdigest()


def add_approval(path: Path, approval: Approval, key: Key) -> str:
    """Add a person's signed decision to a pack file; all other members stay byte-identical.

    Returns:
        Name of the new member.

    Raises:
        IntegrityError: the pack is incomplete or damaged and must not be signed.
        Refused: an invalid decision.
    """
    members = open_pack(path)
    signed = sign_approval(members, approval, key, path.name)
    write_pack(path, {**members, signed.member: signed.envelope})
    return signed.member


def sign_approval(members: Mapping[str, bytes], approval: Approval, key: Key, pack: str) -> SignedApproval:
    """Sign a person's decision about a pack, with digests of all earlier decisions so that removing one is detected.

    Args:
        pack: the pack's name in error messages.

    Raises:
        As `add_approval`.
    """
    try:
        digest = check_manifest(members)
        prepared, *decisions = read_statements(members, digest)
        found = check_decisions(decisions, None)
    except BadPack as error:
        raise IntegrityError(f"{pack} is incomplete or damaged: {error}.") from error
    if found.missing:
        raise IntegrityError(f"{pack} is incomplete: {'; '.join(found.missing)}.")
    there = [name for name in members if is_approval(name)]
    approval = replace(approval, decisions_seen=found.present)
    name = _name_member(approval.role, there)
    envelope = sign_statement(members[MANIFEST], APPROVAL_PREDICATE_TYPE, approval.predicate(), key)
    try:
        read_statements({**members, name: envelope}, digest)
    except BadPack as error:
        raise Refused(
            f"No approval: {error}.",
            wanted="role reviewer or approver; decision approve, reject or approve_with_conditions; a time in UTC.",
            remedy="correct that field.",
        ) from error
    return SignedApproval(name, envelope, approval, prepared.predicate["pack_id"], digest)


def _name_member(role: str, there: Sequence[str]) -> str:
    """Return an unused member name: after a removal, numbering by count would overwrite another decision."""
    names = (f"attestations/approval-{role}-{number}.dsse.json" for number in count(1 + len(there)))
    return next(name for name in names if name not in there)


def sign_statement(manifest: bytes, predicate_type: str, predicate: Mapping[str, Any], key: Key) -> bytes:
    """Return a signed envelope with a statement about this manifest."""
    payload = dump_canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [{"name": MANIFEST, "digest": {"sha256": hashlib.sha256(manifest).hexdigest()}}],
            "predicateType": predicate_type,
            "predicate": dict(predicate),
        }
    )
    return dump_canonical(
        {
            "payloadType": PAYLOAD_TYPE,
            "payload": base64.b64encode(payload).decode(),
            "signatures": [{"keyid": key.keyid, "sig": _sign(payload, key)}],
        }
    )


def add_signature(envelope: bytes, key: Key) -> bytes:
    """Add a second preparer's signature over the same payload."""
    document = deepcopy(json.loads(envelope))
    payload = base64.b64decode(document["payload"])
    document["signatures"].append({"keyid": key.keyid, "sig": _sign(payload, key)})
    return dump_canonical(document)


def _sign(payload: bytes, key: Key) -> str:
    return base64.b64encode(key.sign(encode_before_signing(payload))).decode()
