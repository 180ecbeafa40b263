"""Statements about a pack for other supply-chain tools (in-toto, DSSE): write one with the pack's result, and check one from elsewhere."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from audit_core.errors import IntegrityError, Refused
from audit_core.evidence.canonical import dump_canonical
from audit_core.evidence.keys import SigningKey
from audit_core.exchange.signature_bundle import verify_bytes
from audit_core.verifier.container import read_members
from audit_core.verifier.criteria import MEETS
from audit_core.verifier.manifest import MANIFEST
from audit_core.verifier.schemas_signed import STATEMENT_TYPE
from audit_core.verifier.statement import PAYLOAD_TYPE, encode_before_signing
from audit_core.verifier.strict_json import NotStrictJson, load_strict
from audit_core.verifier.verification import FAILED, Verification
from audit_core.verifier.walk import verify_pack

TEST_RESULT_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
MAX_STATEMENT_BYTES = 4 << 20
MAX_SIGNATURES = 16
_CONFIGURATION = ("policy/policy.toml", "prereg/prereg.json")


@dataclass(frozen=True)
class StatementReading:
    """A statement from elsewhere whose signature was made with the given key."""

    statement_type: str
    predicate_type: str
    about: tuple[str, ...]
    """Which of its subjects are this pack: "the pack's file", "its manifest"; empty if none is."""
    subjects: tuple[str, ...]
    """Names of its subjects."""
    predicate: Mapping[str, Any]
    """Content, whose meaning depends on the type; nothing here relies on it."""


def write_test_result(pack: bytes, *, name: str, key: SigningKey) -> bytes:
    """Return a signed statement with the pack's result under its own policy, as in-toto's `test-result/v0.1`.

    The format has no word for what cannot be decided, and takes a warning for a pass: everything that does not meet the policy
    is listed as failed, with its own result after the name.

    Args:
        name: file name of the pack, for the subject.
        key: whose statement it is.

    Raises:
        IntegrityError: the pack is incomplete or was changed.
    """
    found = verify_pack(pack, None)
    if found.documents is None:
        why = next(step.detail for step in found.steps if step.result == FAILED)
        raise IntegrityError(
            f"{name} is incomplete or was changed: {why[:300]}. Wanted: a pack that `verify` finds complete. What to do: ask for it again."
        )
    payload = dump_canonical(
        {
            "_type": STATEMENT_TYPE,
            "subject": [
                {"name": name, "digest": {"sha256": hashlib.sha256(pack).hexdigest()}},
                {"name": MANIFEST, "digest": {"sha256": str(found.manifest_sha256)}},
            ],
            "predicateType": TEST_RESULT_TYPE,
            "predicate": _describe_result(found, list(_list_configuration(pack))),
        }
    )
    signature = base64.b64encode(key.sign(encode_before_signing(payload))).decode()
    signed = {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE}
    return dump_canonical(signed | {"signatures": [{"keyid": key.keyid, "sig": signature}]})


def read_statement_about(pack: bytes, raw: bytes, key_file: bytes, *, name: str) -> StatementReading:
    """Verify another tool's statement with a public key, and find out whether it is about this pack.

    Args:
        raw: DSSE envelope, JSON.
        key_file: public key, PEM: Ed25519, or ECDSA on a NIST curve.
        name: the file's name in messages.

    Raises:
        Refused: not an envelope with an in-toto statement, or not a public key.
        IntegrityError: no signature in it was made with this key.
    """
    try:
        envelope = load_strict(raw)
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise ValueError(f"payload type {str(envelope['payloadType'])[:60]!a}")
        payload = base64.b64decode(envelope["payload"], validate=True)
        signatures = [base64.b64decode(row["sig"], validate=True) for row in envelope["signatures"]]
        if not 0 < len(signatures) <= MAX_SIGNATURES:
            raise ValueError(f"{len(signatures)} signatures")
    except (NotStrictJson, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise _refuse(name, str(error)) from error
    if not any(verify_bytes(key_file, signature, encode_before_signing(payload)) for signature in signatures):
        raise IntegrityError(
            f"{name} was not signed with the given key, or was changed. Wanted: a signature by that key. What to do: compare the key with the "
            "one that its author states."
        )
    try:
        return _read_payload(load_strict(payload), pack)
    except (NotStrictJson, KeyError, TypeError, AttributeError, ValueError) as error:
        raise _refuse(name, str(error)) from error


def _read_payload(statement: Any, pack: bytes) -> StatementReading:
    if not str(statement["_type"]).startswith("https://in-toto.io/Statement/"):
        raise ValueError(f"its type is {str(statement['_type'])[:60]!a}")
    own = {hashlib.sha256(pack).hexdigest(): "the pack's file"}
    if manifest := verify_pack(pack, None).manifest_sha256:
        own[manifest] = "its manifest"
    digests = [one["digest"].get("sha256") for one in statement["subject"]]
    about = tuple(text for digest, text in own.items() if digest in digests)
    names = tuple(str(one.get("name", ""))[:200] for one in statement["subject"][:20])
    return StatementReading(
        str(statement["_type"])[:200],
        str(statement["predicateType"])[:200],
        about,
        names,
        dict(statement.get("predicate") or {}),
    )


def _describe_result(found: Verification, configuration: list[Mapping[str, Any]]) -> dict[str, Any]:
    assert found.documents is not None
    verdict = found.documents.parsed["verdict/verdict.json"]
    passed, failed = [], []
    for row in verdict["criteria"]:
        test = f"{row['claim_id'] or 'pack'}/{row['id']}"
        if row["result"] == MEETS:
            passed.append(test)
        else:
            failed.append(f"{test}: {row['result']}")
    # A pack in which nothing was tested passes nothing.
    result = "PASSED" if verdict["overall"] == MEETS and passed and not failed else "FAILED"
    return {"result": result, "configuration": configuration, "passedTests": passed, "failedTests": failed}


def _list_configuration(pack: bytes) -> Iterator[Mapping[str, Any]]:
    """The policy and the plans that the result was fixed by, as resources."""
    members = read_members(pack)
    for member in _CONFIGURATION:
        if member in members:
            yield {"name": member, "digest": {"sha256": hashlib.sha256(members[member]).hexdigest()}}


def _refuse(name: str, why: str) -> Refused:
    return Refused(
        f"{name} cannot be read: {why[:200]}.",
        wanted="a signed in-toto statement in a DSSE envelope, as JSON.",
        remedy="ask its author for the envelope, not for the statement alone.",
    )
