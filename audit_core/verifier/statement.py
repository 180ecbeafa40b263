"""Step 3, statement: signed in-toto statements about this manifest, in DSSE envelopes."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.verifier.canonical_json import NotCanonical, encode_canonical
from audit_core.verifier.clock import NotATime, read_time
from audit_core.verifier.container import BadPack
from audit_core.verifier.manifest import MANIFEST, PACK_ENVELOPE, is_approval
from audit_core.verifier.schema import find_violation
from audit_core.verifier.schemas_signed import APPROVAL_STATEMENT, ENVELOPE, PACK_STATEMENT
from audit_core.verifier.strict_json import NotStrictJson, load_strict

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES = 1 << 20
MAX_APPROVALS = 50
"""Checking a signature takes about 40 ms."""


@dataclass(frozen=True)
class Statement:
    """A statement from an envelope, whose signatures are still unchecked."""

    member: str
    predicate: Mapping[str, Any]
    message: bytes
    """The signed bytes: DSSE's pre-authentication encoding of type and payload."""
    signatures: tuple[tuple[str, bytes], ...]
    """Key id and 64 bytes each."""
    sha256: str
    """SHA-256 of the envelope, by which later decisions reference this one."""


def encode_before_signing(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """Return DSSE's pre-authentication encoding, unambiguous because each part follows its length."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def read_statements(members: Mapping[str, bytes], manifest_sha256: str) -> tuple[Statement, ...]:
    """Read the pack's statement, then each approval.

    Raises:
        BadPack: no pack statement, or a statement about another manifest.
    """
    if PACK_ENVELOPE not in members:
        raise BadPack(f"no {PACK_ENVELOPE}")
    names = [PACK_ENVELOPE, *filter(is_approval, members)]
    if len(names) > 1 + MAX_APPROVALS:
        raise BadPack(f"{len(names) - 1} approvals; at most {MAX_APPROVALS}")
    return tuple(_read_statement(name, members[name], manifest_sha256) for name in names)


def _read_statement(member: str, data: bytes, manifest_sha256: str) -> Statement:
    envelope = _read_document(member, data, ENVELOPE)
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise BadPack(f"{member} has payload type {envelope['payloadType'][:60]!a}, not {PAYLOAD_TYPE}")
    payload = _decode_base64(member, envelope["payload"])
    form = PACK_STATEMENT if member == PACK_ENVELOPE else APPROVAL_STATEMENT
    statement = _read_document(f"the payload of {member}", payload, form)
    subject = statement["subject"][0]
    if subject["name"] != MANIFEST or subject["digest"]["sha256"] != manifest_sha256:
        raise BadPack(f"{member} is a statement about another manifest, not this pack")
    try:
        for field in ("at", "expires_at"):
            if statement["predicate"].get(field) is not None:
                read_time(statement["predicate"][field])
    except NotATime as error:
        raise BadPack(f"{member}: {error}") from error
    signatures = tuple((row["keyid"], _decode_base64(member, row["sig"])) for row in envelope["signatures"])
    if len({keyid for keyid, _ in signatures}) < len(signatures):
        raise BadPack(f"{member} is signed twice with the same key")
    digest = hashlib.sha256(data).hexdigest()
    return Statement(member, statement["predicate"], encode_before_signing(payload), signatures, digest)


def _read_document(name: str, data: bytes, form: Mapping[str, Any]) -> Any:
    if len(data) > MAX_ENVELOPE_BYTES:
        raise BadPack(f"{name} is larger than {MAX_ENVELOPE_BYTES:,} bytes")
    try:
        document = load_strict(data)
        canonical = encode_canonical(document)
    except (NotStrictJson, NotCanonical) as error:
        raise BadPack(f"{name}: {error}") from error
    if found := find_violation(document, form):
        raise BadPack(f"{name}: {found}")
    if canonical != data:
        raise BadPack(f"{name} is not in canonical form")
    return document


def _decode_base64(member: str, text: str) -> bytes:
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadPack(f"{member}: not base64: {error}") from error
    if base64.b64encode(data).decode() != text:
        raise BadPack(f"{member}: base64 in a non-canonical encoding")
    return data
